"""A fit as an ArviZ DataTree."""

from collections.abc import Sequence
from typing import Any

import arviz_base
import numpy as np
import torch
import xarray as xr

from nbam_pyro import functional as nf
from nbam_pyro.inference.guides import guide_draws
from nbam_pyro.inference.posterior import log_marginals
from nbam_pyro.inference.result import Fit
from nbam_pyro.inference.scoring import scored_rows
from nbam_pyro.models import LabelFlip
from nbam_pyro.verified import Verified

__all__ = ["posterior_tree", "to_datatree"]


def to_datatree(
    fit: Fit,
    x: Any,
    y: Any,
    *,
    verified: Verified | None = None,
    num_draws: int = 500,
    class_names: Sequence[str] | None = None,
    row_ids: Sequence[Any] | None = None,
) -> xr.DataTree:
    """Convert a fit and the rows to look at into ArviZ's format.

    Groups: `posterior` (draws of the global latents from the guide; for `LabelFlip` also
    "transition_matrix" and "flip_matrix"), `log_likelihood` (marginal over the switch, where it is
    not verified), `observed_data` (with -1 for what is not verified) and `constant_data`.
    Draws of a guide form one chain: use `arviz_stats.summary(tree, kind="stats")`.

    Args:
        fit: a fit.
        x: rows, (N, ...).
        y: observed targets, (N,).
        verified: what is verified of the rows, if anything.
        num_draws: of the global latents.
        class_names: coordinates of the classes; 0, ..., K-1 by default.
        row_ids: coordinates of the rows; 0, ..., N-1 by default.
    """
    rows, targets, _ = scored_rows(fit, x, y, verified)
    posterior, coords, dims = _posterior(fit, num_draws, class_names)
    coords["row"] = np.arange(len(targets)) if row_ids is None else list(row_ids)
    known = {} if verified is None else vars(verified)
    observed = {"y": targets, **{f"verified_{name}": codes for name, codes in known.items()}}
    dims |= {name: ["row", *fit.story.dims] for name in observed}
    marginals = log_marginals(fit, rows, targets, num_draws=num_draws, verified=verified)
    groups = {
        "posterior": posterior,
        "log_likelihood": {"y": marginals[None]},
        "observed_data": {name: values.numpy() for name, values in observed.items()},
    }
    if len(fit.held_out) == len(targets):
        groups["constant_data"] = {"held_out": fit.held_out}
        dims["held_out"] = ["row"]
    return arviz_base.from_dict(groups, coords=coords, dims=dims)


def posterior_tree(fit: Fit, *, num_draws: int = 500) -> xr.DataTree:
    """The `posterior` group alone, which needs no rows."""
    posterior, coords, dims = _posterior(fit, num_draws, None)
    return arviz_base.from_dict({"posterior": posterior}, coords=coords, dims=dims)


def _posterior(
    fit: Fit, num_draws: int, class_names: Sequence[str] | None
) -> tuple[dict[str, np.ndarray], dict[str, Any], dict[str, list[str]]]:
    """Draws of the global latents in one chain, with their coordinates and dimensions."""
    draws = guide_draws(fit.guide, num_draws)
    posterior = {name: value.numpy()[None] for name, value in draws.items()}
    coords: dict[str, Any] = {}
    dims: dict[str, list[str]] = {}
    if isinstance(fit.story, LabelFlip):
        names = class_names or [str(c) for c in range(fit.story.num_classes)]
        coords |= {"true_label": list(names), "observed_label": list(names)}
        dims |= {"rate": ["true_label"], "transition_matrix": ["true_label", "observed_label"]}
        dims["flip_matrix"] = dims["transition_matrix"]
        flips = torch.vmap(nf.zero_diagonal)(draws["flip"])
        matrices = torch.vmap(nf.transition_matrix)(draws["rate"], flips)
        del posterior["flip"]  # its columns mean another class in every row
        posterior |= {
            "flip_matrix": flips.numpy()[None],
            "transition_matrix": matrices.numpy()[None],
        }
    return posterior, coords, dims
