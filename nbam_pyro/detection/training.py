"""Training of a backbone, with an assignment that fills in the switches of the rows."""

from collections.abc import Sequence

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from nbam_pyro.detection.assignments import Assignment, Blind
from nbam_pyro.detection.backbones.base import Backbone, Energies
from nbam_pyro.detection.checks import check_energies_finite
from nbam_pyro.detection.settings import Schedule
from nbam_pyro.errors import DataError, StoryError
from nbam_pyro.outputs.switch_codes import UNVERIFIED
from nbam_pyro.training.lightning import Options, Task, train
from nbam_pyro.training.rows import Batch, Rows

__all__ = ["Prior", "check_energies", "energies_of", "train_backbone"]

# The step size of the rate, in units of the step size of the weights.
_RATE_STEPS = 10


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


def train_backbone(
    backbone: Backbone,
    assignment: Assignment,
    x: Tensor,
    prior: Prior,
    *,
    verified: Tensor = UNVERIFIED,
    schedule: Schedule,
    options: Options,
) -> list[dict[str, float]]:
    """Train a backbone with the loss of an assignment, and leave it in evaluation mode.

    Args:
        backbone: Backbone of S members (models).
        assignment: Assignment that is used after the warm-up.
        x: Rows of each of the S members (models), (S, N, ...), or rows that all use, (1, N, ...).
        prior: Prior of the switches, which is trained too if its rates are learned.
        verified: Integer codes of verified rows, broadcast to (S, N): 1 for an anomaly, 0 for a
            normal row, -1 where nothing is verified. The default is -1 for all rows.
        schedule: Number of epochs, and the steps of the optimiser.
        options: Batch size, progress bar and further arguments of Lightning's trainer.

    Returns:
        One record per epoch, with its loss.

    Raises:
        StoryError: The assignment needs densities and the backbone has none, or the assignment
            cannot learn the rates of `prior`.
    """
    check_energies(backbone, assignment, learned=any(True for _ in prior.parameters()))
    count = x.shape[1]
    codes = torch.atleast_2d(verified)
    codes = codes.expand(len(codes), count)
    backbone.start(backbone.rows(x))
    now = _Phase(min(schedule.warm_up, schedule.epochs // 2))
    blind = Blind(label_weight=assignment.label_weight)

    def loss(batch: Batch) -> Tensor:
        assign = blind if now.warming else assignment
        rows, index = backbone.rows(batch.x.transpose(0, 1)), batch.y
        here = codes.to(rows.device)[:, index]
        return assign(prior.logit, backbone.energies(rows), here).loss.mean()

    weights = {"params": list(backbone.parameters()), "lr": schedule.lr}
    groups = [
        weights | {"weight_decay": schedule.weight_decay},
        {"params": list(prior.parameters()), "lr": _RATE_STEPS * schedule.lr, "weight_decay": 0.0},
    ]
    data = TensorDataset(x.transpose(0, 1).contiguous(), torch.arange(count))
    rows = Rows(data, data.tensors[1], torch.ones(count))
    history, _ = train(
        Task(
            [backbone, prior],
            loss=loss,
            groups=groups,
            one_cycle=backbone.one_cycle,
            hook=backbone.hook(),
        ),
        rows,
        np.arange(count),
        np.arange(0),
        epochs=schedule.epochs,
        options=options,
        label="detector",
        callbacks=[now],
    )
    backbone.eval()
    like = next(backbone.parameters())

    def normal() -> Tensor:
        found = assignment(prior.logit.detach().cpu(), energies_of(backbone, x), codes)
        return found.clean > found.anomalous

    backbone.finish(backbone.rows(x.to(like)), normal)
    return history


class _Phase(Callback):
    """Callback that records whether training is in its warm-up."""

    def __init__(self, warm_up: int) -> None:
        self.warm_up = warm_up
        self.warming = warm_up > 0

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.warming = trainer.current_epoch < self.warm_up


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
