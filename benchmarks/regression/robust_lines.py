"""Robust straight lines of other authors, and their slopes and residuals."""

import warnings
from collections.abc import Callable
from importlib.util import find_spec
from types import MappingProxyType

import numpy as np
from scipy import stats

from nbam_pyro.errors import DataError

__all__ = ["RIVALS", "require_statsmodels"]

# Elemental subsets of LTS, subsets that are followed to the end, and concentration steps.
_SUBSETS, _KEPT, _STEPS = 500, 10, 50
# Rows within this many standard deviations are kept by the last step of LTS.
_INSIDE = 2.5
# Degrees of freedom of Student-t errors, and iterations of EM.
_FREEDOM, _EM = 3.0, 500


def require_statsmodels() -> None:
    """Raise a `DataError` with the install command if statsmodels is not installed."""
    if find_spec("statsmodels") is None:
        raise DataError(
            "The package statsmodels is not installed. Run: pip install 'statsmodels>=0.15'"
        )


def least_squares(
    columns: np.ndarray, y: np.ndarray, weights: np.ndarray | None = None
) -> np.ndarray:
    """Return the coefficients of (weighted) least squares, (1 + D,)."""
    root = np.ones(len(y)) if weights is None else np.sqrt(weights)
    return np.linalg.lstsq(columns * root[:, None], y * root, rcond=None)[0]


def trimmed(columns: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Least trimmed squares of half the rows, then least squares of the rows near that line.

    Source: Rousseeuw & Van Driessen (2006), FAST-LTS.
    """
    rng = np.random.default_rng(0)
    n, size = columns.shape
    half = (n + size + 1) // 2

    def concentrate(line: np.ndarray, steps: int) -> tuple[float, np.ndarray]:
        for _ in range(steps):
            near = np.argpartition((y - columns @ line) ** 2, half - 1)[:half]
            line = least_squares(columns[near], y[near])
        return float(np.sort((y - columns @ line) ** 2)[:half].sum()), line

    subsets = [rng.choice(n, size, replace=False) for _ in range(_SUBSETS)]
    found = [concentrate(least_squares(columns[rows], y[rows]), 2) for rows in subsets]
    best = sorted(found, key=lambda one: one[0])[:_KEPT]
    total, line = min((concentrate(line, _STEPS) for _, line in best), key=lambda one: one[0])
    # The trimmed variance is made consistent at the normal distribution.
    quantile = stats.norm.ppf((1 + half / n) / 2)
    kept = half / n - 2 * quantile * stats.norm.pdf(quantile)
    scale = np.sqrt(total / n / kept) * (1 + 5 / (n - size))
    near = abs(y - columns @ line) <= _INSIDE * scale
    return least_squares(columns[near], y[near]) if near.sum() > size else line


def student(columns: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Maximum likelihood of Student-t errors with three degrees of freedom, by EM."""
    line = least_squares(columns, y)
    square = float(np.var(y - columns @ line))
    for _ in range(_EM):
        error = (y - columns @ line) ** 2
        weights = (_FREEDOM + 1) / (_FREEDOM + error / max(square, 1e-300))
        line = least_squares(columns, y, weights)
        square = float((weights * (y - columns @ line) ** 2).mean())
    return line


def huber(columns: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Huber's M estimate of statsmodels."""
    from statsmodels.robust.norms import HuberT  # type: ignore[import-not-found]
    from statsmodels.robust.robust_linear_model import RLM  # type: ignore[import-not-found]

    return np.asarray(RLM(y, columns, M=HuberT()).fit().params)


def mm(columns: np.ndarray, y: np.ndarray) -> np.ndarray:
    """MM estimate of statsmodels, from deterministic starts of the S estimate."""
    from statsmodels.robust.resistant_linear_model import (  # type: ignore[import-not-found]
        RLMDetSMM,
    )

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of iterations that did not converge
        return np.asarray(RLMDetSMM(y, columns).fit().params)


RIVALS: MappingProxyType[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = MappingProxyType(
    {"MM": mm, "LTS": trimmed, "Huber": huber, "Student-t": student}
)
"""Functions of columns with an intercept, (N, 1 + D), and targets, that return coefficients."""
