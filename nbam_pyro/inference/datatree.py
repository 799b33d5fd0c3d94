"""A fit as an ArviZ DataTree."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import arviz_base
import numpy as np
import torch
import xarray as xr

from nbam_pyro import functional as nf
from nbam_pyro.inference.enumeration import log_joint
from nbam_pyro.inference.guides import Draw, guide_draws
from nbam_pyro.inference.predictive import log_priors, predictive_draws, prior_draws
from nbam_pyro.inference.result import Fit
from nbam_pyro.inference.scoring import Scored, at_draws, scored_rows
from nbam_pyro.models import LabelFlip, Story
from nbam_pyro.verified import Verified

__all__ = ["named_numbers", "posterior_tree", "to_datatree", "tree_of_draws"]


def to_datatree(
    fit: Fit,
    x: Any,
    y: Any,
    *,
    verified: Verified | None = None,
    num_draws: int = 500,
    num_predictive: int = 100,
    class_names: Sequence[str] | None = None,
    row_ids: Sequence[Any] | None = None,
    seed: int = 0,
) -> xr.DataTree:
    """Convert a fit and the rows to look at into ArviZ's format.

    Groups: `posterior` and `prior` (draws of the global latents; for `LabelFlip` also
    "transition_matrix" and "flip_matrix"), `log_likelihood` (marginal over the switch, where it is
    not verified), `log_prior` (a term for every global latent), `posterior_predictive` and
    `prior_predictive` (targets of the same rows), `observed_data` (with -1 for what is not
    verified) and `constant_data`. All of it is conditional on the fitted networks.

    Draws of a guide form one chain: use `arviz_stats.summary(tree, kind="stats")`.

    Args:
        fit: a fit.
        x: rows, (N, ...).
        y: observed targets, (N,).
        verified: what is verified of the rows, if anything.
        num_draws: of the global latents.
        num_predictive: how many of them to draw targets at, which runs the networks each time.
        class_names: coordinates of the classes; 0, ..., K-1 by default.
        row_ids: coordinates of the rows; 0, ..., N-1 by default.
        seed: of the draws; torch's global random state is left as it was.
    """
    rows = scored_rows(fit, x, y, verified)
    draws = guide_draws(fit.guide, num_draws, seed=seed)
    return tree_of_draws(
        fit.story,
        {name: value[None] for name, value in draws.items()},
        rows,
        num_predictive=num_predictive,
        class_names=class_names,
        row_ids=row_ids,
        held_out=fit.held_out,
        seed=seed,
    )


def tree_of_draws(
    story: Story,
    draws: Draw,
    rows: Scored,
    *,
    num_predictive: int = 100,
    class_names: Sequence[str] | None = None,
    row_ids: Sequence[Any] | None = None,
    held_out: np.ndarray | None = None,
    sample_stats: Mapping[str, np.ndarray] | None = None,
    seed: int = 0,
) -> xr.DataTree:
    """Draws of the global latents, from a guide or MCMC, and all that follows from them.

    Args:
        story: with its fitted networks.
        draws: by site name, (chains, draws, ...).
        rows: to look at.
        num_predictive: how many draws to draw targets at.
        class_names: coordinates of the classes; 0, ..., K-1 by default.
        row_ids: coordinates of the rows; 0, ..., N-1 by default.
        held_out: which rows were kept from training, where there are as many.
        sample_stats: of MCMC, (chains, draws).
        seed: of the draws.
    """
    posterior, coords, dims = _latents(story, draws, class_names)
    coords["row"] = np.arange(len(rows.y)) if row_ids is None else list(row_ids)
    known = {} if rows.verified is None else vars(rows.verified)
    observed = {"y": rows.y, **{f"verified_{name}": codes for name, codes in known.items()}}
    dims |= {name: ["row", *story.dims] for name in observed}
    flat = {name: value.flatten(end_dim=1) for name, value in draws.items()}
    chains, count = next(iter(draws.values())).shape[:2] if draws else (1, 1)
    number = min(num_predictive, chains * count) if draws else num_predictive
    spread = np.linspace(0, chains * count - 1, number).astype(int)
    few = {name: value[spread] for name, value in flat.items()}
    before = prior_draws(story, rows, max(count, num_predictive), seed=seed)
    few_before = {name: value[:num_predictive] for name, value in before.items()}
    groups: dict[str, dict[str, Any]] = {
        "posterior": posterior,
        "posterior_predictive": {"y": predictive_draws(story, rows, few, number, seed=seed)},
        "log_likelihood": {"y": _log_likelihood(story, rows, flat, chains)},
        "prior": _latents(story, {n: v[None] for n, v in before.items()}, class_names)[0],
        "prior_predictive": {
            "y": predictive_draws(story, rows, few_before, num_predictive, seed=seed)
        },
        "observed_data": {name: values.numpy() for name, values in observed.items()},
    }
    if sample_stats:
        groups["sample_stats"] = dict(sample_stats)
    if held_out is not None and len(held_out) == len(rows.y):
        groups["constant_data"] = {"held_out": held_out}
        dims["held_out"] = ["row"]
    tree = arviz_base.from_dict(groups, coords=coords, dims=dims)
    if draws:  # terms have the names of the latents and none of their dimensions
        terms = arviz_base.dict_to_dataset(log_priors(story, rows, draws))
        tree["log_prior"] = xr.DataTree(terms)
    return tree


def named_numbers(
    data: xr.Dataset, names: Sequence[str], *, kept: Sequence[str] = ()
) -> Iterator[tuple[str, xr.DataArray]]:
    """Every number of some variables with ArviZ's name of it, such as "rate[cat]".

    Args:
        data: a group of a tree, or a summary of one.
        names: of its variables.
        kept: dimensions that stay: the values are arrays over them.
    """
    labeller = arviz_base.labels.BaseLabeller()
    for name, where, at, values in arviz_base.xarray_var_iter(
        data, var_names=list(names), skip_dims=set(kept)
    ):
        yield labeller.make_label_flat(name, where, at), values


def posterior_tree(fit: Fit, *, num_draws: int = 500) -> xr.DataTree:
    """The `posterior` group alone, which needs no rows."""
    draws = guide_draws(fit.guide, num_draws)
    posterior, coords, dims = _latents(fit.story, {n: v[None] for n, v in draws.items()}, None)
    return arviz_base.from_dict({"posterior": posterior}, coords=coords, dims=dims)


def _log_likelihood(story: Story, rows: Scored, flat: Draw, chains: int) -> np.ndarray:
    def of(part: Scored, latents: Draw) -> torch.Tensor:
        return nf.log_marginal(*log_joint(story, part.x, part.y, latents, verified=part.verified))

    values = torch.cat(list(at_draws(story, of, rows, flat)), 1).numpy()
    return values.reshape(chains, -1, *values.shape[1:])


def _latents(
    story: Story, draws: Draw, class_names: Sequence[str] | None
) -> tuple[dict[str, np.ndarray], dict[str, Any], dict[str, list[str]]]:
    """Draws of the global latents, with their coordinates and dimensions."""
    values = {name: value.numpy() for name, value in draws.items()}
    coords: dict[str, Any] = {}
    dims: dict[str, list[str]] = {}
    if isinstance(story, LabelFlip):
        names = class_names or [str(c) for c in range(story.num_classes)]
        coords |= {"true_label": list(names), "observed_label": list(names)}
        dims |= {"rate": ["true_label"], "transition_matrix": ["true_label", "observed_label"]}
        dims["flip_matrix"] = dims["transition_matrix"]
        flips = torch.vmap(torch.vmap(nf.zero_diagonal))(draws["flip"])
        matrices = torch.vmap(torch.vmap(nf.transition_matrix))(draws["rate"], flips)
        del values["flip"]  # its columns mean another class in every row
        values |= {"flip_matrix": flips.numpy(), "transition_matrix": matrices.numpy()}
    return values, coords, dims
