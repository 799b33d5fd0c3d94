"""Global latents of a story as groups of an ArviZ DataTree, with their names and coordinates."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
import xarray as xr

from nbam_pyro.errors import DataError
from nbam_pyro.inference.posterior.draws import Scored
from nbam_pyro.inference.posterior.fit_result import Fit
from nbam_pyro.inference.posterior.predictive import prior_draws
from nbam_pyro.inference.variational.guides import Draw, guide_draws
from nbam_pyro.models import Story
from nbam_pyro.training.tensors import precision_of

__all__ = [
    "coordinate",
    "latent_arrays",
    "latents_dataset",
    "named_numbers",
    "posterior_tree",
    "prior_and_posterior",
]


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
    import arviz_base

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
    return xr.DataTree.from_dict({"posterior": latents_dataset(fit.story, drawn, class_names)})


def latents_dataset(
    story: Story,
    draws: Draw,
    class_names: Sequence[Any] | None = None,
    *,
    coords: Mapping[str, Sequence[Any]] | None = None,
    dims: Mapping[str, Sequence[str]] | None = None,
) -> xr.Dataset:
    """Return draws of the global latents with names and coordinates.

    Args:
        story: Story of the draws.
        draws: Draws by site name, (chains, draws, ...).
        class_names: Names of the classes, (K,); 0, ..., K-1 by default.
        coords: Further coordinates by dimension.
        dims: Names of the dimensions of a site.
    """
    import arviz_base

    values, names, axes = latent_arrays(story, draws, class_names)
    axes |= {site: list(own) for site, own in (dims or {}).items()}
    tree = arviz_base.from_dict({"posterior": values}, coords=names | dict(coords or {}), dims=axes)
    return tree["posterior"].to_dataset()


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
    tree["prior"] = xr.DataTree(latents_dataset(fit.story, drawn, class_names))
    return tree


def latent_arrays(
    story: Story, draws: Draw, class_names: Sequence[Any] | None
) -> tuple[dict[str, np.ndarray], dict[str, Any], dict[str, list[str]]]:
    """Return draws of the global latents as arrays, with their coordinates and dimensions."""
    shown = torch.vmap(torch.vmap(story.reported))(draws) if draws else {}
    values = {name: value.numpy() for name, value in shown.items()}
    coords: dict[str, Any] = {}
    labels = story.latent_label
    if labels is not None:
        names = [str(c) for c in range(labels.num_classes)] if class_names is None else class_names
        classes = coordinate("class_names", names, labels.num_classes)
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


def coordinate(name: str, given: Any, length: int) -> list[Any]:
    """Return names along a dimension as plain numbers or texts, which can be saved to files."""
    values = np.asarray(list(given))
    if values.shape != (length,):
        kind = "classes" if name == "class_names" else "rows"
        raise DataError(
            f"{name} has {len(values)} names for {length} {kind}. Give one name for each."
        )
    return values.tolist() if values.dtype.kind in "biufU" else [str(one) for one in given]
