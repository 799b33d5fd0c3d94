"""What a picture is drawn of: fits, estimators, reports, trees and arrays, all alike."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from nbam_pyro.checks.containers import unwrapped
from nbam_pyro.errors import DataError
from nbam_pyro.estimators.verified import codes_of, switches
from nbam_pyro.inference import Fit, MatrixEstimate
from nbam_pyro.inference.posterior.datatree import prior_and_posterior
from nbam_pyro.inference.posterior.matrix_estimates import transition_matrix
from nbam_pyro.inference.workflow.predictive_checks import KnownFlips
from nbam_pyro.models import Story
from nbam_pyro.outputs.report import PredProbsReport

__all__ = [
    "Matrix",
    "fit_of",
    "groups_of",
    "matrix_of",
    "names_of",
    "numbers",
    "responsibilities_of",
    "story_of",
    "tree_of",
    "truth",
]


class Matrix(NamedTuple):
    """A matrix to draw: its entries, their interval where there is one, and names of classes.

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
    """The `Fit` of a fitted estimator; anything else as it is."""
    inside = getattr(source, "fit_", None)
    return inside if isinstance(inside, Fit) else source


def responsibilities_of(source: Any) -> np.ndarray:
    """Responsibilities, (N,), of a fit's or an estimator's training rows, a report, or an array.

    Raises:
        DataError: There are none in what was given, or they are no probabilities.
    """
    if isinstance(getattr(source, "fit_", None), Fit):
        source = source.responsibility_
    elif isinstance(source, Fit):
        source = source.training_rows.responsibility
    elif isinstance(source, PredProbsReport):
        source = source.rows["responsibility"]
    elif isinstance(source, KnownFlips):
        source = source.responsibility
    return probabilities(
        "Responsibilities",
        source,
        "a Fit, an estimator, a report of from_pred_probs, or an array of probabilities, (N,)",
    )


def probabilities(name: str, source: Any, takes: str) -> np.ndarray:
    """Numbers between 0 and 1, (N,), rounding errors mended.

    Raises:
        DataError: They are not.
    """
    values = numbers(name, source, takes)
    if len(values) and (values.min() < -1e-6 or values.max() > 1 + 1e-6):
        raise DataError(f"{name} lie between {values.min():g} and {values.max():g}, not in [0, 1].")
    return values.clip(0, 1)


def numbers(name: str, source: Any, takes: str, *, rows: int | None = None) -> np.ndarray:
    """Finite numbers as a flat float64 array.

    Args:
        name: What they are, for messages.
        source: An array, list, tensor or column.
        takes: What is taken instead, for messages.
        rows: How many there must be; None for any number.

    Raises:
        DataError: They are no numbers, or are missing or infinite, or a number of them differs.
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
        raise DataError(f"{name} are not in a {kind}: give {takes}.") from error
    if not np.isfinite(values).all():
        first = int((~np.isfinite(values)).argmax())
        raise DataError(f"{name} are missing or infinite, the first in row {first}: drop them.")
    if rows is not None and len(values) != rows:
        raise DataError(f"{name} have {len(values)} rows and the others {rows}; they must agree.")
    return values


def truth(contaminated: Any, rows: int) -> np.ndarray:
    """Which rows are truly contaminated, (N,) booleans, from booleans, 0 and 1, or texts of them.

    Raises:
        DataError: A value is missing or says neither, or lengths differ.
    """
    codes = codes_of("contaminated", contaminated, rows, switches)
    if (codes < 0).any():
        raise DataError(f"contaminated is missing in row {int((codes < 0).argmax())}: drop it.")
    return codes == 1


def groups_of(source: Any, by: Any, rows: int) -> pd.Series:
    """The group of each row, (N,); of a report by default the labels.

    Raises:
        DataError: There is none, or lengths differ.
    """
    if by is None and isinstance(source, PredProbsReport):
        by = source.rows["label"]
    if by is None:
        raise DataError(f"A {type(source).__name__} has no groups of rows: give by, (N,).")
    groups = pd.Series(list(unwrapped(by)))
    if len(groups) != rows:
        raise DataError(f"by has {len(groups)} rows and there are {rows}; they must agree.")
    return groups.astype(object).where(groups.notna(), "unknown")


def matrix_of(source: Any) -> Matrix:
    """A matrix p(observed | true) with names and intervals, from whatever has one.

    Raises:
        DataError: There is none in what was given, or its rows are no probabilities.
        StoryError: A fit's story has no latent true label.
    """
    names = None
    if isinstance(getattr(source, "fit_", None), Fit):
        names = [str(name) for name in getattr(source, "classes_", [])] or None
    source = fit_of(source)
    if isinstance(source, Fit):
        source = transition_matrix(source)
    if isinstance(source, MatrixEstimate):
        return Matrix(source.mean, source.low, source.high, source.probability, names)
    if isinstance(source, PredProbsReport):
        source = source.transition_matrix
    if isinstance(source, pd.DataFrame):
        names = [str(name) for name in source.index]
    takes = "a Fit, an estimator, a report of from_pred_probs, a MatrixEstimate, or an array (K, K)"
    values = probabilities("Entries of a matrix", source, takes)
    shape = np.shape(unwrapped(source))
    if len(shape) != 2 or shape[0] != shape[1]:
        raise DataError(f"A matrix has shape {shape}; give {takes}.")
    return Matrix(values.reshape(shape), names=names)


def names_of(names: Any, count: int) -> list[str] | None:
    """Names of classes as texts that matplotlib draws as they are; None for none.

    Raises:
        DataError: There are more or fewer than classes.
    """
    if names is None:
        return None
    texts = [str(name).replace("$", r"\$") for name in unwrapped(names)]
    if len(texts) != count:
        raise DataError(f"There are {len(texts)} names for {count} classes: give one for each.")
    return texts


def tree_of(source: Any) -> xr.DataTree:
    """A tree with `posterior` and `prior`, as it is, or of a fit or an estimator.

    Raises:
        DataError: What was given is neither.
    """
    fit = fit_of(source)
    if isinstance(fit, Fit):
        classes: Sequence[Any] | None = getattr(source, "classes_", None)
        return prior_and_posterior(fit, class_names=classes)
    if isinstance(source, xr.DataTree) and "posterior" in source.children:
        return source
    raise DataError(
        f"A posterior is not in a {type(source).__name__}: give a Fit, an estimator, or a tree of "
        "to_datatree or nuts."
    )


def story_of(source: Any) -> Story:
    """A story, or that of a fit or an estimator.

    Raises:
        DataError: What was given is none of these.
    """
    source = fit_of(source)
    if isinstance(source, Fit):
        return source.story
    if isinstance(source, Story):
        return source
    kind = "class of a story" if isinstance(source, type) else type(source).__name__
    raise DataError(f"A story is not in a {kind}: give a story, a Fit or an estimator.")
