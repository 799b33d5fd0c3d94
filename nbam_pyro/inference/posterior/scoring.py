"""Evaluate a function of rows and global latents over the posterior of a fit."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nbam_pyro.checks.numbers import check_finite
from nbam_pyro.errors import DataError
from nbam_pyro.inference.posterior.draws import RowFunction, Scored, at_draws
from nbam_pyro.inference.posterior.fit_result import Fit
from nbam_pyro.inference.variational.guides import guide_draws, guide_median
from nbam_pyro.training.contexts import evaluated
from nbam_pyro.training.tensors import as_tensor, in_precision, precision_of
from nbam_pyro.verified import NOTHING, Verified


def settled(fit: Fit) -> Fit:
    """The fit itself where its story is in evaluation mode, else with a copy of it that is."""
    story = evaluated(fit.story)
    return fit if story is fit.story else replace(fit, story=story)


def scored_rows(fit: Fit, x: Any, y: Any = None, verified: Verified = NOTHING) -> Scored:
    """x, y and what is verified, checked; a single row is fine.

    Raises:
        DataError: lengths differ, there is no row, rows are of another kind than those fitted, a
            value is missing or infinite, a label is unknown, or something verified cannot be.
    """
    dtype = precision_of(fit.story, fit.guide)
    rows = in_precision(as_tensor(x), dtype)
    targets = fit.kind.blank(len(rows), dtype)[1] if y is None else as_tensor(y)
    if fit.story.centre == 0:
        targets = in_precision(targets, dtype)
    if len(rows) != len(targets) or not len(rows):
        raise DataError(f"x has {len(rows)} rows and y has {len(targets)}; they must agree.")
    fit.kind.check(rows, targets)
    fit.story.check_rows(rows)
    check_finite(rows, "x")
    check_finite(targets, "y")
    if y is not None:
        _check_labels(fit, rows, targets)
    fit.story.check_verified(targets, verified)
    return Scored(rows, targets, verified)


def per_draw(
    fit: Fit,
    of: RowFunction,
    x: Any,
    y: Any,
    *,
    num_draws: int,
    verified: Verified = NOTHING,
) -> np.ndarray:
    """A function of every row at every draw of the global latents, (S, N, ...).

    y is None where the function does not need it.
    """
    rows = scored_rows(fit, x, y, verified)
    draws = guide_draws(fit.guide, num_draws)
    return torch.cat(list(at_draws(fit.story, of, rows, draws)), 1).numpy()


def mean_over_draws(
    fit: Fit,
    of: RowFunction,
    x: Any,
    y: Any,
    *,
    num_draws: int,
    verified: Verified = NOTHING,
) -> np.ndarray:
    """As `per_draw`, averaged over the draws, (N, ...), in the memory of a few rows."""
    rows = scored_rows(fit, x, y, verified)
    draws = guide_draws(fit.guide, num_draws)
    return torch.cat([part.mean(0) for part in at_draws(fit.story, of, rows, draws)]).numpy()


def at_median(
    fit: Fit, of: RowFunction, x: Any, y: Any = None, *, verified: Verified = NOTHING
) -> np.ndarray:
    """A function of every row at the guide's median, (N, ...); y is not needed by every one."""
    rows = scored_rows(fit, x, y, verified)
    latents = guide_median(fit.guide)
    with torch.no_grad():
        parts = [of(part, latents) for part in rows.parts()]
    return torch.cat(parts).cpu().numpy()


def _check_labels(fit: Fit, x: Tensor, y: Tensor) -> None:
    # Measurements may lie outside a stated range when they are scored; labels may not.
    if fit.story.latent_label is not None or not y.is_floating_point():
        with torch.no_grad():
            fit.story.check_targets(x, y)
