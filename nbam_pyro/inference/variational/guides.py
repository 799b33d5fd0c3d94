"""Guides: the variational posterior of a story's global latents."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from operator import attrgetter
from typing import Any

import torch
from pyro import poutine
from pyro.infer.autoguide import AutoNormal, init_to_median, init_to_value
from pyro.poutine.util import prune_subsample_sites
from torch import Tensor, nn
from torch.distributions import biject_to

from nbam_pyro.errors import StoryError
from nbam_pyro.models import Story
from nbam_pyro.models.stories.sites import local_parameters
from nbam_pyro.training.contexts import evaluating, seeded

Draw = dict[str, Tensor]


class DrawnGuide(nn.Module, ABC):
    """A posterior of the global latents that is given by draws, and is not trained."""

    @abstractmethod
    def draws(self, count: int, *, seed: int = 0) -> Draw:
        """Return draws of the global latents by site name, (S, ...).

        Args:
            count: Number of draws, S.
            seed: Seed of the draws.
        """

    @abstractmethod
    def median(self) -> Draw:
        """Return the values of the global latents that predictions use, by site name."""

    def forward(self, *args: Any, **kwargs: Any) -> Draw:
        """Raise a `StoryError`, because the draws cannot be trained further."""
        raise StoryError(
            f"A {type(self).__name__} is final and cannot be trained. Put the step that creates it "
            "last."
        )


def make_guide(
    story: Story,
    x: Tensor,
    y: Tensor,
    *,
    family: Callable[..., nn.Module] = AutoNormal,
    start: Mapping[str, Tensor] | None = None,
) -> nn.Module:
    """Return a guide, the variational posterior of the global latents of a story.

    Args:
        story: Story of any kind. The guide leaves out all sites inside a plate; these are observed
            or enumerated.
        x: A few rows to run the story once, (N, ...).
        y: Targets of these rows, (N, *dims).
        family: Family of the guide: one of Pyro's autoguides, or a callable with the same
            signature, `family(model, init_loc_fn=...)`.
        start: Starting values of the guide's locations by site name, in the space of the site. All
            other locations start at the prior mean, or at the prior median if the story declares
            no priors.

    Returns:
        The guide. Its parameters exist already.

    Raises:
        StoryError: `start` names a site that is not a global latent of the story.

    Example:
        >>> from nbam_pyro.models import LabelFlip
        >>> story = LabelFlip(nn.Linear(4, 3), 3)
        >>> guide = make_guide(story, torch.zeros(2, 4), torch.tensor([0, 1]))
        >>> {name: tuple(value.shape) for name, value in guide_median(guide).items()}
        {'rate': (3,), 'flip': (3, 2)}
    """
    # Pyro estimates the median from 15 draws, which is inaccurate for a wide prior. The means are
    # cloned because an expanded tensor cannot be optimised.
    priors = {} if story.closed_form is None else story.closed_form.priors()
    means = {name: prior.mean.clone() for name, prior in priors.items()}
    init = init_to_value(values=means | dict(start or {}), fallback=init_to_median)
    unknown = set(start or {}) - priors.keys()
    if priors and unknown:
        raise StoryError(
            f"The story has no global latent {unknown.pop()!r}, so it cannot have a starting "
            f"value. The global latents are {[*priors]}."
        )
    globals_only = poutine.block(story, hide_fn=is_local)
    with torch.no_grad(), evaluating(story), local_parameters():
        guide = family(globals_only, init_loc_fn=init)
        guide(x, y)  # parameters exist only after the first call
    return guide


def is_local(site: Mapping[str, Any]) -> bool:
    """Return whether a site of a trace belongs to single rows and not to the whole data set."""
    return site["type"] == "sample" and (
        bool(site["cond_indep_stack"]) or site["infer"].get("enumerate") is not None
    )


def global_sites(story: Story, x: Tensor, y: Tensor, latents: Draw) -> dict[str, Any]:
    """Return Pyro's record of every global latent; latents without a given value are drawn.

    Args:
        story: Story in evaluation mode.
        x: A few rows to run the story once, (N, ...).
        y: Targets of these rows, (N, *dims).
        latents: Values of some global latents by site name.
    """
    conditioned = poutine.condition(story, data=latents)
    globals_only = poutine.block(conditioned, hide_fn=is_local)
    with local_parameters():
        trace = poutine.trace(globals_only).get_trace(x, y)
    trace = prune_subsample_sites(trace)
    trace.compute_log_prob()
    sites: dict[str, Any] = trace.nodes
    return {name: site for name, site in sites.items() if site["type"] == "sample"}


def sample_guide(guide: nn.Module, *args: Any, **kwargs: Any) -> tuple[Draw, Tensor]:
    """Return one reparametrised draw of the global latents and its log density under the guide.

    An `AutoNormal` is sampled without Pyro's handlers, which saves a few hundred microseconds per
    step. Any other guide is traced.

    Args:
        guide: Posterior of the global latents.
        *args: Arguments that a traced guide is called with.
        **kwargs: Keyword arguments that a traced guide is called with.

    Returns:
        The values by site name, in the space of the sites, and the log density summed over sites.
    """
    if type(guide) is AutoNormal:
        return _sample_normal(guide)
    with local_parameters():
        trace = poutine.trace(guide).get_trace(*args, **kwargs)
    nodes: dict[str, Any] = dict(trace.iter_stochastic_nodes())
    draw = {
        name: node["value"] for name, node in nodes.items() if not node["infer"].get("is_auxiliary")
    }
    return draw, torch.as_tensor(trace.log_prob_sum())


def _sample_normal(guide: AutoNormal) -> tuple[Draw, Tensor]:
    """Return one draw from an `AutoNormal` and its log density."""
    draw: Draw = {}
    log_q = torch.zeros(())
    for name, loc, transform in normal_sites(guide):
        scale = attrgetter(name)(guide.scales)
        noise = torch.randn(loc.shape, dtype=loc.dtype, device=loc.device)
        unconstrained = loc + scale * noise
        value = transform(unconstrained)
        log_det = transform.log_abs_det_jacobian(unconstrained, value)
        # log N(u; loc, scale) with u = loc + scale * noise
        log_normal = -scale.log().sum() - 0.5 * noise.square().sum()
        log_q = log_q + log_normal - log_det.sum() - 0.5 * _LOG_2PI * loc.numel()
        draw[name] = value
    return draw, log_q


def _draw_normal(guide: AutoNormal, num_draws: int, generator: torch.Generator) -> Draw:
    """Return draws from an `AutoNormal`, stacked along a first dimension, (S, ...)."""
    sites = list(normal_sites(guide))
    noise: dict[str, list[torch.Tensor]] = {name: [] for name, *_ in sites}
    for _ in range(num_draws):
        for name, loc, _ in sites:
            one = torch.randn(loc.shape, generator=generator, dtype=loc.dtype, device=loc.device)
            noise[name].append(one)
    return {
        name: transform(loc + attrgetter(name)(guide.scales) * torch.stack(noise[name]))
        for name, loc, transform in sites
    }


_LOG_2PI = 1.8378770664093453


def normal_sites(guide: AutoNormal) -> Iterator[tuple[str, Tensor, Any]]:
    """Yield the name, the location and the transform of every site of an `AutoNormal`.

    Args:
        guide: Guide whose parameters exist already. A location is in free coordinates, and the
            transform maps it to the values of the site.
    """
    prototype: Any = guide.prototype_trace
    for name, site in prototype.iter_stochastic_nodes():
        yield name, attrgetter(name)(guide.locs), biject_to(site["fn"].support)


def spreads_and_locations(guide: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Return the parameters of a guide's standard deviations, and all its other parameters.

    The first list is empty if the guide has no separate parameters for standard deviations.

    Raises:
        StoryError: The guide is a `DrawnGuide`, which has nothing to train.
    """
    if isinstance(guide, DrawnGuide):
        guide()
    spreads = {n: p for n, p in guide.named_parameters() if n.startswith("scales.")}
    locations = [p for n, p in guide.named_parameters() if n not in spreads]
    return list(spreads.values()), locations


