"""Clean likelihoods of counts: distributions of uncontaminated counts given x."""

import pyro.distributions as dist
import torch
from pyro.distributions import TorchDistribution
from torch import Tensor, nn

from nbam_pyro.models.latents import Latents
from nbam_pyro.models.likelihoods.component import Component, check_positive
from nbam_pyro.training.tensors import at_least_single

# Largest absolute logarithm of a mean. A mean of infinity would make log densities NaN.
_FARTHEST = 80.0


class PoissonLikelihood(Component):
    r"""y ~ Poisson(exp(head(h))): the clean likelihood of counts.

    The clean likelihood is the distribution of uncontaminated targets.

    Args:
        head: Network that maps features h, (N, ...), to the logarithm of the mean, (N, 1). A
            logarithm beyond -80 or 80 counts as -80 or 80.

    Example:
        >>> PoissonLikelihood(nn.Linear(4, 1))(torch.zeros(2, 4), {}).batch_shape
        torch.Size([2])
    """

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self.head = head

    def forward(self, h: Tensor, latents: Latents) -> TorchDistribution:
        log_mean = at_least_single(self.head(h)).squeeze(-1).clamp(-_FARTHEST, _FARTHEST)
        return dist.Poisson(log_mean.exp(), validate_args=False)


class NegativeBinomialLikelihood(Component):
    r"""y ~ NegativeBinomial: the clean likelihood of counts that vary more than Poisson counts.

    The mean is m = exp(head(h)), and the variance is m + m^2 / concentration. Training estimates
    the concentration.

    Args:
        head: Network that maps features h, (N, ...), to the logarithm of the mean, (N, 1).
        concentration: Value of the concentration at the start of training, positive. With large
            values the distribution is nearly a Poisson distribution.

    Raises:
        DataError: The concentration is not positive.

    Example:
        >>> counts = NegativeBinomialLikelihood(nn.Linear(4, 1), concentration=2.0)
        >>> clean = counts(torch.zeros(1, 4), {})
        >>> bool(torch.isclose(clean.variance, clean.mean + clean.mean**2 / 2))
        True
    """

    def __init__(self, head: nn.Module, *, concentration: float = 10.0) -> None:
        super().__init__()
        check_positive("concentration", concentration)
        self.head = head
        self.concentration = concentration
        self.log_concentration = nn.Parameter(torch.tensor(float(concentration)).log())

    def forward(self, h: Tensor, latents: Latents) -> TorchDistribution:
        logits = at_least_single(self.head(h)).squeeze(-1) - self.log_concentration
        return dist.NegativeBinomial(
            self.log_concentration.exp(), logits=logits, validate_args=False
        )
