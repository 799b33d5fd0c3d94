"""`RateDeviation`: how the rate of a row deviates from the rate of its true class."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import pyro.distributions as dist
import torch
from pyro.distributions import TorchDistribution
from torch import Tensor, nn

from nbam_pyro.models.inducing import InducingFeatures
from nbam_pyro.models.latents import Latents
from nbam_pyro.models.priors.coordinates import check_coordinates, split_coordinates
from nbam_pyro.models.priors.groups import (
    check_groups,
    group_deviation,
    group_priors,
    split_groups,
)


class DeviationRows(NamedTuple):
    """Rows divided into what the network and what the deviation takes.

    Attributes:
        x: What the network takes, (N, ...).
        coordinates: Coordinates, (N, d); None if the deviation has none.
        codes: Code of each row's group, (N,); None without groups.
    """

    x: Tensor
    coordinates: Tensor | None
    codes: Tensor | None


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
        over: Features of the coordinates of a row; None for the network's features.
    """

    features: int
    scale: float
    groups: int
    over: InducingFeatures | None

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

    def check_rows(self, x: Tensor) -> None:
        """Check that rows have the columns of the coordinates and of the code of the group.

        Args:
            x: Rows, (N, ...).

        Raises:
            DataError: x has no columns besides these, or a code is not the number of a group.
        """
        if self.groups:
            check_groups(x, self.groups)
        if self.over is not None:
            check_coordinates(x, self.over.inputs + bool(self.groups))

    def split(self, x: Tensor) -> DeviationRows:
        """Divide rows into what the network takes, the coordinates and the codes of groups.

        Args:
            x: Rows, (N, ...). The last columns or channels are the coordinates and then the code.
        """
        x, codes = split_groups(x) if self.groups else (x, None)
        x, s = split_coordinates(x, self.over.inputs) if self.over is not None else (x, None)
        return DeviationRows(x, s, codes)

    def inputs(self, h: Tensor | None, rows: DeviationRows, like: Tensor) -> Tensor | None:
        """Return the inputs of the deviation, (N, inputs); None if the deviation is 0.

        Args:
            h: Features of the network, (N, D), which `over` replaces; None if they are not needed.
            rows: Result of `split` for the rows.
            like: Tensor whose precision and device the codes get.
        """
        parts: list[Tensor] = []
        if self.over is not None and rows.coordinates is not None:
            parts.append(self.over(rows.coordinates))
        elif self.features and h is not None:
            parts.append(standardised(h))
        if rows.codes is not None:
            parts.append(rows.codes[:, None].to(like))
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
