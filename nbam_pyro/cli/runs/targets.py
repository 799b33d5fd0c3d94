"""The targets of a training file: labels or measurements, and what is verified of them."""

from dataclasses import dataclass

import numpy as np

from nbam_pyro.checks.column import Column
from nbam_pyro.cli.files import Source
from nbam_pyro.cli.files.messages import repeated
from nbam_pyro.errors import DataError
from nbam_pyro.estimators.targets import in_words

__all__ = ["TrainingTargets", "are_labels", "columns_beside", "whole"]

# With --task auto, more different whole numbers than this are taken for measurements.
_LABELS = 20


@dataclass(frozen=True, kw_only=True)
class TrainingTargets:
    """The targets of a training file, decoded once.

    Attributes:
        labels: True for labels, False for measurements.
        column: The targets, N rows; labels that are whole numbers are integers.
        verified: Verified true labels ("true_label"), and which targets are verified as wrong or
            right ("contaminated"), as keyword arguments of `fit` of an estimator.
    """

    labels: bool
    column: Column
    verified: dict[str, Column | np.ndarray]

    @classmethod
    def of(
        cls, source: Source, *, task: str, true_label: str | None, contaminated: str | None
    ) -> "TrainingTargets":
        """Decode the targets of a training file.

        Args:
            source: The training data.
            task: "classification", "regression" or "auto".
            true_label: Name of the column of verified true labels; None if there is none.
            contaminated: Name of the column that shows which targets are verified as wrong or
                right; None if there is none.

        Raises:
            DataError: The targets cannot be used, the task is unknown, or true labels are given
                for measurements.
        """
        column = Column.of(source.y)
        labels = are_labels(column.values, task)
        verified: dict[str, Column | np.ndarray] = {}
        if contaminated is not None:
            verified["contaminated"] = source.beside[contaminated]
        if true_label is not None:
            if not labels:
                raise DataError(
                    f"--true-label names {true_label!r}, but the targets are measurements, which "
                    "have no true label. Use --contaminated to say which of them are wrong."
                )
            verified["true_label"] = _like(column, Column.of(source.beside[true_label]))
        return cls(labels=labels, column=whole(column) if labels else column, verified=verified)


def columns_beside(
    label: str | None, true_label: str | None, contaminated: str | None
) -> list[str]:
    """Return the names of the two columns that show what is verified about targets.

    Args:
        label: Name of the column of targets; None if it has no name.
        true_label: Name of the column of verified true labels; None if there is none.
        contaminated: Name of the column that shows which targets are verified as wrong or right;
            None if there is none.

    Raises:
        DataError: Two of the names are the same.
    """
    given = [name for name in (label, true_label, contaminated) if name is not None]
    twice = repeated(given)
    if twice:
        raise DataError(
            f"Column {twice[0]!r} is given to more than one of --label, --true-label and "
            "--contaminated. Give each option a column of its own."
        )
    return [name for name in given if name != label]


def are_labels(values: np.ndarray, task: str) -> bool:
    """Return True if targets are labels, False if they are measurements.

    Args:
        values: Targets without the missing ones, (n,).
        task: "classification", "regression" or "auto". With "auto", texts, booleans and up to 20
            different whole numbers are labels.

    Raises:
        DataError: The task is unknown.

    Example:
        >>> are_labels(np.array([1.0, 2.0]), "auto"), are_labels(np.array([0.5]), "auto")
        (True, False)
    """
    if task not in ("auto", "classification", "regression"):
        raise DataError(f"--task is {task!r}. Give auto, classification or regression.")
    if task != "auto":
        return task == "classification"
    kind = values.dtype.kind
    countable = kind in "USbiu" or (kind == "f" and _all_whole(values))
    return countable and (kind in "USb" or len(np.unique(values)) <= _LABELS)


def whole(column: Column) -> Column:
    """Convert whole numbers back to integers. Missing cells turned them into floats.

    Args:
        column: Targets of any kind. They are returned unchanged unless all are floats without
            decimals.

    Example:
        >>> whole(Column.of(np.array([1.0, np.nan]))).cells
        array([1, None], dtype=object)
    """
    if column.values.dtype.kind != "f" or not _all_whole(column.values):
        return column
    return column.with_values(column.values.astype(int))


def _like(labels: Column, true: Column) -> Column:
    """True labels as texts if the labels are texts: 7 and 8 alone would look like numbers."""
    if labels.values.dtype.kind in "US" and true.values.dtype.kind in "biuf":
        return true.with_values(in_words(true.values))
    return true


def _all_whole(values: np.ndarray) -> bool:
    values = values.astype(np.float64)  # 2^53 is infinite as float16
    # Beyond 2^53 neighbouring whole numbers are the same float.
    exact = np.isfinite(values) & (np.abs(values) < 2**53)
    return bool(exact.all() and (values == np.round(values)).all())
