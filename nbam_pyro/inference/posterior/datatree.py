"""A fit as an ArviZ DataTree."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import arviz_base
import numpy as np
import torch
import xarray as xr

from nbam_pyro import functional as nf
from nbam_pyro.errors import DataError
from nbam_pyro.inference.posterior.draws import Scored, at_draws
from nbam_pyro.inference.posterior.fit_result import Fit
from nbam_pyro.inference.posterior.predictive import log_priors, predictive_draws, prior_draws
from nbam_pyro.inference.posterior.scoring import scored_rows, settled
from nbam_pyro.inference.variational.enumeration import log_joint
from nbam_pyro.inference.variational.guides import Draw, guide_draws
from nbam_pyro.models import Story
from nbam_pyro.models.likelihoods.component import check_whole
from nbam_pyro.training.tensors import precision_of
from nbam_pyro.verified import NOTHING, Verified

__all__ = ["named_numbers", "posterior_tree", "to_datatree", "tree_of_draws"]


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
    """Convert a fit and the rows to look at into ArviZ's format.

    Groups: `posterior` and `prior` (draws of the global latents; for `LabelFlip` also
    "transition_matrix" and "flip_matrix"), `log_likelihood` (marginal over the switch, where it is
    not verified), `log_prior` (a term for every global latent), `posterior_predictive` and
    `prior_predictive` (targets of the same rows), `observed_data` and `constant_data` ("held_out",
    and what is verified, -1 where nothing is). All of it is conditional on the fitted networks.

    A draw has the same label, "chain" and "draw", in every group. Draws of a guide form one chain:
    use `arviz_stats.summary(tree, kind="stats")`.

    Args:
        fit: A fit.
        x: Rows, (N, ...).
        y: Observed targets, (N,).
        verified: What is verified of the rows, if anything.
        num_draws: How many draws of the global latents to take.
        num_predictive: At how many of them to draw targets, evenly spaced, which runs the networks
            each time. None for all, which `arviz_plots.plot_loo_pit` needs.
        class_names: Coordinates of the classes, (K,); 0, ..., K-1 by default.
        row_ids: Coordinates of the rows, (N,); 0, ..., N-1 by default.
        coords: Further coordinates by dimension, such as `{"clinic": ["A", "B"]}`.
        dims: Names of the dimensions of a site, such as `{"group": ["clinic"]}`.
        seed: Seed of the draws; torch's global random state is left as it was.

    Returns:
        The tree.

    Raises:
        DataError: The rows are not of the kind fitted, there are more or fewer names than classes
            or rows, a name stands for two classes, or a number of draws is below one.
    """
    check_whole("num_draws", num_draws, least=1)
    fit = settled(fit)
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
    """Draws of the global latents, from a guide or MCMC, and all that follows from them.

    Args:
        story: The story with its fitted networks.
        draws: Draws by site name, (chains, draws, ...).
        rows: Rows to look at.
        num_predictive: At how many draws to draw targets, evenly spaced in every chain, at least
            one in each; None for all.
        class_names: Coordinates of the classes, (K,); 0, ..., K-1 by default.
        row_ids: Coordinates of the rows, (N,); 0, ..., N-1 by default.
        coords: Further coordinates by dimension.
        dims: Names of the dimensions of a site.
        held_out: Which rows were kept from training, (N,), where there are as many.
        sample_stats: Statistics of MCMC by name, (chains, draws).
        seed: Seed of the draws.

    Returns:
        The tree, as `to_datatree` describes it.

    Raises:
        DataError: There are more or fewer names than classes or rows, or `num_predictive` is below
            one.
    """
    if num_predictive is not None:
        check_whole("num_predictive", num_predictive, least=1)
    posterior, names, axes = _latents(story, draws, class_names)
    ids = range(len(rows.y)) if row_ids is None else row_ids
    names["row"] = _coordinate("row_ids", ids, len(rows.y))
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
        "log_likelihood": _log_likelihood(story, rows, draws, (chains, count)),
    }
    terms = log_priors(story, rows, draws) if draws else {}
    groups: dict[str, dict[str, Any]] = {
        "posterior": posterior,
        "prior": _latents(story, before, class_names)[0],
        **{group: {"y": values} for group, values in _counted(targets).items()},
    }
    groups |= {"sample_stats": dict(sample_stats)} if sample_stats else {}
    groups |= {"constant_data": constant} if constant else {}
    axes |= {site: list(names) for site, names in (dims or {}).items()}
    tree = arviz_base.from_dict(groups, coords=names | dict(coords or {}), dims=axes)
    for group in ("posterior_predictive", "prior_predictive"):  # which draws these are
        tree[group] = xr.DataTree(tree[group].to_dataset().assign_coords(draw=at))
    if terms:  # which have the names of the latents and none of their dimensions
        tree["log_prior"] = xr.DataTree(arviz_base.dict_to_dataset(terms))
    else:  # ArviZ counts the draws of a posterior, even of one without sites
        drawn = {"chain": np.arange(chains), "draw": np.arange(count)}
        tree["posterior"] = xr.DataTree(xr.Dataset(coords=drawn))
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


def posterior_tree(
    fit: Fit, *, num_draws: int = 500, class_names: Sequence[Any] | None = None
) -> xr.DataTree:
    """The `posterior` group alone, which needs no rows.

    Args:
        fit: A fit.
        num_draws: How many draws of the global latents to take.
        class_names: Coordinates of the classes, (K,); 0, ..., K-1 by default.
    """
    draws = guide_draws(fit.guide, num_draws)
    drawn = {name: value[None] for name, value in draws.items()}
    posterior, coords, dims = _latents(fit.story, drawn, class_names)
    return arviz_base.from_dict({"posterior": posterior}, coords=coords, dims=dims)


def prior_and_posterior(
    fit: Fit, *, num_draws: int = 500, class_names: Sequence[Any] | None = None
) -> xr.DataTree:
    """The groups `posterior` and `prior` alone, for the rows that a fit was of.

    Args:
        fit: A fit.
        num_draws: How many draws of the global latents to take.
        class_names: Coordinates of the classes, (K,); 0, ..., K-1 by default.
    """
    tree = posterior_tree(fit, num_draws=num_draws, class_names=class_names)
    before = prior_draws(
        fit.story, Scored(*fit.kind.blank(2, precision_of(fit.story, fit.guide))), num_draws
    )
    drawn = {name: value[None] for name, value in before.items()}
    prior, coords, dims = _latents(fit.story, drawn, class_names)
    tree["prior"] = arviz_base.from_dict({"prior": prior}, coords=coords, dims=dims)["prior"]
    return tree


def _predictive(
    story: Story, rows: Scored, draws: Draw, shape: tuple[int, np.ndarray], seed: int
) -> np.ndarray:
    """Targets drawn at some draws of every chain, (chains, few, N, ...)."""
    chains, at = shape
    few = {name: value[:, at].flatten(end_dim=1) for name, value in draws.items()}
    values = predictive_draws(story, rows, few, chains * len(at), seed=seed)
    return values.reshape(chains, len(at), *values.shape[2:])


def _counted(groups: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Groups whose targets are whole numbers throughout as integers: ArviZ draws them as such."""
    targets = {name: values for name, values in groups.items() if name != "log_likelihood"}
    exact = 2.0**53
    if all((v == np.round(v)).all() and (abs(v) < exact).all() for v in targets.values()):
        return groups | {name: values.astype(np.int64) for name, values in targets.items()}
    return groups


