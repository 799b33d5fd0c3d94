"""The work of `nbam verify`: answers of people become a table of verified rows."""

import json
from pathlib import Path
from typing import Any

import pandas as pd

from nbam_pyro.cli.files.messages import counted, listing
from nbam_pyro.cli.runs.cells import read_cells
from nbam_pyro.cli.runs.exporting import read_rows
from nbam_pyro.cli.runs.reviewing import check_outside
from nbam_pyro.cli.runs.schema import Settings
from nbam_pyro.cli.runs.tables import write_csv
from nbam_pyro.cli.runs.verified_files import HASH
from nbam_pyro.errors import DataError
from nbam_pyro.exchange import (
    Answer,
    VerifiedRows,
    answers_from_argilla,
    answers_from_label_studio,
    answers_from_table,
    verified_table,
)
from nbam_pyro.storage import check_file, read_json

__all__ = ["verify_run"]

# Answers with a problem that are listed.
_MOST = 10


def verify_run(run: Path, answers: Path, out: Path, *, overwrite: bool = False) -> list[str]:
    """Read answers of people about rows of a run, and write them as verified rows.

    The run folder does not change. Every answer is one line of the table.

    Args:
        run: Run folder that the rows were taken from.
        answers: Export of Label Studio or Argilla (JSON), or a CSV or Parquet table.
        out: CSV file to write. It is written completely or not at all.
        overwrite: True to replace an existing file.

    Returns:
        Lines that say what the answers are, and which of them have a problem.

    Raises:
        DataError: The answers cannot be read, or none of them verifies a row.
        FolderError: The run is incomplete or was changed; or the file exists and `overwrite` is
            False, or it cannot be written.
    """
    check_outside(out, run)
    if out.suffix.lower() != ".csv":
        raise DataError(f"--out is '{out}'. Give a name that ends in .csv.")
    check_file(out, overwrite=overwrite)
    rows, _ = read_rows(run)
    table = verified_table(_answers(answers), rows)
    found = VerifiedRows.of(table)
    lines = _lines(table, found)
    known = len({*found.contaminated, *found.true_label})
    if not known:
        raise DataError(f"No answer in '{answers}' verifies a row of '{run}'. {' '.join(lines)}")
    settings = read_json(run / "settings.json", Settings).model_dump()
    table[HASH] = settings.get("sha256") or ""
    write_csv(table, out, overwrite=overwrite)
    if settings.get("pred_probs") is not None:
        lines += _open_labels(found, out)
    return [
        *lines,
        f"{out} has all answers, {counted(known, 'row', were=('is', 'are'))} verified. Add "
        f"--verified {out} to the command that made the run, to fit again with them.",
    ]


def _open_labels(found: VerifiedRows, out: Path) -> list[str]:
    """Say which rows `nbam fit --pred-probs` would refuse."""
    wrong = [row for row, one in found.contaminated.items() if one and row not in found.true_label]
    if not wrong:
        return []
    return [
        f"{counted(len(wrong), 'row', were=('is', 'are'))} wrong without a true label: "
        f"{listing(wrong)}. nbam fit --pred-probs needs it: fill in the column true_label of {out}."
    ]


def _answers(path: Path) -> list[Answer]:
    """Read answers; the content decides between the formats in JSON."""
    if path.suffix.lower() != ".json":
        return answers_from_table(read_cells(path))
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"'{path}' cannot be read as JSON: {error}") from error
    if not isinstance(content, list) or not all(isinstance(one, dict) for one in content):
        raise DataError(f"'{path}' is not a list of tasks or records. Export it again as JSON.")
    names = {str(name) for one in content for name in one}
    if "annotations" in names:
        return answers_from_label_studio(content)
    if any(name == "responses" or ".responses" in name for name in names):
        return answers_from_argilla(content)
    return answers_from_table(pd.DataFrame(content).astype(object))


def _lines(table: pd.DataFrame, found: VerifiedRows) -> list[str]:
    people = set(table["answered_by"]) - {""}
    counts = table["answer"].value_counts()
    words = [
        f"{counts[word]} {word}"
        for word in ("right", "wrong", "unsure", "skipped")
        if word in counts
    ]
    named = int(((table["answer"] == "") & (table["true_label"] != "")).sum())
    words += [f"{named} with a true label only"] if named else []
    by = f" by {len(people)} people" if len(people) > 1 else ""
    about = counted(table["row"].nunique(), "row")
    lines = [f"{counted(len(table), 'answer')} about {about}{by}: {', '.join(words)}."]
    if found.disagreed:
        lines.append(
            f"Answers disagree about {counted(len(found.disagreed), 'row')}: "
            f"{listing(found.disagreed)}. A fit does not use what they disagree about."
        )
    bad: list[dict[Any, Any]] = table[table["problem"] != ""].to_dict("records")
    if bad:
        what = [f"row '{one['row']}': {one['problem']}" for one in bad[:_MOST]]
        rest = f"; and {len(bad) - _MOST} more" if len(bad) > _MOST else ""
        lines.append(
            f"{counted(len(bad), 'answer')} verify nothing ({'; '.join(what)}{rest}). They are "
            "kept, with the reason in the column problem."
        )
    return lines
