"""Energies of rows by a backbone, their checks, and the prior of anomalies."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from nbam_pyro.detection.assignments import Assignment
from nbam_pyro.detection.backbones.base import Backbone, Energies
from nbam_pyro.detection.checks import check_energies_finite
from nbam_pyro.errors import DataError, StoryError

__all__ = ["Prior", "check_energies", "energies_of"]


class Prior(nn.Module):
    """The prior log odds of an anomaly for each model of a backbone, fixed or learned.

    Args:
        rates: Share of the training rows that each member (model) treats as anomalies, (S,). If
            rates are learned, these are the initial values.
        learned: Whether the rates are learned.

    Attributes:
        logit: Prior log odds of an anomaly for each member, (S, 1).

    Raises:
        DataError: A rate is not in [0, 1).

    Example:
        >>> Prior([0.0, 0.5]).logit.sigmoid().tolist()
        [[0.0], [0.5]]
    """

    logit: Tensor

    def __init__(self, rates: Sequence[float], *, learned: bool = False) -> None:
        super().__init__()
        if not all(0 <= rate < 1 for rate in rates):
            raise DataError(f"The rates of anomalies are {list(rates)}; give rates in [0, 1).")
        logit = torch.tensor([float(rate) for rate in rates])[:, None].logit()
        if learned:
            self.logit = nn.Parameter(logit)
        else:
            self.register_buffer("logit", logit)


def check_energies(backbone: Backbone, assignment: Assignment, *, learned: bool) -> None:
    """Check that an assignment works with a backbone, and with a learned rate.

    Args:
        backbone: Backbone that makes the energies.
        assignment: Assignment that uses the energies.
        learned: Whether the rate is learned with the weights.

    Raises:
        StoryError: The assignment needs densities and the backbone has none, or the assignment
            cannot learn the rate.
    """
    if assignment.normalised_only and not backbone.normalised:
        raise StoryError(
            f"{type(assignment).__name__} needs energies that are negative log densities, but "
            f"the energies of {type(backbone).__name__} have an arbitrary scale, on which a "
            "posterior or a learned rate would depend. Use Soft or Hard, or the "
            "GaussianMixture backbone."
        )
    if learned and not assignment.normalised_only:
        raise StoryError(
            f"{type(assignment).__name__} only ranks rows and cannot learn how many are anomalies. "
            "Estimate the rate with estimate_rate, or use Exact and a backbone of densities."
        )


@torch.no_grad()
def energies_of(backbone: Backbone, x: Tensor, *, size: int = 256) -> Energies:
    """Return the clean and anomaly energies of rows, two tensors of shape (S, N) on the CPU.

    The backbone is not changed. Therefore several threads may call this function with the same
    backbone.

    Args:
        backbone: A backbone in evaluation mode. `train_backbone` leaves a backbone in this mode.
        x: Rows of each of the S members (models), (S, N, ...), or rows that all use, (1, N, ...).
            They are converted to the type and device of the backbone's parameters.
        size: Number of rows that are computed at once.

    Raises:
        DataError: An energy is not finite.
    """
    like = next(backbone.parameters())
    parts = [backbone.energies(backbone.rows(part.to(like))) for part in x.split(size, 1)]
    found = Energies(*(torch.cat(side, 1).cpu() for side in zip(*parts, strict=True)))
    check_energies_finite(found)
    return found
