"""Conversion of a fit, or of draws, to an ArviZ DataTree."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
import xarray as xr

from nbam_pyro import functional as nf
from nbam_pyro.inference.posterior.draws import Scored, at_draws, point_estimates
from nbam_pyro.inference.posterior.fit_result import Fit
from nbam_pyro.inference.posterior.latents_tree import coordinate, latent_arrays
from nbam_pyro.inference.posterior.predictive import log_priors, predictive_draws, prior_draws
from nbam_pyro.inference.posterior.scoring import in_evaluation_mode, scored_rows
from nbam_pyro.inference.variational.enumeration import log_joint
from nbam_pyro.inference.variational.guides import Draw, guide_draws
from nbam_pyro.models import Story
from nbam_pyro.models.likelihoods.component import check_whole
from nbam_pyro.verified import NOTHING, Verified

__all__ = ["to_datatree", "tree_of_draws"]


def to_datatree(
    fit: Fit,
    x: Any,
    y: Any,
    *,
    verified: Verified = NOTHING,
    num_draws: int = 500,
    num_predictive: int | None = None,
    class_names: Sequence[Any] | None = None,
    row_ids: Sequence[Any] | None = None,
    coords: Mapping[str, Sequence[Any]] | None = None,
    dims: Mapping[str, Sequence[str]] | None = None,
    seed: int = 0,
) -> xr.DataTree:
    """Convert a fit and some rows to an ArviZ DataTree.

    The tree has these groups:

    * `posterior` and `prior`: draws of the global latents; for `LabelFlip` also
      "transition_matrix" and "flip_matrix".
    * `log_likelihood`: log p(y | x, latents) with the switch summed out where it is not verified.
      Only stories without trained weights have it, since ArviZ's `loo`, `plot_loo_pit` and `psense`
      of the likelihood are wrong where weights were trained on the same rows.
    * `log_likelihood_in_sample`: the same where weights were trained, without held-out rows.
    * `held_out_log_density`: the same for the held-out rows.
    * `log_prior`: one term for each global latent.
    * `posterior_predictive` and `prior_predictive`: targets drawn for the same rows.
    * `observed_data`: the observed targets.
    * `constant_data`: "held_out", and verified values, -1 where nothing is verified.

    All groups are conditional on the fitted networks. A draw has the same coordinates "chain" and
    "draw" in every group. The draws of a guide form one chain and are independent, so convergence
    diagnostics have no meaning for them: use `arviz_stats.summary(tree, kind="stats")`.

    Args:
        fit: Fitted story.
        x: Rows, (N, ...).
        y: Observed targets, (N,) or (N, *dims).
        verified: Verified switches or true labels of some rows; by default nothing is verified.
        num_draws: Number of draws of the global latents.
        num_predictive: Number of these draws at which targets are drawn, evenly spaced. The
            networks run once for each of them. None for all draws, which `arviz_plots.plot_loo_pit`
            needs.
        class_names: Names of the classes in the tree, (K,); 0, ..., K-1 by default.
        row_ids: Names of the rows in the tree, (N,); 0, ..., N-1 by default.
        coords: Further coordinates by dimension, such as `{"clinic": ["A", "B"]}`.
        dims: Names of the dimensions of a site, such as `{"group": ["clinic"]}`.
        seed: Seed of the draws. Torch's global random state is not changed.

    Returns:
        The tree.

    Raises:
        DataError: The rows have another shape or type than those of the fit, there are more or
            fewer names than classes or rows, a name is given to two classes, or a number of draws
            is below one.
    """
    check_whole("num_draws", num_draws, least=1)
    fit = in_evaluation_mode(fit)
    rows = scored_rows(fit, x, y, verified)
    draws = guide_draws(fit.guide, num_draws, seed=seed)
    return tree_of_draws(
        fit.story,
        {name: value[None] for name, value in draws.items()},
        rows,
        num_predictive=num_draws if num_predictive is None else num_predictive,
        class_names=class_names,
        row_ids=row_ids,
        coords=coords,
        dims=dims,
        held_out=fit.held_out,
        seed=seed,
    )


def tree_of_draws(
    story: Story,
    draws: Draw,
    rows: Scored,
    *,
    num_predictive: int | None = None,
    class_names: Sequence[Any] | None = None,
    row_ids: Sequence[Any] | None = None,
    coords: Mapping[str, Sequence[Any]] | None = None,
    dims: Mapping[str, Sequence[str]] | None = None,
    held_out: np.ndarray | None = None,
    sample_stats: Mapping[str, np.ndarray] | None = None,
    seed: int = 0,
) -> xr.DataTree:
    """Build a DataTree from draws of the global latents, which come from a guide or from MCMC.

    Args:
        story: Story with its fitted networks.
        draws: Draws by site name, (chains, draws, ...).
        rows: Rows for all groups of the tree that contain values of rows, such as `observed_data`.
        num_predictive: Number of draws at which targets are drawn, in total over all chains. They
            are evenly spaced in every chain, with at least one in each chain. None for all draws.
        class_names: Names of the classes in the tree, (K,); 0, ..., K-1 by default.
        row_ids: Names of the rows in the tree, (N,); 0, ..., N-1 by default.
        coords: Further coordinates by dimension.
        dims: Names of the dimensions of a site.
        held_out: Booleans that are True for the held-out rows of the fit. If their number is not N,
            `rows` are not the rows of the fit, and the tree has no variable "held_out".
        sample_stats: Statistics of MCMC by name, (chains, draws); None if there are no statistics.
        seed: Seed of the draws of targets.

    Returns:
        A tree with the groups of `to_datatree`.

    Raises:
        DataError: There are more or fewer names than classes or rows, or `num_predictive` is below
            one.
    """
    import arviz_base

    if num_predictive is not None:
        check_whole("num_predictive", num_predictive, least=1)
    posterior, names, axes = latent_arrays(story, draws, class_names)
    ids = range(len(rows.y)) if row_ids is None else row_ids
    names["row"] = coordinate("row_ids", ids, len(rows.y))
    known = rows.verified.codes
    constant = {f"verified_{name}": codes.numpy() for name, codes in known.items()}
    axes |= {name: ["row", *story.dims] for name in ("y", *constant)}
    if held_out is not None and len(held_out) == len(rows.y):
        constant["held_out"], axes["held_out"] = held_out, ["row"]
    # A story without global latents is the same at every draw.
    chains, count = next(iter(draws.values())).shape[:2] if draws else (1, num_predictive or 1)
    few = count if num_predictive is None else min(max(num_predictive // chains, 1), count)
    at = np.linspace(0, count - 1, few).astype(int)
    before = {n: v[None] for n, v in prior_draws(story, rows, count, seed=seed).items()}
    targets = {
        "observed_data": rows.y.numpy(),
        "posterior_predictive": _predictive(story, rows, draws, (chains, at), seed),
        "prior_predictive": _predictive(story, rows, before, (1, at), seed),
    }
    terms = log_priors(story, rows, draws) if draws else {}
    groups: dict[str, dict[str, Any]] = {
        "posterior": posterior,
        "prior": latent_arrays(story, before, class_names)[0],
        **{group: {"y": values} for group, values in _counted(targets).items()},
    }
    groups |= {"sample_stats": dict(sample_stats)} if sample_stats else {}
    groups |= {"constant_data": constant} if constant else {}
    axes |= {site: list(names) for site, names in (dims or {}).items()}
    names |= dict(coords or {})
    tree = arviz_base.from_dict(groups, coords=names, dims=axes)
    for group in ("posterior_predictive", "prior_predictive"):  # name the draws that were taken
        tree[group] = xr.DataTree(tree[group].to_dataset().assign_coords(draw=at))
    if terms:  # they have the names of the latents, but not their dimensions
        tree["log_prior"] = xr.DataTree(arviz_base.dict_to_dataset(terms))
    else:  # ArviZ needs the number of draws even of a posterior without sites
        drawn = {"chain": np.arange(chains), "draw": np.arange(count)}
        tree["posterior"] = xr.DataTree(xr.Dataset(coords=drawn))
    densities = _log_likelihood(story, rows, draws, (chains, count))
    unseen = constant.get("held_out", np.zeros(len(rows.y), dtype=bool))
    for group, kept in _densities(story, unseen).items():
        tree[group] = arviz_base.from_dict(
            {group: {"y": densities[:, :, kept]}},
            coords=names | {"row": np.asarray(names["row"])[kept]},
            dims={"y": axes["y"]},
        )[group]
    return tree


def _densities(story: Story, unseen: np.ndarray) -> dict[str, np.ndarray]:
    """Return the rows, as booleans (N,), of each group of log densities.

    Args:
        story: Story with its fitted networks.
        unseen: Booleans that mark the rows held out from the fit, (N,).
    """
    seen = "log_likelihood_in_sample" if point_estimates(story) else "log_likelihood"
    return {
        group: rows
        for group, rows in ((seen, ~unseen), ("held_out_log_density", unseen))
        if rows.any()
    }


def _predictive(
    story: Story, rows: Scored, draws: Draw, shape: tuple[int, np.ndarray], seed: int
) -> np.ndarray:
    """Draw targets at some draws of every chain, (chains, draws taken, N, *dims)."""
    chains, at = shape
    few = {name: value[:, at].flatten(end_dim=1) for name, value in draws.items()}
    values = predictive_draws(story, rows, few, chains * len(at), seed=seed)
    return values.reshape(chains, len(at), *values.shape[2:])


def _counted(groups: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Convert targets to integers if all are whole numbers; ArviZ then plots them as discrete."""
    exact = 2.0**53
    if all((v == np.round(v)).all() and (abs(v) < exact).all() for v in groups.values()):
        return {name: values.astype(np.int64) for name, values in groups.items()}
    return groups


def _log_likelihood(story: Story, rows: Scored, draws: Draw, shape: tuple[int, int]) -> np.ndarray:
    """Return log marginals of rows at every draw, (chains, draws, N, *dims)."""

    def log_marginal(part: Scored, latents: Draw) -> torch.Tensor:
        return nf.log_marginal(*log_joint(story, part.x, part.y, latents, verified=part.verified))

    flat = {name: value.flatten(end_dim=1) for name, value in draws.items()}
    values = torch.cat(list(at_draws(story, log_marginal, rows, flat)), 1)
    return values.expand(math.prod(shape), *values.shape[1:]).unflatten(0, shape).numpy()
