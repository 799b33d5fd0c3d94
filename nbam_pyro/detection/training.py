"""Training of a backbone, with an assignment that fills in the switches of the rows."""

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor
from torch.utils.data import TensorDataset

from nbam_pyro.detection.assignments import Assignment, Blind
from nbam_pyro.detection.backbones.base import Backbone
from nbam_pyro.detection.energies import Prior, check_energies, energies_of
from nbam_pyro.detection.settings import Schedule
from nbam_pyro.outputs.switch_codes import UNVERIFIED
from nbam_pyro.training.lightning import Options, Task, train
from nbam_pyro.training.rows import Batch, Rows

__all__ = ["train_backbone"]

# The step size of the rate, in units of the step size of the weights.
_RATE_STEPS = 10


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
