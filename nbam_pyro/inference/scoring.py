"""Evaluate a function of rows and global latents over the posterior of a fit."""

from collections.abc import Callable
from itertools import chain
from typing import Any

import numpy as np
import pyro
import torch
from torch import Tensor

from nbam_pyro.errors import DataError
from nbam_pyro.inference.guides import Draw, each_draw, evaluating, guide_draws, guide_median
from nbam_pyro.inference.result import Fit
from nbam_pyro.inference.rows import as_tensor, check_finite
from nbam_pyro.models import ClosedStory, LabelFlip

RowFunction = Callable[[Tensor, Tensor, Draw], Tensor]

# Rows at a time: bounds the memory of draws x rows x classes.
_CHUNK = 2048


def scored_rows(fit: Fit, x: Any, y: Any = None) -> tuple[Tensor, Tensor]:
    """x and y as tensors of the story's own precision, checked; a single row is fine.

    Raises:
        DataError: lengths differ, there is no row, rows are of another kind than those fitted, or a
            value is missing or infinite.
    """
    parameters = chain(fit.story.parameters(), fit.guide.parameters())
    dtype = next((p.dtype for p in parameters if p.is_floating_point()), None)
    rows = as_tensor(x, dtype)
    targets = fit.kind.blank(len(rows))[1] if y is None else as_tensor(y, dtype)
    if len(rows) != len(targets) or not len(rows):
        raise DataError(f"x has {len(rows)} rows and y has {len(targets)}; they must agree.")
    fit.kind.check(rows, targets)
    check_finite("x", rows)
    check_finite("y", targets)
    return rows, targets


def per_draw(fit: Fit, of: RowFunction, x: Any, y: Any, *, num_draws: int) -> np.ndarray:
    """A function of every row at every draw of the global latents, (S, N, ...).

    y is None where the function does not need it.
    """
    rows, targets = scored_rows(fit, x, y)
    if y is not None:
        _check_labels(fit, rows, targets)
    draws = guide_draws(fit.guide, num_draws)
    # Data-dependent argument checks of distributions do not pass through vmap.
    with torch.no_grad(), evaluating(fit.story), pyro.validation_enabled(False):
        parts = [
            _batched(fit, of, rows[i : i + _CHUNK], targets[i : i + _CHUNK], draws)
            for i in range(0, len(rows), _CHUNK)
        ]
    return torch.cat(parts, 1).cpu().numpy()


def mean_over_draws(fit: Fit, of: RowFunction, x: Any, y: Any, *, num_draws: int) -> np.ndarray:
    """As `per_draw`, averaged over the draws, (N, ...), in the memory of a few rows."""
    return np.concatenate(
        [
            per_draw(fit, of, x[i : i + _CHUNK], _part(y, i), num_draws=num_draws).mean(0)
            for i in range(0, len(x), _CHUNK)
        ]
    )


def _part(y: Any, start: int) -> Any:
    return None if y is None else y[start : start + _CHUNK]


def at_median(fit: Fit, of: RowFunction, x: Any, y: Any = None) -> np.ndarray:
    """A function of every row at the guide's median, (N, ...); y is not needed by every one."""
    rows, targets = scored_rows(fit, x, y)
    if y is not None:
        _check_labels(fit, rows, targets)
    latents = guide_median(fit.guide)
    with torch.no_grad(), evaluating(fit.story):
        parts = [
            of(rows[i : i + _CHUNK], targets[i : i + _CHUNK], latents)
            for i in range(0, len(rows), _CHUNK)
        ]
    return torch.cat(parts).cpu().numpy()


def _check_labels(fit: Fit, x: Tensor, y: Tensor) -> None:
    # Measurements may lie outside a stated range when they are scored; labels may not.
    labels = isinstance(fit.story, LabelFlip) or not y.is_floating_point()
    if isinstance(fit.story, ClosedStory) and labels:
        with torch.no_grad(), evaluating(fit.story):
            fit.story.check_targets(x, y)


def _batched(fit: Fit, of: RowFunction, x: Tensor, y: Tensor, draws: Draw) -> Tensor:
    if not draws:  # no global latents: every draw is the same
        return of(x, y, {})[None]
    if isinstance(fit.story, ClosedStory):  # networks do not depend on draws and run once
        return torch.vmap(lambda one: of(x, y, one))(draws)
    count = len(next(iter(draws.values())))
    return torch.stack([of(x, y, one) for one in each_draw(draws, count)])
