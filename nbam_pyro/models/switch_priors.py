"""Priors of the switch: how probable contamination is before the target is seen."""

from collections.abc import Sequence

import pyro.distributions as dist
import torch
from pyro.distributions import TorchDistribution
from torch import Tensor, nn

from nbam_pyro.errors import DataError
from nbam_pyro.models.component import Component, check_positive
from nbam_pyro.models.story import Latents


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
        if not 0 < contamination < 1:
            raise DataError(f"contamination is {contamination}; it must lie in (0, 1).")
        self.contamination = contamination
        self.shape = tuple(shape)
        self.register_buffer("logit", torch.tensor(float(contamination)).logit())

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
