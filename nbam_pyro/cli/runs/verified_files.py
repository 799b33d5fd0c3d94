"""Files of verified rows, as further columns of the data."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from nbam_pyro.checks.column import Column
from nbam_pyro.cli.files import Source
from nbam_pyro.cli.files.messages import counted, listing
from nbam_pyro.cli.runs.cells import read_cells
from nbam_pyro.cli.runs.targets import TrainingTargets, are_labels, whole
from nbam_pyro.errors import DataError
from nbam_pyro.exchange import VerifiedRows
from nbam_pyro.exchange.run_rows import as_text
from nbam_pyro.verified import Verified

__all__ = [
    "CONTAMINATED",
    "HASH",
    "TRUE_LABEL",
    "check_one_source",
    "check_true_labels",
    "is_file",
    "verified_targets",
    "with_verified",
]

TRUE_LABEL, CONTAMINATED = "true_label (--verified)", "contaminated (--verified)"
"""Names of the columns that files of verified rows become."""

HASH = "data_sha256"
"""Column of files of verified rows: hash of the data file that the answers are about."""

_ENDINGS = (".csv", ".parquet", ".pq")


def is_file(name: str) -> bool:
    """Return whether a value of `--verified` is a file of `nbam verify`, not a column.

    Args:
        name: Value of the option.

    Example:
        >>> is_file("verified.csv"), is_file("checked")
        (True, False)
    """
    return Path(name).suffix.lower() in _ENDINGS


def check_one_source(
    files: Sequence[Path], true_label: str | None, contaminated: str | None
) -> None:
    """Raise an error if verified values come from files and from columns of the data.

    Args:
        files: Files of verified rows.
        true_label: Name of the column of verified true labels; None if there is none.
        contaminated: Name of the column that says which targets are wrong; None if there is none.

    Raises:
        DataError: Both are given.
    """
    if files and (true_label is not None or contaminated is not None):
        raise DataError(
            "--verified reads verified rows from files, and --true-label and --contaminated name "
            "columns of the data. Give one of them, or add the answers in the columns to a file "
            "with nbam verify."
        )


def with_verified(source: Source, files: Sequence[Path], *, task: str | None) -> Source:
    """Return data with verified rows in the columns `CONTAMINATED` and, for labels, `TRUE_LABEL`.

    Args:
        source: The data.
        files: Files that `nbam verify` wrote. Their answers are put together.
        task: "classification", "regression" or "auto"; None if the data have no targets.

    Raises:
        DataError: A file cannot be read, names a row that the data do not have, is about another
            label than that of the data or another data file, or verifies nothing.
    """
    if not files:
        return source
    names = ", ".join(f"'{file}'" for file in files)
    try:
        table = pd.concat([read_cells(file) for file in files]).fillna("")
        found = VerifiedRows.of(table)
    except DataError as error:
        raise DataError(f"{names}: {error}") from error
    where = {str(row): place for place, row in enumerate(source.rows)}
    rows = {*found.contaminated, *found.true_label}
    strange = sorted(rows - where.keys())
    if strange:
        raise DataError(
            f"{names} verifies {counted(len(strange), 'row')} that the data do not have: "
            f"{listing(strange)}. Give the data of the run from which the rows were taken."
        )
    if not rows:
        raise DataError(f"{names} verifies no row. Give a file of nbam verify with answers.")
    contaminated = np.full(len(where), None, dtype=object)
    for row, code in found.contaminated.items():
        contaminated[where[row]] = code
    beside = {**source.beside, CONTAMINATED: contaminated}
    column = Column.of(source.y)
    if task is not None and column.present.any():
        labels = are_labels(column.values, task)
        column = whole(column) if labels else column
        _check_labels(column, found, where, names, labels=labels)
        if labels:
            beside[TRUE_LABEL] = _true_labels(found.true_label, where, column, names)
    _check_file(table, source, names)
    return replace(source, beside=beside, notes=[*source.notes, *_notes(found)])


def verified_targets(
    source: Source,
    files: Sequence[Path],
    *,
    task: str,
    true_label: str | None,
    contaminated: str | None,
) -> tuple[Source, TrainingTargets]:
    """Return the data and their targets, with what files or columns of the data verify.

    Args:
        source: The data.
        files: Files that `nbam verify` wrote; empty if columns of the data verify rows, or nothing.
        task: "classification", "regression" or "auto".
        true_label: Name of the column of verified true labels; None if there is none.
        contaminated: Name of the column that says which targets are wrong; None if there is none.

    Raises:
        DataError: See `with_verified` and `TrainingTargets.of`.
    """
    source = with_verified(source, files, task=task)
    targets = TrainingTargets.of(
        source,
        task=task,
        true_label=TRUE_LABEL if TRUE_LABEL in source.beside else true_label,
        contaminated=CONTAMINATED if files else contaminated,
    )
    return source, targets


def check_true_labels(verified: Verified, codes: np.ndarray, rows: np.ndarray) -> None:
    """Raise an error if a label is verified as wrong, but its true label is not known.

    Args:
        verified: What is verified about n labels.
        codes: Labels as class indices, (n,).
        rows: Names of the rows, (n,).

    Raises:
        DataError: There is such a label. Given probabilities need true labels.
    """
    if not len(verified):
        return
    labels = torch.as_tensor(codes)
    unnamed = ((verified.switch(labels) == 1) & (verified.label(labels) < 0)).numpy()
    if unnamed.any():
        raise DataError(
            f"{counted(int(unnamed.sum()), 'label', were=('is', 'are'))} verified as wrong without "
            f"a true label, the first in row '{rows[unnamed][0]}'. With --pred-probs, true labels "
            "are needed: add them (column true_label), or leave these rows unverified."
        )


def _check_file(table: pd.DataFrame, source: Source, names: str) -> None:
    """Raise an error if answers are about another data file, whose rows may have other numbers."""
    about = set(table.get(HASH, [])) - {""}
    if about - {source.sha256}:
        raise DataError(
            f"{names} is about a data file with another content, so its rows may have other "
            "numbers. Give the data of the run from which the rows were taken; or, if the rows are "
            f"the same in the same order, delete the column {HASH!r}."
        )


def _check_labels(
    column: Column, found: VerifiedRows, where: dict[str, int], names: str, *, labels: bool
) -> None:
    """Raise an error if the answers are about other labels or measurements than the data have."""
    cells = column.cells
    for row, label in found.label.items():
        own = as_text(cells[where[row]]) if row in where else label
        if own != label and (labels or not _close(own, label)):
            raise DataError(
                f"{names} is about the label {label!r} of row '{row}', but the data have {own!r} "
                "there. Give the data of the run from which the rows were taken."
            )


def _close(one: str, other: str) -> bool:
    try:
        return bool(np.isclose(float(one), float(other), rtol=1e-9, atol=0))
    except ValueError:
        return False


def _true_labels(
    true: dict[str, str], where: dict[str, int], column: Column, names: str
) -> np.ndarray:
    """Return true labels in the type of the labels, None where they are unknown, (N,)."""
    spelled = {as_text(one): one for one in np.unique(column.values).tolist()}
    cells = np.full(len(where), None, dtype=object)
    for row, text in true.items():
        if text not in spelled:
            raise DataError(
                f"{names} has the true label {text!r} for row '{row}', but the data have no such "
                f"label. They have {listing(list(spelled))}."
            )
        cells[where[row]] = spelled[text]
    return cells


def _notes(found: VerifiedRows) -> list[str]:
    notes = []
    if found.disagreed:
        notes.append(
            f"answers disagree about {counted(len(found.disagreed), 'row')} "
            f"({listing(found.disagreed)}), and what they disagree about is not used"
        )
    if found.left_out:
        notes.append(f"{counted(found.left_out, 'answer')} with a problem are not used")
    return notes
