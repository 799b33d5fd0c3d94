"""Priors of the switch: how probable contamination is before the target is seen."""

import pyro.distributions as dist
import torch
from pyro.distributions import TorchDistribution
from torch import Tensor, nn

from nbam_pyro.errors import DataError
from nbam_pyro.models.component import Component
from nbam_pyro.models.story import Latents


class FixedSwitch(Component):
    r"""z ~ Bernoulli(pi) with a known contamination pi.

    Args:
        contamination: pi in (0, 1).

    Raises:
        DataError: pi is not strictly between 0 and 1.

    Example:
        >>> FixedSwitch(0.2)(torch.zeros(3, 1), {}).mean
        tensor([0.2000, 0.2000, 0.2000])
    """

    logit: Tensor

    def __init__(self, contamination: float) -> None:
        super().__init__()
        if not 0 < contamination < 1:
            raise DataError(f"contamination is {contamination}; it must lie in (0, 1).")
        self.register_buffer("logit", torch.tensor(float(contamination)).logit())

    def forward(self, h: Tensor, latents: Latents) -> TorchDistribution:
        return dist.Bernoulli(logits=self.logit.expand(len(h)), validate_args=False)


class BetaSwitch(Component):
    r"""z ~ Bernoulli(pi), pi ~ Beta(a, b): one unknown contamination, the site "contamination".

    Args:
        a: pseudo-count of contaminated data, positive.
        b: pseudo-count of clean data, positive.

    Raises:
        DataError: a pseudo-count is not positive.

    Example:
        >>> BetaSwitch(1.0, 9.0).priors()["contamination"].mean
        tensor(0.1000)
    """

    counts: Tensor

    def __init__(self, a: float = 1.0, b: float = 9.0) -> None:
        super().__init__()
        if min(a, b) <= 0:
            raise DataError(f"Beta({a}, {b}): pseudo-counts must be positive.")
        self.register_buffer("counts", torch.tensor([float(a), float(b)]))

    def priors(self) -> dict[str, TorchDistribution]:
        a, b = self.counts
        return {"contamination": dist.Beta(a, b, validate_args=False)}

    def forward(self, h: Tensor, latents: Latents) -> TorchDistribution:
        logit = latents["contamination"].logit()
        return dist.Bernoulli(logits=logit.expand(len(h)), validate_args=False)


class HeadSwitch(Component):
    r"""z ~ Bernoulli(pi_phi(x)): contamination per input, from a head of its own.

    Nothing shrinks the head, so with a free anomaly likelihood the story is not identifiable and
    usually collapses to pi = 0.

    Args:
        head: maps features (N, ...) to one logit, (N, 1).

    Example:
        >>> HeadSwitch(nn.Linear(4, 1))(torch.zeros(3, 4), {}).batch_shape
        torch.Size([3])
    """

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self.head = head

    def forward(self, h: Tensor, latents: Latents) -> TorchDistribution:
        return dist.Bernoulli(logits=self.head(h).squeeze(-1), validate_args=False)
