"""Positivity: every class must occur with every value, or in every region, of the nuisance."""

from itertools import pairwise

import numpy as np

from nbam_pyro.detection.representations.nuisance import Classes, Nuisance
from nbam_pyro.errors import DataError

__all__ = ["check_overlap", "check_positivity"]

# A column of numbers with at most this many different values, and values per row, is checked at
# each value. In a region of several values, one could hide that a class is missing at another.
_VALUES = 20
_SHARE = 0.1
# Number of regions of equal counts into which a continuous nuisance is divided.
_REGIONS = 10
# A class is missing from a region if it has no rows there although this number is expected.
_EXPECTED = 5.0
# Largest probability under independence of values with which a class has no rows.
_MISSING = 0.1
_MEND = (
    "No weights and no representation can make up for rows that do not exist. Leave out the rows "
    "there or the class, or collect more rows."
)


def check_positivity(classes: Classes, nuisance: Nuisance) -> None:
    """Raise an error if a class never occurs with a value or region of the nuisance.

    A discrete nuisance is checked at each value, and so is a single column of numbers with at most
    20 different values. Other numbers are checked in ten regions of equal counts. Several columns
    are checked by `check_overlap`.

    Args:
        classes: Classes of the rows.
        nuisance: Nuisance of the rows.

    Raises:
        DataError: A class has no row at a value or in a region, although at least 5 rows are
            expected there if class and nuisance are independent; or classes are missing at values
            that together have a probability above 0.1.

    Example:
        >>> nuisance = Nuisance.of(["red"] * 10 + ["green"] * 20, 30)
        >>> check_positivity(Classes.of([0] * 10 + [1] * 20), nuisance)
        Traceback (most recent call last):
        nbam_pyro.errors.DataError: Class '0' never occurs with nuisance 'green' (20 rows). No
        weights and no representation can make up for rows that do not exist. Leave out the rows
        there or the class, or collect more rows.
    """
    if nuisance.codes is not None and nuisance.names is not None:
        names = [f"nuisance {str(name)!r}" for name in nuisance.names]
        _check_counts(classes, nuisance.codes, names)
    elif nuisance.values.shape[1] == 1:
        values, places = np.unique(nuisance.values[:, 0], return_inverse=True)
        if len(values) <= min(_VALUES, _SHARE * len(places)):
            _check_counts(classes, places, [f"nuisance {value:.4g}" for value in values])
            return
        codes, edges = _regions(nuisance.values[:, 0])
        names = [f"the nuisance between {low:.4g} and {high:.4g}" for low, high in pairwise(edges)]
        _check_counts(classes, codes, names)


def check_overlap(classes: Classes, probabilities: np.ndarray) -> None:
    """Raise an error if a class never occurs where a model finds it improbable.

    Args:
        classes: Classes of the rows.
        probabilities: Probabilities of the classes given the nuisance, from models that have not
            seen the row, (N, K).

    Raises:
        DataError: The tenth of the rows in which a class is least probable has no row of it,
            although at least 5 are expected if class and nuisance are independent.
    """
    for k, name in enumerate(classes.names):
        codes, edges = _regions(probabilities[:, k])
        where = f"the nuisance where its probability is below {edges[1]:.2g}"
        count = int((codes == 0).sum())
        own = int((classes.codes[codes == 0] == k).sum())
        if not own and classes.shares[k] * count >= _EXPECTED and len(edges) > 2:
            row = int((codes == 0).argmax())
            raise DataError(_message(name, where, count) + f" Row {row} is one of them. {_MEND}")


def _check_counts(classes: Classes, codes: np.ndarray, names: list[str]) -> None:
    table = np.zeros((len(classes.names), len(names)))
    np.add.at(table, (classes.codes, codes), 1)
    expected = table.sum(1, keepdims=True) * table.sum(0) / table.sum()
    missing = np.where(table == 0, expected, 0.0)
    if missing.max() >= _EXPECTED or missing.sum() > _MISSING * len(codes):
        k, region = np.unravel_index(missing.argmax(), missing.shape)
        count = int(table[:, region].sum())
        raise DataError(f"{_message(classes.names[k], names[region], count)} {_MEND}")


def _message(name: object, where: str, count: int) -> str:
    return f"Class {str(name)!r} never occurs with {where} ({count} rows)."


def _regions(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the region of each row, (N,), and the edges of the regions, (R + 1,)."""
    edges = np.unique(np.quantile(values, np.linspace(0, 1, _REGIONS + 1)))
    codes = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, len(edges) - 2)
    return codes, edges
