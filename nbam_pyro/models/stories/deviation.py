"""`RateDeviation`: how the rate of a row deviates from the rate of its true class."""

import math
from dataclasses import dataclass

import pyro.distributions as dist
import torch
from pyro.distributions import TorchDistribution
from torch import Tensor, nn

from nbam_pyro.models.latents import Latents
from nbam_pyro.models.priors.groups import group_deviation, group_priors


@dataclass(frozen=True, kw_only=True)
class RateDeviation:
    """The deviation g = w . h + tau u_g of a row's rate from the rate of its true class, in logits.

    The rate is the probability that the label of the row is wrong. h are features of the row, and
    tau u_g is the deviation of its group. Either part can be left out. h are the standardised
    features of a network, or the `InducingFeatures` of the coordinates of the row. The global
    latents are "deviation" (w), "group_spread" (tau) and "group" (u).

    Attributes:
        features: Number D of features h; 0 to leave this part out.
        scale: Prior standard deviation of the weights w.
        groups: Number of groups; 0 to leave this part out.
    """

    features: int
    scale: float
    groups: int

    def priors(self, like: Tensor) -> dict[str, TorchDistribution]:
        """Return the priors of the global latents by site name.

        Args:
            like: Tensor whose precision and device the priors have.
        """
        sites: dict[str, TorchDistribution] = {}
        if self.features:
            scale = like.new_full((self.features,), self.scale)
            normal = dist.Normal(torch.zeros_like(scale), scale, validate_args=False)
            sites["deviation"] = normal.to_event(1)
        return sites | group_priors(self.groups, 1.0, like) if self.groups else sites

    def inputs(self, h: Tensor | None, codes: Tensor | None, like: Tensor) -> Tensor | None:
        """Return the inputs of the deviation, (N, inputs); None if the deviation is 0.

        Args:
            h: Features, (N, D); None if this part is left out.
            codes: Code of each row's group, (N,); None if the story has no groups.
            like: Tensor whose precision and device the codes get.
        """
        parts = [h] if self.features and h is not None else []
        if codes is not None:
            parts.append(codes[:, None].to(like))
        return torch.cat(parts, 1) if parts else None

    def of(self, inputs: Tensor, latents: Latents) -> Tensor:
        """Return the deviation of each row, (N,).

        Args:
            inputs: Result of the method `inputs` for the rows, (N, inputs).
            latents: Values of the global latents by site name.
        """
        g = inputs.new_zeros(len(inputs))
        if self.features:
            g = g + inputs[:, : self.features] @ latents["deviation"]
        if self.groups:
            g = g + group_deviation(inputs[:, -1].long(), latents)
        return g


def standardised(h: Tensor) -> Tensor:
    """Return the features of each row with mean 0 and sum of squares 1, without a gradient.

    Args:
        h: Features, (N, D).
    """
    return nn.functional.layer_norm(h.detach(), h.shape[1:]) / math.sqrt(h.shape[1])
