"""Priors of the switch: how probable contamination is before the target is seen."""

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


class FixedSwitch(Component):
    r"""z ~ Bernoulli(pi) with a known contamination pi.

    Args:
        contamination: pi in (0, 1).
        shape: of a target beyond its row, such as (L,) for L labels with a switch each.

    Raises:
        DataError: pi is not strictly between 0 and 1.

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
    r"""z ~ Bernoulli(pi), pi ~ Beta(a, b): one unknown contamination, the site "contamination".

    Args:
        a: pseudo-count of contaminated data, positive.
        b: pseudo-count of clean data, positive.
        shape: of a target beyond its row: (L,) gives each of L labels its own contamination.

    Raises:
        DataError: a pseudo-count is not positive.

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


class HeadSwitch(Component):
    r"""z ~ Bernoulli(pi_phi(x)): contamination per input, from a head of its own.

    Nothing shrinks the head, so with a free anomaly likelihood the story is not identifiable and
    usually collapses to pi = 0.

    Args:
        head: maps features (N, ...) to one logit, (N, 1), or to one per label, (N, L).
        multi_label: targets are (N, L), each label with a switch of its own.

    Example:
        >>> HeadSwitch(nn.Linear(4, 1))(torch.zeros(3, 4), {}).batch_shape
        torch.Size([3])
    """

    def __init__(self, head: nn.Module, *, multi_label: bool = False) -> None:
        super().__init__()
        self.head = head
        self.multi_label = multi_label

    def forward(self, h: Tensor, latents: Latents) -> TorchDistribution:
        logits = self.head(h)
        logits = logits if self.multi_label else logits.squeeze(-1)
        return dist.Bernoulli(logits=logits, validate_args=False)


class _LogitSwitch(Component, ABC):
    """z ~ Bernoulli(sigmoid(a + deviation)) with a Normal prior on the intercept a."""

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
        """Priors of what the deviations are made of."""

    @abstractmethod
    def deviation(self, h: Tensor, latents: Latents) -> Tensor:
        """Of every row from the intercept, in logits, (N,)."""


class LinearSwitch(_LogitSwitch):
    r"""z ~ Bernoulli(sigmoid(a + w . h)): contamination per input, shrunk to one rate.

    .. math::
        a \sim N(\mathrm{logit}\,\pi_0, s_0), \qquad w_j \sim N(0, s)

    The sites "intercept" () and "slope" (D,). The prior shrinks w: where the data do not say that
    contamination depends on h, it does not.

    Args:
        features: D, the columns of h; bring them to unit scale, by `Standardise` in the trunk.
        contamination: pi_0, the prior median at h = 0, in (0, 1).
        spread: s_0, standard deviation of the intercept, in logits.
        scale: s, standard deviation of each slope, in logits per unit of h.

    Raises:
        DataError: the contamination is not in (0, 1), or another number is not positive.

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
    r"""Every group of rows (source, annotator, batch) has its own rate, partially pooled.

    .. math::
        a \sim N(\mathrm{logit}\,\pi_0, s_0), \qquad
        \tau \sim \mathrm{HalfNormal}(s), \qquad u_g \sim N(0, 1), \qquad
        z_i \sim \mathrm{Bernoulli}(\sigma(a + \tau u_{g_i}))

    The sites "intercept" (), "group_spread" () and "group" (G,). A group of few rows is drawn to
    the others, and how much is learned with tau. A row of an unknown group, code -1, has the
    population's rate, sigmoid(a).

    The code of its group is the last column, or channel, of every row x: see
    `nbam_pyro.data.with_groups`. Story and networks get x without it.

    Args:
        groups: G, how many there are.
        contamination: pi_0, the prior median of the population's rate, in (0, 1).
        spread: s_0, standard deviation of the intercept, in logits.
        scale: s, of the half-Normal prior on tau, in logits.

    Raises:
        DataError: the contamination is not in (0, 1), or another number is not positive.

    Source: partial pooling in the non-centred form, Betancourt & Girolami (2015).

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
        """Of every row given codes of groups, (N,), in the place of features."""
        return group_deviation(h, latents)


def _logit(contamination: float) -> Tensor:
    if not 0 < contamination < 1:
        raise DataError(f"contamination is {contamination}; it must lie in (0, 1).")
    return torch.tensor(float(contamination)).logit()