def guide_draws(guide: nn.Module, num_draws: int, *, seed: int = 0) -> Draw:
    """Return independent draws of the global latents from the guide.

    Torch's global random state is not changed.

    Args:
        guide: Posterior of the global latents.
        num_draws: Number of draws, S.
        seed: Seed for the draws.

    Returns:
        The draws by site name, stacked along a first dimension, (S, ...).
    """
    with torch.no_grad():
        if isinstance(guide, DrawnGuide):
            return guide.draws(num_draws, seed=seed)
        if type(guide) is AutoNormal:
            return _draw_normal(guide, num_draws, torch.Generator().manual_seed(seed))
        with seeded(seed):
            draws = [sample_guide(guide)[0] for _ in range(num_draws)]
    return {name: torch.stack([draw[name] for draw in draws]) for name in draws[0]}


def each_draw(draws: Draw, num_draws: int) -> list[Draw]:
    """Return the draws of `guide_draws` as a list with one dictionary per draw."""
    return [{name: value[i] for name, value in draws.items()} for i in range(num_draws)]


def guide_median(guide: nn.Module) -> Draw:
    """Return the guide's median of every global latent, by site name."""
    with torch.no_grad():
        if type(guide) is AutoNormal:
            return {name: transform(loc).detach() for name, loc, transform in normal_sites(guide)}
        with local_parameters():
            return {name: value.detach() for name, value in guide.median().items()}  # type: ignore[operator]