def _log_likelihood(story: Story, rows: Scored, draws: Draw, shape: tuple[int, int]) -> np.ndarray:
    """Log marginals of rows at every draw, (chains, draws, N, ...)."""

    def of(part: Scored, latents: Draw) -> torch.Tensor:
        return nf.log_marginal(*log_joint(story, part.x, part.y, latents, verified=part.verified))

    flat = {name: value.flatten(end_dim=1) for name, value in draws.items()}
    values = torch.cat(list(at_draws(story, of, rows, flat)), 1)
    return values.expand(math.prod(shape), *values.shape[1:]).unflatten(0, shape).numpy()


def _latents(
    story: Story, draws: Draw, class_names: Sequence[Any] | None
) -> tuple[dict[str, np.ndarray], dict[str, Any], dict[str, list[str]]]:
    """Draws of the global latents, with their coordinates and dimensions."""
    shown = torch.vmap(torch.vmap(story.reported))(draws) if draws else {}
    values = {name: value.numpy() for name, value in shown.items()}
    coords: dict[str, Any] = {}
    labels = story.latent_label
    if labels is not None:
        names = [str(c) for c in range(labels.num_classes)] if class_names is None else class_names
        classes = _coordinate("class_names", names, labels.num_classes)
        if len(set(classes)) < len(classes):
            raise DataError(f"class_names are {', '.join(map(str, classes))}: one is there twice.")
        coords = {"true_label": classes, "observed_label": classes}
    elif class_names is not None:
        raise DataError(
            f"class_names are given, but {type(story).__name__} has no latent true label: leave "
            "them out."
        )
    dims = {site: axes for site, axes in story.reported_dims.items() if site in values}
    return values, coords, dims


def _coordinate(name: str, given: Any, length: int) -> list[Any]:
    """Names along a dimension as plain numbers or texts, which files can hold."""
    values = np.asarray(list(given))
    if values.shape != (length,):
        raise DataError(f"{name} has {len(values)} names for {length}: give one for each.")
    return values.tolist() if values.dtype.kind in "biufU" else [str(one) for one in given]
