"""What the columns of targets hold: labels or measurements, and what is verified of them."""

import numpy as np

from nbam_pyro.cli.files import Source
from nbam_pyro.cli.files.messages import repeated
from nbam_pyro.errors import DataError
from nbam_pyro.estimators.targets import column, in_words

__all__ = ["are_labels", "columns_beside", "verified_columns", "whole"]

# More different whole numbers than this are measurements, unless told otherwise.
_LABELS = 20


def columns_beside(
    label: str | None, true_label: str | None, contaminated: str | None
) -> list[str]:
    """Names of the columns of what is verified.

    Args:
        label: The column of targets, if they have one.
        true_label: The column of verified true labels, if there is one.
        contaminated: The column that says what is verified as right or wrong, if there is one.

    Raises:
        DataError: Two of them are the same column.
    """
    named = [name for name in (label, true_label, contaminated) if name is not None]
    twice = repeated(named)
    if twice:
        raise DataError(
            f"{twice[0]!r} is named twice by --label, --true-label and --contaminated; each "
            "needs a column of its own."
        )
    return [name for name in named if name != label]


def verified_columns(
    source: Source, labels: bool, true_label: str | None, contaminated: str | None
) -> dict[str, np.ndarray]:
    """What is verified, as the `fit` of estimators takes it.

    Args:
        source: The training data.
        labels: Whether the targets are labels.
        true_label: The column of verified true labels, if there is one.
        contaminated: The column that says what is verified as right or wrong, if there is one.

    Raises:
        DataError: True labels are given for measurements.
    """
    known = {}
    if contaminated is not None:
        known["contaminated"] = source.beside[contaminated]
    if true_label is not None:
        if not labels:
            raise DataError(
                "--true-label is for labels, and these are measurements: say with --contaminated "
                "which of them are wrong."
            )
        texts = column(source.y)[0].dtype.kind in "US"
        there, present = column(source.beside[true_label])
        values = np.full(len(present), None, dtype=object)
        values[present] = in_words(there) if texts and there.dtype.kind in "biuf" else there
        known["true_label"] = values
    return known


def are_labels(y: np.ndarray, task: str) -> bool:
    """Whether targets are labels rather than measurements.

    Args:
        y: The targets that are there.
        task: "classification", "regression", or "auto".

    Raises:
        DataError: The task is none of these.

    Example:
        >>> are_labels(np.array([1.0, 2.0]), "auto"), are_labels(np.array([0.5]), "auto")
        (True, False)
    """
    if task not in ("auto", "classification", "regression"):
        raise DataError(f"--task is {task!r}; give auto, classification or regression.")
    if task != "auto":
        return task == "classification"
    countable = y.dtype.kind in "USbiu" or (y.dtype.kind == "f" and _all_whole(y))
    return countable and (y.dtype.kind in "USb" or len(np.unique(y)) <= _LABELS)


def whole(y: np.ndarray) -> np.ndarray:
    """Whole numbers as integers, where missing cells have made floats of them.

    Args:
        y: Targets, (N,), missing ones among them.

    Example:
        >>> whole(np.array([1.0, np.nan]))
        array([1, None], dtype=object)
    """
    there, present = column(y)
    if there.dtype.kind != "f" or not _all_whole(there):
        return y
    values = np.full(len(y), None, dtype=object)
    values[present] = there.astype(int)
    return values if not present.all() else there.astype(int)


def _all_whole(y: np.ndarray) -> bool:
    y = y.astype(np.float64)  # 2^53 is infinite as float16
    # Beyond 2^53 neighbouring whole numbers are the same float.
    return bool((np.isfinite(y) & (np.abs(y) < 2**53)).all() and (y == np.round(y)).all())
