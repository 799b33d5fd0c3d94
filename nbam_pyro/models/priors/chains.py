"""`MarkovSwitch`: switches of the rows of a series, whose contamination comes in bursts."""

import math
from typing import final

import pyro.distributions as dist
import torch
from pyro.distributions import TorchDistribution
from pyro.distributions.transforms import AffineTransform
from torch import Tensor, nn

from nbam_pyro import functional as nf
from nbam_pyro.models.latents import Latents
from nbam_pyro.models.likelihoods.component import check_positive

__all__ = ["MarkovSwitch"]


@final
class MarkovSwitch(nn.Module):
    r"""A coupling of the switches of a series: contaminated rows follow each other in bursts.

    .. math::
        \pi \sim \mathrm{Beta}(a, b), \qquad d - 1 \sim \mathrm{LogNormal}(\log m, s), \qquad
        z_1, z_2, \dots \sim \mathrm{Markov}(\pi, d)

    pi is the share of contaminated rows, and the *dwell* d is the mean number of consecutive
    contaminated rows (`nbam_pyro.functional.chain_transitions`). The global latents are the sites
    "contamination" and "dwell". Rows are independent if d = 1 / (1 - pi). A switch prior such as
    `BetaSwitch` gives one log density per row; this coupling gives one per series, `log_partition`.
    Use it where `LatentSwitch` adds up the log marginals of rows.

    Args:
        a: Pseudo-count of contaminated rows, positive.
        b: Pseudo-count of clean rows, positive.
        median_dwell: Prior median m of d - 1, in steps, positive.
        spread: Prior standard deviation s of log(d - 1), positive.

    Raises:
        DataError: A number is not positive.

    Example:
        >>> switch = MarkovSwitch()
        >>> latents = {"contamination": torch.tensor(0.2), "dwell": torch.tensor(5.0)}
        >>> e = torch.tensor([[0.0, 3.0], [0.0, 0.0], [0.0, 3.0]])  # the second row is missing
        >>> switch.responsibility(e, latents)
        tensor([0.9618, 0.9454, 0.9618])
    """

    def __init__(
        self, a: float = 1.0, b: float = 9.0, *, median_dwell: float = 5.0, spread: float = 1.0
    ) -> None:
        super().__init__()
        for name, value in {"a": a, "b": b, "median_dwell": median_dwell, "spread": spread}.items():
            check_positive(name, value)
        self.a = a
        self.b = b
        self.median_dwell = median_dwell
        self.spread = spread

    def priors(self) -> dict[str, TorchDistribution]:
        """Return the priors of the sites "contamination" and "dwell"."""
        excess = dist.LogNormal(math.log(self.median_dwell), self.spread, validate_args=False)
        shifted = dist.TransformedDistribution(excess, [AffineTransform(1.0, 1.0)])
        return {
            "contamination": dist.Beta(float(self.a), float(self.b), validate_args=False),
            "dwell": shifted,
        }

    def log_partition(
        self,
        emissions: Tensor,
        latents: Latents,
        *,
        steps: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> Tensor:
        """Return the log density of each series with all switches summed out, (*B).

        Args:
            emissions: Log likelihoods of a clean and of a contaminated target, without the prior
                of the switch, (*B, T, 2).
            latents: Values of the global latents by site name.
            steps: Times between consecutive rows, (*B, T - 1); None for steps of 1.
            mask: Rows that exist, booleans (*B, T); None if all do.
        """
        start, moves = self._chain(latents, steps)
        return nf.chain_log_partition(start, moves, emissions, mask)

    def responsibility(
        self,
        emissions: Tensor,
        latents: Latents,
        *,
        steps: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> Tensor:
        """Return P(z_t = 1 | whole series, latents) of each row, (*B, T).

        The arguments are those of `log_partition`.
        """
        start, moves = self._chain(latents, steps)
        return nf.chain_responsibility(start, moves, emissions, mask)

    def _chain(self, latents: Latents, steps: Tensor | None) -> tuple[Tensor, Tensor]:
        pi, dwell = latents["contamination"], latents["dwell"]
        # A clean row cannot become contaminated with a probability above 1.
        dwell = torch.maximum(dwell, pi / (1 - pi) * (1 + torch.finfo(pi.dtype).eps))
        return nf.chain_start(pi), nf.chain_transitions(pi, dwell, steps)
