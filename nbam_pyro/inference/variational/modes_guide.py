"""`ModesGuide`, a posterior of the global latents that has several modes."""

from dataclasses import dataclass

import torch
from torch import Tensor

from nbam_pyro.inference.variational.guides import Draw, DrawnGuide
from nbam_pyro.inference.variational.space import Space

__all__ = ["Mode", "ModesGuide"]


@dataclass(frozen=True, eq=False)
class Mode:
    """One mode of the posterior of the global latents: one explanation of the data.

    Attributes:
        weight: Posterior probability of the mode. The weights of all modes sum to one.
        latents: Values of the global latents at the mode, by site name.
        draws: Draws of the global latents from this mode, by site name, (S, ...).
    """

    weight: float
    latents: Draw
    draws: Draw


class ModesGuide(DrawnGuide):
    """The posterior of the global latents as weighted draws around several modes.

    `guide_draws` returns draws of all modes in proportion to their weights, and `guide_median`
    returns the values at the mode with the largest weight. `Explore` creates this guide.

    Args:
        space: Free coordinates of the global latents.
        free: Draws in free coordinates, (S, D).
        mode: Index of the mode that each draw belongs to, (S,).
        centres: Free coordinates of each mode, the mode with the largest weight first, (M, D).
        weights: Weight of each mode, (M,).
        k_hat: Pareto k-hat, a diagnostic of the importance weights, (); NaN if the draws come from
            Markov chains.
    """

    free: Tensor
    mode: Tensor
    centres: Tensor
    weights: Tensor
    k_hat: Tensor

    def __init__(
        self,
        space: Space,
        *,
        free: Tensor,
        mode: Tensor,
        centres: Tensor,
        weights: Tensor,
        k_hat: Tensor,
    ) -> None:
        super().__init__()
        self.space = space
        order = mode.argsort(stable=True)  # evenly spaced draws then keep the weights
        self.register_buffer("free", free[order])
        self.register_buffer("mode", mode[order])
        self.register_buffer("centres", centres)
        self.register_buffer("weights", weights)
        self.register_buffer("k_hat", k_hat)

    def draws(self, count: int, *, seed: int = 0) -> Draw:
        generator = torch.Generator().manual_seed(seed)
        places = (torch.arange(count) + torch.rand(count, generator=generator)) / count
        index = (places * len(self.free)).long().clamp_max(len(self.free) - 1)
        index = index[torch.randperm(count, generator=generator)]
        return self._values(self.free[index])

    def median(self) -> Draw:
        return self._values(self.centres[0])

    @property
    def modes(self) -> tuple[Mode, ...]:
        """The modes, the one with the largest weight first."""
        return tuple(
            Mode(
                weight=float(weight),
                latents=self._values(self.centres[number]),
                draws=self._values(self.free[self.mode == number]),
            )
            for number, weight in enumerate(self.weights)
        )

    def _values(self, free: Tensor) -> Draw:
        """Return values of the latents in the precision of the guide."""
        values, _ = self.space.constrain(free)
        return {name: value.to(free.dtype) for name, value in values.items()}
