"""Evaluate a function of rows and global latents over the posterior of a fit."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nbam_pyro.checks.numbers import check_finite
from nbam_pyro.errors import DataError
from nbam_pyro.inference.posterior.draws import RowFunction, Scored, at_draws
from nbam_pyro.inference.posterior.fit_result import Fit
from nbam_pyro.inference.posterior.label_posteriors import (
    LabelPosteriors,
    label_posteriors,
    rows_at_once,
)
from nbam_pyro.inference.variational.guides import guide_draws, guide_median
from nbam_pyro.training.contexts import evaluated
from nbam_pyro.training.tensors import as_tensor, in_precision, precision_of
from nbam_pyro.verified import NOTHING, Verified


def in_evaluation_mode(fit: Fit) -> Fit:
    """Return the fit with its story in evaluation mode.

    If the story is already in evaluation mode, the result is the fit itself. Otherwise it is a fit
    with a copy of the story, and the caller's story does not change.
    """
    story = evaluated(fit.story)
    return fit if story is fit.story else replace(fit, story=story)


def scored_rows(fit: Fit, x: Any, y: Any = None, verified: Verified = NOTHING) -> Scored:
    """Check rows, targets and verified values, and return them as tensors.

    Args:
        fit: Fitted story.
        x: Rows, (N, ...). A single row, (1, ...), is allowed.
        y: Observed targets, (N, *dims); None for functions that do not depend on the targets.
        verified: Verified switches and true labels of the rows.

    Raises:
        DataError: Lengths differ, there is no row, the rows have another shape or type than those
            of the fit, a value is missing or infinite, a label is out of range, or verified values
            contradict the targets.
    """
    dtype = precision_of(fit.story, fit.guide)
    rows = in_precision(as_tensor(x), dtype)
    targets = fit.kind.blank(len(rows), dtype)[1] if y is None else as_tensor(y)
    if fit.story.centre == 0:
        targets = in_precision(targets, dtype)
    if len(rows) != len(targets):
        raise DataError(
            f"x has {len(rows)} rows, but y has {len(targets)}. Give one target for each row."
        )
    if not len(rows):
        raise DataError("x has no rows. Give at least one row.")
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
    function: RowFunction,
    x: Any,
    y: Any,
    *,
    num_draws: int,
    verified: Verified = NOTHING,
) -> Iterator[np.ndarray]:
    """Evaluate a function of every row at every draw of the global latents, part by part.

    Args:
        fit: Fitted story, in evaluation mode.
        function: Function that takes rows and one draw of the global latents, and returns one value
            per row, (n, ...).
        x: Rows, (N, ...).
        y: Observed targets, (N, *dims); None where the function does not depend on the targets.
        num_draws: Number of draws of the global latents, S.
        verified: Verified switches and true labels of the rows.

    Returns:
        An iterator over parts of the rows, in order, with values (S, n, ...).

    Raises:
        DataError: The rows are invalid (see `scored_rows`).
    """
    rows = scored_rows(fit, x, y, verified)
    draws = guide_draws(fit.guide, num_draws)
    return (part.numpy() for part in at_draws(fit.story, function, rows, draws))


def mean_over_draws(
    fit: Fit,
    function: RowFunction,
    x: Any,
    y: Any,
    *,
    labels: Callable[[LabelPosteriors], Tensor],
    num_draws: int,
    verified: Verified = NOTHING,
) -> np.ndarray:
    """Average a function of every row over draws of the global latents, (N, ...).

    The other arguments and errors are those of `per_draw`. Only the draws of a part of the rows are
    in memory at once.

    Args:
        labels: The mean from the posteriors of labels, (n, ...). It replaces the function if the
            fit has explanations of the labels (`explained`).
    """
    found = explained(fit, x, y, num_draws=num_draws, verified=verified)
    if found is not None:
        return torch.cat([labels(part).cpu() for part in found]).numpy()
    each = per_draw(fit, function, x, y, num_draws=num_draws, verified=verified)
    return np.concatenate([part.mean(0) for part in each])


def explained(
    fit: Fit,
    x: Any,
    y: Any,
    *,
    num_draws: int,
    verified: Verified = NOTHING,
    seed: int = 0,
    drawn: bool = False,
) -> Iterator[LabelPosteriors] | None:
    """Return the posteriors of labels, part by part, over draws of the explanations of the labels.

    The other arguments and errors are those of `per_draw`.

    Args:
        seed: Seed of the draws.
        drawn: Whether to return the probabilities at each draw, too.

    Returns:
        An iterator over parts of the rows, in order; None if the fit has no explanations, and
        trusts its network.
    """
    story, trust = fit.story.latent_label, fit.trust
    if story is None or trust is None:
        return None
    rows = scored_rows(fit, x, y, verified)
    draws = guide_draws(fit.guide, num_draws, seed=seed)
    read = trust.draws(draws)
    parts = rows.parts(rows_at_once(story, rows.y, num_draws, drawn=drawn))
    return (label_posteriors(story, part, draws, read, drawn=drawn) for part in parts)


def at_median(
    fit: Fit, function: RowFunction, x: Any, y: Any = None, *, verified: Verified = NOTHING
) -> np.ndarray:
    """Evaluate a function of every row at the guide's median of the global latents, (N, ...).

    The arguments and errors are those of `per_draw`.
    """
    rows = scored_rows(fit, x, y, verified)
    latents = guide_median(fit.guide)
    with torch.no_grad():
        parts = [function(part, latents) for part in rows.parts()]
    return torch.cat(parts).cpu().numpy()


def _check_labels(fit: Fit, x: Tensor, y: Tensor) -> None:
    # Scored measurements may lie outside a stated range. Labels must be known ones.
    if fit.story.latent_label is not None or not y.is_floating_point():
        with torch.no_grad():
            fit.story.check_targets(x, y)
