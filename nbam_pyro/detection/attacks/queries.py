"""`square_queries`: an attack that needs no gradients, only scores.

The Square attacks of torchattacks 3.5 and ART 1.20 need the class labels and the logits of a
classifier of images, and ART draws one square for all images of a batch. An anomaly score is one
number, and rows may be tables. Therefore the search is written here.
"""

from bisect import bisect
from collections.abc import Callable

import numpy as np
import torch

from nbam_pyro.detection.attacks.ball import Ball, Bounds
from nbam_pyro.errors import DataError
from nbam_pyro.models.likelihoods.component import check_whole

__all__ = ["square_queries"]

# Shares of the queries after which the changed part of a row is halved, and its first share.
_HALVINGS = (0.001, 0.005, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8)
_FIRST = 0.8


def square_queries(
    score: Callable[[np.ndarray], np.ndarray],
    x: np.ndarray,
    sign: np.ndarray,
    *,
    eps: float | np.ndarray,
    queries: int = 2000,
    bounds: Bounds | None = None,
    begin: np.ndarray | None = None,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Move rows to where their score is worst by trying random changes, without gradients.

    Each query changes a random square of an image, or random features of a table, to x + eps or
    x - eps, and keeps the change for the rows whose score is worse. The changed part becomes
    smaller with time. The row itself is among the rows that are compared.

    Args:
        score: Function that takes rows (N, ...) and returns scores (N,).
        x: Rows of a table, (N, D), or images, (N, C, H, W).
        sign: Direction for each row, (N,): 1 to raise its score, -1 to lower it.
        eps: Largest change of a value, as a number, or broadcast to x for features of different
            units.
        queries: Number of calls of `score` for each row.
        bounds: Smallest and largest value of x; None without bounds.
        begin: Rows of an earlier attack to start with, (N, ...), moved into the ball if they lie
            outside of it. None for x.
        seed: Seed of the random changes.

    Returns:
        The worst row found for each row, (N, ...), and its score, (N,).

    Raises:
        DataError: x is neither a table nor images, or not within the bounds; eps is negative or not
            finite; or `queries` is below 1.

    Source: Andriushchenko et al. (2020).

    Example:
        >>> x = np.zeros((2, 3))
        >>> square_queries(lambda x: x @ [1, 2, 4], x, np.array([1, -1]), eps=0.5, queries=200)[1]
        array([ 3.5, -3.5])
    """
    check_whole("queries", queries, least=1)
    if x.ndim not in (2, 4):
        raise DataError(f"x has shape {x.shape}; give features (N, D) or images (N, C, H, W).")
    rng = np.random.default_rng(seed)
    rows = torch.as_tensor(np.asarray(x, dtype=float))
    ball = Ball.around(rows, torch.as_tensor(np.asarray(eps, dtype=float)), bounds)
    low, high = ball.low.numpy(), ball.high.numpy()
    worst, scores = x, score(x)
    if begin is not None:
        worst, scores = _worse(score, np.clip(begin, low, high), worst, scores, sign)
    for query in range(queries - 1):
        if query == 0:
            mask, up = np.ones(x.shape, bool), _stripes(x.shape, rng)
        else:
            share = _FIRST * 0.5 ** bisect(_HALVINGS, query / queries)
            mask, up = _part(x.shape, share, rng)
        tried = np.where(mask, np.where(up, high, low), worst)
        worst, scores = _worse(score, tried, worst, scores, sign)
    return worst, scores


def _worse(
    score: Callable[[np.ndarray], np.ndarray],
    tried: np.ndarray,
    worst: np.ndarray,
    scores: np.ndarray,
    sign: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    found = score(tried)
    worse = sign * found > sign * scores
    rows = worse.reshape(-1, *(1,) * (worst.ndim - 1))
    return np.where(rows, tried, worst), np.where(worse, found, scores)


def _stripes(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Return a random direction for each column of an image or each feature, broadcast to rows."""
    if len(shape) == 2:
        return rng.random(shape) < 0.5
    count, channels, _, width = shape
    return rng.random((count, channels, 1, width)) < 0.5


def _part(
    shape: tuple[int, ...], share: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return a mask of the part of each row that changes, and its direction, broadcast to rows."""
    if len(shape) == 2:
        order = rng.random(shape).argsort(1)
        return order < max(1, round(share * shape[1])), rng.random(shape) < 0.5
    count, channels, height, width = shape
    side = min(max(1, round((share * height * width) ** 0.5)), height, width)
    top = rng.integers(height - side + 1, size=(count, 1, 1, 1))
    left = rng.integers(width - side + 1, size=(count, 1, 1, 1))
    down, right = np.arange(height)[:, None], np.arange(width)
    mask = (down >= top) & (down < top + side) & (right >= left) & (right < left + side)
    return mask, rng.random((count, channels, 1, 1)) < 0.5
