"""Conversion of a fit, or of draws, to an ArviZ DataTree."""

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
from nbam_pyro.inference.posterior.scoring import in_evaluation_mode, scored_rows
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
    """Convert a fit and some rows to an ArviZ DataTree.

    The tree has these groups:

    * `posterior` and `prior`: draws of the global latents; for `LabelFlip` also
      "transition_matrix" and "flip_matrix".
    * `log_likelihood`: log p(y | x, latents) with the switch summed out where it is not verified.
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
        rows: Rows for the groups that need rows.
        num_predictive: Number of draws at which targets are drawn, in total over all chains. They
            are evenly spaced in every chain, with at least one in each chain. None for all draws.
        class_names: Names of the classes in the tree, (K,); 0, ..., K-1 by default.
        row_ids: Names of the rows in the tree, (N,); 0, ..., N-1 by default.
        coords: Further coordinates by dimension.
        dims: Names of the dimensions of a site.
        held_out: Booleans that mark held-out rows. If their number is not N, the rows are not the
            rows of the fit, and the tree does not contain them.
        sample_stats: Statistics of MCMC by name, (chains, draws); None for none.
        seed: Seed of the draws of targets.

    Returns:
        A tree with the groups of `to_datatree`.

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
    for group in ("posterior_predictive", "prior_predictive"):  # name the draws that were taken
        tree[group] = xr.DataTree(tree[group].to_dataset().assign_coords(draw=at))
    if terms:  # they have the names of the latents, but not their dimensions
        tree["log_prior"] = xr.DataTree(arviz_base.dict_to_dataset(terms))
    else:  # ArviZ needs the number of draws even of a posterior without sites
        drawn = {"chain": np.arange(chains), "draw": np.arange(count)}
        tree["posterior"] = xr.DataTree(xr.Dataset(coords=drawn))
    return tree


def named_numbers(
    data: xr.Dataset, names: Sequence[str], *, kept: Sequence[str] = ()
) -> Iterator[tuple[str, xr.DataArray]]:
    """Yield every number of some variables with its name in ArviZ, such as "rate[cat]".

    Args:
        data: Group of a tree, or a summary of one.
        names: Names of the variables.
        kept: Names of dimensions that are not split into single numbers. The yielded values are
            arrays over these dimensions.
    """
    labeller = arviz_base.labels.BaseLabeller()
    for name, where, at, values in arviz_base.xarray_var_iter(
        data, var_names=list(names), skip_dims=set(kept)
    ):
        yield labeller.make_label_flat(name, where, at), values


def posterior_tree(
    fit: Fit, *, num_draws: int = 500, class_names: Sequence[Any] | None = None
) -> xr.DataTree:
    """Build a tree with the group `posterior` only; no rows are needed.

    Args:
        fit: Fitted story.
        num_draws: Number of draws of the global latents.
        class_names: Names of the classes in the tree, (K,); 0, ..., K-1 by default.
    """
    draws = guide_draws(fit.guide, num_draws)
    drawn = {name: value[None] for name, value in draws.items()}
    posterior, coords, dims = _latents(fit.story, drawn, class_names)
    return arviz_base.from_dict({"posterior": posterior}, coords=coords, dims=dims)


def prior_and_posterior(
    fit: Fit, *, num_draws: int = 500, class_names: Sequence[Any] | None = None
) -> xr.DataTree:
    """Build a tree with the groups `posterior` and `prior` only; no rows are needed.

    Args:
        fit: Fitted story.
        num_draws: Number of draws of the global latents.
        class_names: Names of the classes in the tree, (K,); 0, ..., K-1 by default.
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
    """Draw targets at some draws of every chain, (chains, draws taken, N, *dims)."""
    chains, at = shape
    few = {name: value[:, at].flatten(end_dim=1) for name, value in draws.items()}
    values = predictive_draws(story, rows, few, chains * len(at), seed=seed)
    return values.reshape(chains, len(at), *values.shape[2:])


def _counted(groups: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Convert targets to integers if all are whole numbers; ArviZ then plots them as discrete."""
    targets = {name: values for name, values in groups.items() if name != "log_likelihood"}
    exact = 2.0**53
    if all((v == np.round(v)).all() and (abs(v) < exact).all() for v in targets.values()):
        return groups | {name: values.astype(np.int64) for name, values in targets.items()}
    return groups


def _log_likelihood(story: Story, rows: Scored, draws: Draw, shape: tuple[int, int]) -> np.ndarray:
    """Return log marginals of rows at every draw, (chains, draws, N, *dims)."""

    def log_marginal(part: Scored, latents: Draw) -> torch.Tensor:
        return nf.log_marginal(*log_joint(story, part.x, part.y, latents, verified=part.verified))

    flat = {name: value.flatten(end_dim=1) for name, value in draws.items()}
    values = torch.cat(list(at_draws(story, log_marginal, rows, flat)), 1)
    return values.expand(math.prod(shape), *values.shape[1:]).unflatten(0, shape).numpy()


def _latents(
    story: Story, draws: Draw, class_names: Sequence[Any] | None
) -> tuple[dict[str, np.ndarray], dict[str, Any], dict[str, list[str]]]:
    """Return draws of the global latents as arrays, with their coordinates and dimensions."""
    shown = torch.vmap(torch.vmap(story.reported))(draws) if draws else {}
    values = {name: value.numpy() for name, value in shown.items()}
    coords: dict[str, Any] = {}
    labels = story.latent_label
    if labels is not None:
        names = [str(c) for c in range(labels.num_classes)] if class_names is None else class_names
        classes = _coordinate("class_names", names, labels.num_classes)
        if len(set(classes)) < len(classes):
            raise DataError(
                f"class_names contains a name twice: {', '.join(map(str, classes))}. Give every "
                "class a different name."
            )
        coords = {"true_label": classes, "observed_label": classes}
    elif class_names is not None:
        raise DataError(
            f"class_names are given, but {type(story).__name__} has no latent true label and "
            "therefore no classes. Leave class_names out."
        )
    dims = {site: axes for site, axes in story.reported_dims.items() if site in values}
    return values, coords, dims


def _coordinate(name: str, given: Any, length: int) -> list[Any]:
    """Return names along a dimension as plain numbers or texts, which can be saved to files."""
    values = np.asarray(list(given))
    if values.shape != (length,):
        kind = "classes" if name == "class_names" else "rows"
        raise DataError(
            f"{name} has {len(values)} names for {length} {kind}. Give one name for each."
        )
    return values.tolist() if values.dtype.kind in "biufU" else [str(one) for one in given]
