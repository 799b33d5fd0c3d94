"""Guides: the variational posterior of a story's global latents."""

from collections.abc import Callable, Iterator, Mapping
from operator import attrgetter
from typing import Any

import torch
from pyro import poutine
from pyro.infer.autoguide import AutoNormal, init_to_median, init_to_value
from torch import Tensor, nn
from torch.distributions import biject_to

from nbam_pyro.errors import StoryError
from nbam_pyro.models import Story
from nbam_pyro.models.stories.sites import local_parameters
from nbam_pyro.training.contexts import evaluating, seeded

Draw = dict[str, Tensor]


def make_guide(
    story: Story,
    x: Tensor,
    y: Tensor,
    *,
    family: Callable[..., nn.Module] = AutoNormal,
    start: Mapping[str, Tensor] | None = None,
) -> nn.Module:
    """A guide over the global latents of a story, ready to be optimised.

    Args:
        story: any story; every site inside a plate is left to enumeration and observation.
        x: a few rows, enough to run the story once.
        y: their targets.
        family: one of Pyro's autoguides, or what is called like them:
            `family(model, init_loc_fn=...)`.
        start: where locations start, by site name, in the site's own space; else prior
            means, or medians where the story declares no priors.

    Returns:
        The guide, with its parameters made.

    Raises:
        StoryError: a start is named that is no global latent of the story.
    """
    # Pyro's own median is that of 15 draws, which lies anywhere where a prior is wide.
    priors = {} if story.closed_form is None else story.closed_form.priors()
    means = {name: prior.mean.clone() for name, prior in priors.items()}  # not expanded
    init = init_to_value(values=means | dict(start or {}), fallback=init_to_median)
    unknown = set(start or {}) - priors.keys()
    if priors and unknown:
        raise StoryError(
            f"There is no site {unknown.pop()!r} to start from; there are {[*priors]}."
        )
    globals_only = poutine.block(story, hide_fn=is_local)
    with torch.no_grad(), evaluating(story), local_parameters():
        guide = family(globals_only, init_loc_fn=init)
        guide(x, y)  # lazy: its parameters do not exist before the first call
    return guide


def is_local(site: Mapping[str, Any]) -> bool:
    """Whether a site of a trace belongs to a datum and not to all of them."""
    return site["type"] == "sample" and (
        bool(site["cond_indep_stack"]) or site["infer"].get("enumerate") is not None
    )


def sample_guide(guide: nn.Module, *args: Any, **kwargs: Any) -> tuple[Draw, Tensor]:
    """One reparametrised draw of the global latents and its log density under the guide.

    An `AutoNormal` is read directly, which saves Pyro's handlers a few hundred microseconds a
    step; any other guide is traced with the arguments given.

    Returns:
        values by site name, in the sites' own space, and the log density summed over sites.
    """
    if type(guide) is AutoNormal:
        return _sample_normal(guide, None)
    with local_parameters():
        trace = poutine.trace(guide).get_trace(*args, **kwargs)
    nodes: dict[str, Any] = dict(trace.iter_stochastic_nodes())
    draw = {
        name: node["value"] for name, node in nodes.items() if not node["infer"].get("is_auxiliary")
    }
    return draw, torch.as_tensor(trace.log_prob_sum())


def _sample_normal(guide: AutoNormal, generator: torch.Generator | None) -> tuple[Draw, Tensor]:
    draw: Draw = {}
    log_q = torch.zeros(())
    for name, loc, transform in _normal_sites(guide):
        scale = attrgetter(name)(guide.scales)
        noise = torch.randn(loc.shape, generator=generator, dtype=loc.dtype, device=loc.device)
        unconstrained = loc + scale * noise
        value = transform(unconstrained)
        log_det = transform.log_abs_det_jacobian(unconstrained, value)
        # log N(u; loc, scale) with u = loc + scale * noise
        log_normal = -scale.log().sum() - 0.5 * noise.square().sum()
        log_q = log_q + log_normal - log_det.sum() - 0.5 * _LOG_2PI * loc.numel()
        draw[name] = value
    return draw, log_q


_LOG_2PI = 1.8378770664093453


def _normal_sites(guide: AutoNormal) -> Iterator[tuple[str, Tensor, Any]]:
    """Name, location and transform of every site of an `AutoNormal`."""
    prototype: Any = guide.prototype_trace
    for name, site in prototype.iter_stochastic_nodes():
        yield name, attrgetter(name)(guide.locs), biject_to(site["fn"].support)


def spreads_and_locations(guide: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Parameters of a guide's standard deviations, where it keeps them apart, and all others."""
    spreads = {n: p for n, p in guide.named_parameters() if n.startswith("scales.")}
    locations = [p for n, p in guide.named_parameters() if n not in spreads]
    return list(spreads.values()), locations


def guide_draws(guide: nn.Module, num_draws: int, *, seed: int = 0) -> Draw:
    """Independent draws of the global latents from the guide, stacked along a first dimension.

    Torch's global random state is left as it was.
    """
    with torch.no_grad():
        if type(guide) is AutoNormal:
            generator = torch.Generator().manual_seed(seed)
            draws = [_sample_normal(guide, generator)[0] for _ in range(num_draws)]
        else:
            with seeded(seed):
                draws = [sample_guide(guide)[0] for _ in range(num_draws)]
    return {name: torch.stack([draw[name] for draw in draws]) for name in draws[0]}


def each_draw(draws: Draw, num_draws: int) -> list[Draw]:
    """Stacked draws one by one."""
    return [{name: value[i] for name, value in draws.items()} for i in range(num_draws)]


def guide_median(guide: nn.Module) -> Draw:
    """The guide's median of every global latent, by site name."""
    with torch.no_grad():
        if type(guide) is AutoNormal:
            return {name: transform(loc).detach() for name, loc, transform in _normal_sites(guide)}
        with local_parameters():
            return {name: value.detach() for name, value in guide.median().items()}  # type: ignore[operator]
