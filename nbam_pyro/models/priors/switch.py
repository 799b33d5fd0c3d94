"""Switch priors: the probability of contamination P(z=1 | x) before the target is observed."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import pyro.distributions as dist
import torch
from pyro.distributions import TorchDistribution
from torch import Tensor, nn

from nbam_pyro.errors import DataError
from nbam_pyro.models.latents import Latents
from nbam_pyro.models.likelihoods.component import Component, check_positive
from nbam_pyro.models.priors.groups import group_deviation, group_priors
from nbam_pyro.training.tensors import at_least_single


class FixedSwitch(Component):
    r"""z ~ Bernoulli(pi): a switch with a known contamination pi.

    The switch z is 1 where a target is contaminated, and the contamination is P(z=1).

    Args:
        contamination: Contamination pi, between 0 and 1.
        shape: Shape of the target of one row, such as (L,) for L labels with a switch each; () for
            one switch per row.

    Raises:
        DataError: The contamination is not strictly between 0 and 1.

    Example:
        >>> FixedSwitch(0.2)(torch.zeros(3, 1), {}).mean
        tensor([0.2000, 0.2000, 0.2000])
    """

    logit: Tensor

    def __init__(self, contamination: float, *, shape: Sequence[int] = ()) -> None:
        super().__init__()
        self.contamination = contamination
        self.shape = tuple(shape)
        self.register_buffer("logit", _logit(contamination))

    def forward(self, h: Tensor, latents: Latents) -> TorchDistribution:
        logit = self.logit.expand(len(h), *self.shape)
        return dist.Bernoulli(logits=logit, validate_args=False)


class BetaSwitch(Component):
    r"""z ~ Bernoulli(pi), pi ~ Beta(a, b): a switch with one unknown contamination pi.

    The switch z is 1 where a target is contaminated. The contamination P(z=1) is a global latent,
    the site "contamination". Its prior has the mean a / (a + b), and the fit estimates its
    posterior.

    Args:
        a: Pseudo-count of contaminated targets, positive.
        b: Pseudo-count of clean targets, positive.
        shape: Shape of the target of one row. With (L,), each of L labels has its own
            contamination; () for one switch per row.

    Raises:
        DataError: A pseudo-count is not positive.

    Example:
        >>> BetaSwitch(1.0, 9.0).priors()["contamination"].mean
        tensor(0.1000)
    """

    counts: Tensor

    def __init__(self, a: float = 1.0, b: float = 9.0, *, shape: Sequence[int] = ()) -> None:
        super().__init__()
        check_positive("a", a)
        check_positive("b", b)
        self.a = a
        self.b = b
        self.shape = tuple(shape)
        self.register_buffer("counts", torch.tensor([float(a), float(b)]))

    def priors(self) -> dict[str, TorchDistribution]:
        a, b = self.counts
        prior = dist.Beta(a.expand(self.shape), b.expand(self.shape), validate_args=False)
        return {"contamination": prior.to_event(len(self.shape))}

    def forward(self, h: Tensor, latents: Latents) -> TorchDistribution:
        logit = latents["contamination"].logit()
        return dist.Bernoulli(logits=logit.expand(len(h), *self.shape), validate_args=False)

    def starts_beside(self, residual: Tensor, wrong: Tensor, noise: Tensor) -> list[Latents]:
        return [{"contamination": share_wrong(wrong).expand(self.shape)}]


def share_wrong(wrong: Tensor) -> Tensor:
    """Return a contamination to start from, given the targets that look contaminated, ().

    Args:
        wrong: Booleans that mark these targets, (N, *dims).
    """
    return ((wrong.sum() + 0.5) / (wrong.numel() + 1)).clamp(0.02, 0.6)


class HeadSwitch(Component):
    r"""z ~ Bernoulli(pi_phi(x)): a contamination that depends on the input through a network.

    The head has no prior, so there is no shrinkage. If the anomaly likelihood can also learn any
    target, the data cannot decide which targets are contaminated, and a fit usually collapses to pi
    = 0.

    Args:
        head: Network that maps features h, (N, ...), to one logit, (N, 1), or to one logit for
            each of L labels, (N, L).
        multi_label: Whether targets have the shape (N, L), with a separate switch for each label.

    Example:
        >>> HeadSwitch(nn.Linear(4, 1))(torch.zeros(3, 4), {}).batch_shape
        torch.Size([3])
    """

    def __init__(self, head: nn.Module, *, multi_label: bool = False) -> None:
        super().__init__()
        self.head = head
        self.multi_label = multi_label

    def forward(self, h: Tensor, latents: Latents) -> TorchDistribution:
        logits = at_least_single(self.head(h))
        logits = logits if self.multi_label else logits.squeeze(-1)
        return dist.Bernoulli(logits=logits, validate_args=False)


class _LogitSwitch(Component, ABC):
    """z ~ Bernoulli(sigmoid(a + deviation)) with a Normal prior on the intercept a.

    Args:
        contamination: Prior median of the contamination where the deviation is 0, between 0 and 1.
        spread: Prior standard deviation of the intercept, in logits.
        scale: Prior scale of the deviations, in logits.
    """

    centre: Tensor

    def __init__(self, contamination: float, spread: float, scale: float) -> None:
        super().__init__()
        check_positive("spread", spread)
        check_positive("scale", scale)
        self.contamination = contamination
        self.spread = spread
        self.scale = scale
        self.register_buffer("centre", _logit(contamination))

    def priors(self) -> dict[str, TorchDistribution]:
        intercept = dist.Normal(self.centre, self.spread, validate_args=False)
        return {"intercept": intercept, **self.deviation_priors()}

    def forward(self, h: Tensor, latents: Latents) -> TorchDistribution:
        logits = latents["intercept"] + self.deviation(h, latents)
        return dist.Bernoulli(logits=logits, validate_args=False)

    @abstractmethod
    def deviation_priors(self) -> dict[str, TorchDistribution]:
        """Return the priors of the global latents that deviations depend on, by site name."""

    @abstractmethod
    def deviation(self, h: Tensor, latents: Latents) -> Tensor:
        """Return the deviation of each row from the intercept, (N,), in logits.

        Args:
            h: Features of the rows, (N, D), or codes of groups, (N,).
            latents: Global latents by site name.
        """


class LinearSwitch(_LogitSwitch):
    r"""z ~ Bernoulli(sigmoid(a + w . h)): a contamination that depends on the input linearly.

    .. math::
        a \sim N(\mathrm{logit}\,\pi_0, s_0), \qquad w_j \sim N(0, s)

    The global latents are the sites "intercept" () and "slope" (D,). The prior shrinks w to 0:
    without evidence that the contamination depends on h, all rows have about the same
    contamination.

    Args:
        features: Number D of columns of h. Use `Standardise` in the story's trunk to bring them to
            unit scale.
        contamination: Prior median pi_0 of the contamination at h = 0, between 0 and 1.
        spread: Prior standard deviation s_0 of the intercept, in logits.
        scale: Prior standard deviation s of each slope, in logits per unit of h.

    Raises:
        DataError: The contamination is not strictly between 0 and 1, or another number is not
            positive.

    Example:
        >>> switch = LinearSwitch(2)
        >>> latents = {"intercept": torch.tensor(0.0), "slope": torch.tensor([1.0, 0.0])}
        >>> switch(torch.tensor([[0.0, 5.0], [2.0, 5.0]]), latents).mean
        tensor([0.5000, 0.8808])
    """

    def __init__(
        self,
        features: int,
        *,
        contamination: float = 0.1,
        spread: float = 1.5,
        scale: float = 1.0,
    ) -> None:
        check_positive("features", features)
        super().__init__(contamination, spread, scale)
        self.features = features

    def deviation_priors(self) -> dict[str, TorchDistribution]:
        slope = dist.Normal(self.centre.new_zeros(self.features), self.scale, validate_args=False)
        return {"slope": slope.to_event(1)}

    def deviation(self, h: Tensor, latents: Latents) -> Tensor:
        return h @ latents["slope"]


class GroupSwitch(_LogitSwitch):
    r"""A contamination for each group of rows, such as a source, an annotator or a batch.

    .. math::
        a \sim N(\mathrm{logit}\,\pi_0, s_0), \qquad
        \tau \sim \mathrm{HalfNormal}(s), \qquad u_g \sim N(0, 1), \qquad
        z_i \sim \mathrm{Bernoulli}(\sigma(a + \tau u_{g_i}))

    The global latents are the sites "intercept" (), "group_spread" () and "group" (G,). Groups are
    *partially pooled*: the estimate of a small group is shrunk towards the average of all groups.
    The fit estimates the standard deviation tau of the groups' deviations: the smaller tau is, the
    stronger is the shrinkage. A row of an unknown group has the code -1 and the average
    contamination, sigmoid(a).

    The last column, or channel, of x holds the code of each row's group:
    `nbam_pyro.data.with_groups` appends it. The trunk and the likelihoods take x without it.

    Args:
        groups: Number of groups G.
        contamination: Prior median pi_0 of the average contamination, between 0 and 1.
        spread: Prior standard deviation s_0 of the intercept, in logits.
        scale: Scale s of the half-Normal prior on tau, in logits.

    Raises:
        DataError: The contamination is not strictly between 0 and 1, or another number is not
            positive.

    Source: Betancourt & Girolami (2015) for partial pooling in the non-centred form.

    Example:
        >>> switch = GroupSwitch(2)
        >>> tau, u = torch.tensor(2.0), torch.tensor([0.0, 1.0])
        >>> latents = {"intercept": torch.tensor(0.0), "group_spread": tau, "group": u}
        >>> switch(torch.tensor([0, 1, -1]), latents).mean
        tensor([0.5000, 0.8808, 0.5000])
    """

    def __init__(
        self,
        groups: int,
        *,
        contamination: float = 0.1,
        spread: float = 1.5,
        scale: float = 1.0,
    ) -> None:
        check_positive("groups", groups)
        super().__init__(contamination, spread, scale)
        self.groups = groups

    def deviation_priors(self) -> dict[str, TorchDistribution]:
        return group_priors(self.groups, self.scale, self.centre)

    def deviation(self, h: Tensor, latents: Latents) -> Tensor:
        """Return the deviation of each row, (N,), in logits, given codes of groups h, (N,)."""
        return group_deviation(h, latents)


def _logit(contamination: float) -> Tensor:
    if not 0 < contamination < 1:
        raise DataError(
            f"contamination is {contamination}; give a number strictly between 0 and 1."
        )
    return torch.tensor(float(contamination)).logit()
