"""Functions that get the numbers of a plot from fits, estimators, reports, trees and arrays."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from nbam_pyro.checks.codes import codes_of, switches
from nbam_pyro.checks.containers import unwrapped
from nbam_pyro.errors import DataError
from nbam_pyro.inference import Fit, MatrixEstimate
from nbam_pyro.inference.posterior.latents_tree import prior_and_posterior
from nbam_pyro.inference.posterior.matrix_estimates import transition_matrix
from nbam_pyro.inference.workflow.predictive_checks import KnownFlips
from nbam_pyro.models import Story
from nbam_pyro.outputs import ContaminationReport, LabelTables

__all__ = [
    "Matrix",
    "fit_of",
    "groups_of",
    "label_tables",
    "matrix_of",
    "names_of",
    "numbers",
    "responsibilities_of",
    "story_of",
    "tree_of",
    "truth",
]


class Matrix(NamedTuple):
    """Matrix to draw: its entries, with intervals and names of classes if there are any.

    Attributes:
        mean: Entries, (K, K).
        low: Lower ends of the intervals, (K, K), or None.
        high: Upper ends, (K, K), or None.
        probability: Probability of the intervals, or None.
        names: Names of the classes, (K,), or None.
    """

    mean: np.ndarray
    low: np.ndarray | None = None
    high: np.ndarray | None = None
    probability: float | None = None
    names: list[str] | None = None


def fit_of(source: Any) -> Any:
    """Return the `Fit` of a fitted estimator; any other object is returned unchanged.

    Args:
        source: Any object.
    """
    inside = getattr(source, "fit_", None)
    return inside if isinstance(inside, Fit) else source


def responsibilities_of(source: Any) -> np.ndarray:
    """Return responsibilities, (N,), from an object that contains them.

    Args:
        source: A `Fit` or fitted estimator (for its training rows), a report of `from_pred_probs`,
            a `KnownFlips`, or an array.

    Raises:
        DataError: The object contains no responsibilities, or they are not in [0, 1].
    """
    if isinstance(getattr(source, "fit_", None), Fit):
        source = source.responsibility_
    elif isinstance(source, Fit):
        source = source.training_rows.responsibility
    elif isinstance(source, ContaminationReport):
        source = source.rows["responsibility"]
    elif isinstance(source, KnownFlips):
        source = source.responsibility
    return probabilities(
        "Responsibilities",
        source,
        "a Fit, an estimator, a report of from_pred_probs, or an array of probabilities, (N,)",
    )


def probabilities(name: str, source: Any, takes: str) -> np.ndarray:
    """Return numbers between 0 and 1, (N,); small deviations by rounding are corrected.

    Args:
        name: Name of the numbers, for the message.
        source: An array, list, tensor or column.
        takes: Objects that are accepted, for the message.

    Raises:
        DataError: These are not numbers, or they are not in [0, 1].
    """
    values = numbers(name, source, takes)
    if len(values) and (values.min() < -1e-6 or values.max() > 1 + 1e-6):
        raise DataError(
            f"{name} lie between {values.min():g} and {values.max():g}; they must lie in [0, 1]."
        )
    return values.clip(0, 1)


def numbers(name: str, source: Any, takes: str, *, rows: int | None = None) -> np.ndarray:
    """Return finite numbers as a flat float64 array.

    Args:
        name: Name of the numbers, for the message.
        source: An array, list, tensor or column.
        takes: Objects that are accepted, for the message.
        rows: Required number of values; None if any number is accepted.

    Raises:
        DataError: These are not numbers, a number is missing or infinite, or their number is not
            `rows`.
    """
    plain = unwrapped(source)
    try:
        if isinstance(plain, pd.Series):
            plain = plain.to_numpy(dtype=object, na_value=np.nan)
        if np.ndim(plain) == 0 or np.asarray(plain).dtype.kind in "mMUS":
            raise TypeError
        values = np.asarray(plain, dtype=np.float64).ravel()
    except (TypeError, ValueError) as error:
        kind = type(source).__name__
        raise DataError(f"{name} cannot be taken from a {kind}. Give {takes}.") from error
    if not np.isfinite(values).all():
        first = int((~np.isfinite(values)).argmax())
        raise DataError(
            f"{name} are missing or infinite, the first in row {first}. Leave them out."
        )
    if rows is not None and len(values) != rows:
        raise DataError(f"{name} have {len(values)} rows, the others {rows}. They must agree.")
    return values


def truth(contaminated: Any, rows: int) -> np.ndarray:
    """Return which rows are truly contaminated, (N,) booleans.

    Args:
        contaminated: Booleans, 0 and 1, or texts of these, (N,).
        rows: Number of rows N.

    Raises:
        DataError: A value is missing or is not a code, or the length is not N.
    """
    codes = codes_of("contaminated", contaminated, rows, switches)
    if (codes < 0).any():
        raise DataError(
            f"contaminated is missing in row {int((codes < 0).argmax())}. Leave that row out."
        )
    return codes == 1


def groups_of(source: Any, by: Any, rows: int) -> pd.Series:
    """Return the group of each row, (N,), "unknown" where it is missing.

    Args:
        source: Object that contains the responsibilities.
        by: Group of each row, (N,); None means the labels of a report.
        rows: Number of rows N.

    Raises:
        DataError: There are no groups, or their number is not N.
    """
    if by is None and isinstance(source, ContaminationReport) and source.kind == "labels":
        by = source.rows["label"]
    if by is None:
        raise DataError(f"A {type(source).__name__} contains no groups of rows. Give by, (N,).")
    groups = pd.Series(list(unwrapped(by)))
    if len(groups) != rows:
        raise DataError(
            f"by has {len(groups)} rows, but there are {rows} responsibilities. They must agree."
        )
    return groups.astype(object).where(groups.notna(), "unknown")


def label_tables(report: ContaminationReport) -> LabelTables:
    """Return the tables about classes of a report.

    Args:
        report: Report of `from_pred_probs`.

    Raises:
        DataError: The report is not about labels.
    """
    if report.labels is None:
        raise DataError(
            f"A report of {report.kind} has no classes. Give a report of from_pred_probs."
        )
    return report.labels


def matrix_of(source: Any) -> Matrix:
    """Return a matrix p(observed | true), with names and intervals if there are any.

    Args:
        source: A `Fit`, a fitted estimator, a report of `from_pred_probs`, a `MatrixEstimate`, or
            an array or frame, (K, K).

    Raises:
        DataError: The object contains no matrix, or its entries are not in [0, 1].
        StoryError: The story of the fit has no latent true label.
    """
    names = None
    if isinstance(getattr(source, "fit_", None), Fit):
        names = [str(name) for name in getattr(source, "classes_", [])] or None
    source = fit_of(source)
    if isinstance(source, Fit):
        source = transition_matrix(source)
    if isinstance(source, MatrixEstimate):
        return Matrix(source.mean, source.low, source.high, source.probability, names)
    if isinstance(source, ContaminationReport):
        tables = label_tables(source)
        return Matrix(
            tables.transition_matrix.to_numpy(),
            tables.transition_low.to_numpy(),
            tables.transition_high.to_numpy(),
            source.probability,
            [str(name) for name in tables.transition_matrix.index],
        )
    if isinstance(source, pd.DataFrame):
        names = [str(name) for name in source.index]
    takes = "a Fit, an estimator, a report of from_pred_probs, a MatrixEstimate, or an array (K, K)"
    values = probabilities("Entries of a matrix", source, takes)
    shape = np.shape(unwrapped(source))
    if len(shape) != 2 or shape[0] != shape[1]:
        raise DataError(f"A matrix has shape {shape}. Give {takes}.")
    return Matrix(values.reshape(shape), names=names)


def names_of(names: Any, count: int) -> list[str] | None:
    """Return class names as texts that matplotlib does not read as formulas, or None.

    Args:
        names: Names of the classes, (K,). If it is None, the result is None.
        count: Number of classes K.

    Raises:
        DataError: The number of names is not K.
    """
    if names is None:
        return None
    texts = [str(name).replace("$", r"\$") for name in unwrapped(names)]
    if len(texts) != count:
        raise DataError(
            f"There are {len(texts)} names for {count} classes. Give one name for each class."
        )
    return texts


def tree_of(source: Any) -> xr.DataTree:
    """Return a tree with the groups `posterior` and `prior`.

    Args:
        source: A tree with a group `posterior`, which is returned unchanged, a `Fit`, or a fitted
            estimator.

    Raises:
        DataError: The object is not of one of these types.
    """
    fit = fit_of(source)
    if isinstance(fit, Fit):
        classes: Sequence[Any] | None = getattr(source, "classes_", None)
        return prior_and_posterior(fit, class_names=classes)
    if isinstance(source, xr.DataTree) and "posterior" in source.children:
        return source
    raise DataError(
        f"A {type(source).__name__} contains no posterior. Give a Fit, an estimator, or a tree of "
        "to_datatree or nuts."
    )


def story_of(source: Any) -> Story:
    """Return a story.

    Args:
        source: A story, which is returned unchanged, a `Fit`, or a fitted estimator.

    Raises:
        DataError: The object is not of one of these types.
    """
    source = fit_of(source)
    if isinstance(source, Fit):
        return source.story
    if isinstance(source, Story):
        return source
    kind = "class of a story" if isinstance(source, type) else type(source).__name__
    raise DataError(f"A {kind} contains no story. Give a story, a Fit or an estimator.")
