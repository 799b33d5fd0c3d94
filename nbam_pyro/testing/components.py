"""The contracts of the components of a `LatentSwitch`: likelihoods and switch priors."""

from collections.abc import Sequence

from pyro.distributions import TorchDistribution
from pyro.distributions.torch_distribution import TorchDistributionMixin
from torch import Tensor

from nbam_pyro.models import Component
from nbam_pyro.testing.contract import (
    check_close,
    check_learns,
    clone,
    one_and_all,
    part_of_a_user,
    rebuilt,
    require,
)
from nbam_pyro.training.tensors import precision_of

__all__ = ["check_component", "check_switch_prior"]

Latents = dict[str, Tensor]


def check_component(
    component: Component,
    h: Tensor,
    y: Tensor,
    *,
    saved: bool = True,
    unused: Sequence[str] = (),
    seed: int = 0,
) -> None:
    """Check a clean likelihood or an anomaly likelihood of a `LatentSwitch`.

    These properties are checked, on all rows and on a batch of the first row alone: `forward`
    returns a distribution of the batch shape of y without event dimensions. Targets are in its
    support and have finite log probabilities. Samples have the shape of y. A finite gradient
    reaches every parameter. The component can be saved and loaded.

    Args:
        component: Likelihood to check. It is not changed.
        h: Features of the rows, (N, ...), at least two rows.
        y: Targets in the support of the likelihood, (N, *dims).
        saved: Whether saving and loading is checked.
        unused: Names of parameters that may have no gradient.
        seed: Seed of all draws. The global random state of torch is not changed.

    Raises:
        ContractError: A property does not hold. The message states the cause and how to fix it.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from nbam_pyro.models import NormalLikelihood
        >>> h, y = torch.randn(5, 2), torch.randn(5)
        >>> check_component(NormalLikelihood(nn.Linear(2, 1)), h, y)
    """
    kind = type(component).__name__
    with part_of_a_user(seed):
        component = clone(component).eval()
        latents = _latents(component)
        for rows, targets in one_and_all(h, y):
            likelihood = _conditional(component, rows, latents, targets.shape)
            log_prob = likelihood.log_prob(targets)
            require(
                log_prob.shape == targets.shape and bool(log_prob.isfinite().all()),
                f"{kind} gives targets log probabilities that are not finite, or have another "
                f"shape than y: {log_prob.detach()}. Pass targets in its support, or compute its "
                "log probabilities in log space.",
            )
            sample = likelihood.sample()
            require(
                sample.expand(targets.shape).shape == targets.shape,
                f"{kind} draws samples of shape {tuple(sample.shape)}; expected that of y, "
                f"{tuple(targets.shape)}.",
            )
            support = likelihood.support
            require(
                support is None or bool(support.check(targets).all()),
                f"{kind} gives targets a finite log probability and says that they are outside its "
                "support: correct the property `support` of its distribution.",
            )
        check_learns(component, log_prob.sum(), unused=unused)
        if saved:
            again = rebuilt(component)(h, latents).log_prob(y)
            check_close(again, log_prob, _OTHER.format(kind, "log probabilities"))


def check_switch_prior(
    component: Component,
    h: Tensor,
    *,
    dims: Sequence[int] = (),
    saved: bool = True,
    unused: Sequence[str] = (),
    seed: int = 0,
) -> None:
    """Check a prior of the switch of a `LatentSwitch`.

    These properties are checked, on all rows and on a batch of the first row alone: `forward`
    returns a Bernoulli distribution with one finite logit for each target, in the precision of the
    features. A finite gradient reaches every parameter. The component can be saved and loaded.

    Args:
        component: Switch prior to check. It is not changed.
        h: Features of the rows, (N, ...), or codes of groups, (N,); at least two rows.
        dims: Sizes of the dimensions of a target whose elements have a switch each.
        saved: Whether saving and loading is checked.
        unused: Names of parameters that may have no gradient.
        seed: Seed of all draws. The global random state of torch is not changed.

    Raises:
        ContractError: A property does not hold. The message states the cause and how to fix it.

    Example:
        >>> import torch
        >>> from nbam_pyro.models import BetaSwitch
        >>> check_switch_prior(BetaSwitch(1.0, 9.0), torch.randn(5, 2))
    """
    kind = type(component).__name__
    with part_of_a_user(seed):
        component = clone(component).eval()
        latents = _latents(component)
        for (rows,) in one_and_all(h):
            prior = _conditional(component, rows, latents, (len(rows), *dims))
            require(
                hasattr(prior, "logits"),
                f"{kind} returns a {type(prior).__name__}, which has no logits: return "
                "pyro.distributions.Bernoulli(logits=...).",
            )
            logits: Tensor = prior.logits
            require(
                bool(logits.isfinite().all()),
                f"{kind} gives logits that are not finite: a prior of 0 or 1 cannot learn.",
            )
            require(
                not rows.is_floating_point() or logits.dtype == rows.dtype,
                f"{kind} gives logits of type {logits.dtype} for features of type {rows.dtype}: "
                "create its tensors in the type of the features.",
            )
        check_learns(component, logits.sum(), unused=unused)
        if saved:
            again = rebuilt(component)(h, latents).logits
            check_close(again, logits, _OTHER.format(kind, "logits"))


_OTHER = (
    "A {} that is built again from its description has different {}: keep everything that forward "
    "uses as an argument of the constructor, a parameter or a buffer."
)


def _latents(component: Component) -> Latents:
    """Return draws of a component's global latents from their priors, in its precision."""
    priors = component.priors()
    for name, prior in priors.items():
        require(
            isinstance(prior, TorchDistributionMixin),
            f"{type(component).__name__}.priors gives the site {name!r} a "
            f"{type(prior).__name__}; give it a distribution from pyro.distributions.",
        )
    dtype = precision_of(component)
    return {name: prior.sample().to(dtype) for name, prior in priors.items()}


def _conditional(
    component: Component, h: Tensor, latents: Latents, shape: Sequence[int]
) -> TorchDistribution:
    """Return the distribution of a component, after a check of its type and shape."""
    kind = type(component).__name__
    found = component(h, latents)
    require(
        isinstance(found, TorchDistributionMixin),
        f"{kind}.forward returns a {type(found).__name__}; return a distribution from "
        "pyro.distributions.",
    )
    batch, shape = tuple(found.batch_shape), tuple(shape)
    fits = len(batch) == len(shape) and all(a in (1, b) for a, b in zip(batch, shape, strict=True))
    require(
        fits and not found.event_shape,
        f"{kind}.forward returns a distribution of batch shape {batch} and event shape "
        f"{tuple(found.event_shape)}; expected {shape}, or 1 where it is broadcast, and no event "
        "dimensions. Squeeze the last dimension of a network with one output.",
    )
    return found
