"""The directions of a representation in which rows of a class do not depend on the nuisance."""

from collections.abc import Callable

import numpy as np

from nbam_pyro.errors import DataError

__all__ = ["directions_free"]

# Share of the mean variance that is added to each direction, as in `Mahalanobis`.
_RIDGE = 1e-6
# A direction whose effect is this much smaller than the largest one is a rounding error.
_TINY = 1e-10
# Number of random exchanges of rows, and of standard deviations above the mean of their effects.
_EXCHANGES = 20
_SURE = 4.0


def directions_free(
    r: np.ndarray,
    codes: np.ndarray,
    basis: np.ndarray,
    w: np.ndarray,
    *,
    noise: float,
    spread: bool,
) -> tuple[np.ndarray, np.ndarray, int]:
    """Return the origin, the matrix of a linear map, and the number of removed directions.

    Args:
        r: Rows of the representation, (N, D).
        codes: Position of the class of each row, (N,).
        basis: Functions of the nuisance of each row, (N, B).
        w: Weights of the rows, (N,), some of them above 0 in each class.
        noise: Size of effects that are not removed, in units of what chance gives.
        spread: Whether directions are also removed in which the variance changes.

    Raises:
        DataError: No direction would be left.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> y, u = rng.integers(0, 2, (2, 500))
        >>> r = np.c_[y + 3 * u, y] + rng.normal(size=(500, 2))
        >>> basis, w = (u - u.mean())[:, None], np.ones(500)
        >>> directions_free(r, y, basis, w, noise=1.0, spread=False)[2]
        1
    """
    total = w.sum()
    origin = w @ r / total
    within = r - origin
    members = [np.flatnonzero(codes == k) for k in np.unique(codes)]
    for own in members:
        within[own] -= w[own] @ within[own] / w[own].sum()
    unit = np.sqrt(w @ np.square(within) / total)
    unit[unit <= _TINY * np.abs(r).max(0, initial=1e-300)] = 1.0
    within = within / unit
    variance, directions = np.linalg.eigh((within.T * w) @ within / total)
    variance = np.maximum(variance, 0.0) + _RIDGE * max(variance.mean(), _RIDGE)
    whitening = directions / np.sqrt(variance)
    white = within @ whitening
    regressors = [_regressors(basis[own], w[own]) / np.sqrt(total) for own in members]
    _, size, axes = np.linalg.svd(_effects(white, members, regressors), full_matrices=True)
    least = _TINY * size.max(initial=0.0)
    if noise:
        least = max(least, noise * _by_chance(_effects, white, members, regressors))
    kept = axes[int((size > least).sum()) :].T
    if spread:
        kept = _steady(white, kept, members, regressors, noise)
    removed = r.shape[1] - kept.shape[1]
    if not kept.size:
        raise DataError(
            f"All {removed} directions of the representation depend on the nuisance within "
            "classes, so nothing would be left. Use a representation with more columns, or a "
            "larger noise, which keeps directions whose effect chance can explain."
        )
    return origin, (whitening / unit[:, None]) @ kept, removed


def _regressors(basis: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Return orthonormal weighted regressors of the rows of a class, (B, n)."""
    root = np.sqrt(w)[:, None]
    left, size, _ = np.linalg.svd(root * (basis - w @ basis / w.sum()), full_matrices=False)
    return np.asarray((root * left[:, size > _TINY * size.max(initial=0.0)]).T)


def _effects(
    white: np.ndarray, members: list[np.ndarray], regressors: list[np.ndarray]
) -> np.ndarray:
    """Return the weighted regression coefficients of whitened rows in all classes, (B, D)."""
    return np.concatenate(
        [part @ white[own] for own, part in zip(members, regressors, strict=True)]
    )


def _steady(
    white: np.ndarray,
    kept: np.ndarray,
    members: list[np.ndarray],
    regressors: list[np.ndarray],
    noise: float,
) -> np.ndarray:
    """Return the kept directions whose variance chance explains, (D, E).

    Directions with large changes also raise what chance gives. Therefore the others are compared
    again without them, until none is removed.
    """
    while kept.size:
        rest = white @ kept
        size, axes = np.linalg.eigh(_spreads(rest, members, regressors))
        usual = size <= noise * _by_chance(_spreads, rest, members, regressors)
        if usual.all():
            break
        kept = kept @ axes[:, usual]
    return kept


def _spreads(
    white: np.ndarray, members: list[np.ndarray], regressors: list[np.ndarray]
) -> np.ndarray:
    """Return the root of the sum of squared effects on second moments in all classes, (D, D)."""
    total = np.zeros((white.shape[1], white.shape[1]))
    for own, part in zip(members, regressors, strict=True):
        effects = [(white[own].T * one) @ white[own] for one in part]
        total += sum(effect @ effect for effect in effects)
    value, axes = np.linalg.eigh(total)
    return np.asarray((axes * np.sqrt(np.maximum(value, 0.0))) @ axes.T)


def _by_chance(
    effects: Callable[..., np.ndarray],
    white: np.ndarray,
    members: list[np.ndarray],
    regressors: list[np.ndarray],
) -> float:
    """Return the largest effect that chance gives, from exchanges of rows within classes."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(_EXCHANGES):
        mixed = [rng.permutation(own) for own in members]
        found.append(np.linalg.norm(effects(white, mixed, regressors), ord=2))
    return float(np.mean(found) + _SURE * np.std(found))
