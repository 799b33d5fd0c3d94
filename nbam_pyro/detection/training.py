"""Train a backbone under an assignment of switches."""

from collections.abc import Sequence
from dataclasses import dataclass

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from nbam_pyro.detection.assignments import Assignment, Blind
from nbam_pyro.detection.checks import check_energies_finite
from nbam_pyro.detection.backbones.base import Backbone, Energies
from nbam_pyro.errors import DataError, StoryError
from nbam_pyro.inference.rows import Batch, Rows
from nbam_pyro.inference.training import Options, Training, train

# Step sizes of the rate are so many times those of weights.
_RATE_STEPS = 10


class Prior(nn.Module):
    """Prior log odds of an anomaly, (S, 1): given, or open and learned with the weights.

    Args:
        rates: of anomalies by member, (S,); where they are open, where they start.
        learned: whether they are open.

    Raises:
        DataError: a rate is not in [0, 1).

    Example:
        >>> Prior([0.0, 0.5]).logit.sigmoid().tolist()
        [[0.0], [0.5]]
    """

    logit: Tensor

    def __init__(self, rates: Sequence[float], *, learned: bool = False) -> None:
        super().__init__()
        if not all(0 <= rate < 1 for rate in rates):
            raise DataError(f"The rates of anomalies are {list(rates)}; they must lie in [0, 1).")
        logit = torch.tensor([float(rate) for rate in rates])[:, None].logit()
        if learned:
            self.logit = nn.Parameter(logit)
        else:
            self.register_buffer("logit", logit)


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """How a backbone is trained.

    Args:
        epochs: in all.
        warm_up: of them, at most half, before switches are assigned.
        lr: step size of AdamW.
        weight_decay: of AdamW.
    """

    epochs: int = 200
    warm_up: int = 2
    lr: float = 1e-3
    weight_decay: float = 1e-5


def train_backbone(
    backbone: Backbone,
    assignment: Assignment,
    x: Tensor,
    prior: "Prior",
    *,
    observed: Tensor | None = None,
    schedule: Schedule,
    options: Options,
) -> list[dict[str, float]]:
    """Lower the loss of an assignment, and leave the backbone in evaluation mode.

    Args:
        backbone: of S members.
        assignment: of the switches, after the warm-up.
        x: rows of every member, (S, N, ...), or of all, (1, N, ...).
        prior: of the switches; its rate is learned where it is open.
        observed: switches that are known, (S, N): 0, 1, or -1; None if none is.
        schedule: epochs and steps.
        options: batch size, progress and Lightning's own.

    Returns:
        one record per epoch.

    Raises:
        StoryError: the assignment needs normalised energies and the backbone has none, or the
            rate is open and the assignment cannot learn it.
    """
    check_energies(backbone, assignment, learned=any(True for _ in prior.parameters()))
    count = x.shape[1]
    backbone.start(backbone.rows(x))
    now = _Phase(min(schedule.warm_up, schedule.epochs // 2))
    blind = Blind(label_weight=assignment.label_weight)

    def loss(batch: Batch) -> Tensor:
        assign = blind if now.warming else assignment
        rows, index = backbone.rows(batch.x.transpose(0, 1)), batch.y
        known = None if observed is None else observed.to(rows.device)[:, index]
        return assign(prior.logit, backbone.energies(rows), known).loss.mean()

    weights = {"params": list(backbone.parameters()), "lr": schedule.lr}
    groups = [
        weights | {"weight_decay": schedule.weight_decay},
        {"params": list(prior.parameters()), "lr": _RATE_STEPS * schedule.lr, "weight_decay": 0.0},
    ]
    data = TensorDataset(x.transpose(0, 1).contiguous(), torch.arange(count))
    rows = Rows(data, data.tensors[1], torch.ones(count))
    history, _ = train(
        Training([backbone, prior], loss=loss, groups=groups),
        rows,
        np.arange(count),
        np.arange(0),
        epochs=schedule.epochs,
        options=options,
        label="detector",
        callbacks=[now],
    )
    backbone.eval()
    return history


class _Phase(Callback):
    def __init__(self, warm_up: int) -> None:
        self.warm_up = warm_up
        self.warming = warm_up > 0

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.warming = trainer.current_epoch < self.warm_up


def check_energies(backbone: Backbone, assignment: Assignment, *, learned: bool) -> None:
    """Refuse a posterior of energies that are no log densities, and a rate that nothing learns."""
    if assignment.normalised_only and not backbone.normalised:
        raise StoryError(
            f"{type(assignment).__name__} needs energies that are negative log densities; those of "
            f"{type(backbone).__name__} have units of their own, on which a posterior or a learned "
            "rate would depend. Use Soft or Hard, or the GaussianMixture backbone."
        )
    if learned and not assignment.normalised_only:
        raise StoryError(
            f"{type(assignment).__name__} ranks rows and cannot learn how many are anomalies with "
            "the weights: find the rate by estimate_rate, or use Exact with densities."
        )


@torch.no_grad()
def energies_of(backbone: Backbone, x: Tensor, *, size: int = 256) -> Energies:
    """Energies (S, N) of rows, a few at a time, on the CPU.

    The backbone is not changed, so that several threads may call this with the same one.

    Args:
        backbone: A backbone in evaluation mode, as `train_backbone` leaves it.
        x: Rows of every member, (S, N, ...), or of all, (1, N, ...). They are brought to the type
            and device of the backbone's parameters.
        size: Rows that are computed at once.

    Raises:
        DataError: Energies are not finite.
    """
    like = next(backbone.parameters())
    parts = [backbone.energies(backbone.rows(part.to(like))) for part in x.split(size, 1)]
    found = Energies(*(torch.cat(side, 1).cpu() for side in zip(*parts, strict=True)))
    check_energies_finite(found)
    return found
