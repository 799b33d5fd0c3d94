"""Training of an encoder, a network that computes the representation of rows."""

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import TensorDataset

from nbam_pyro.checks.numbers import check_finite
from nbam_pyro.detection.representations.background import Background
from nbam_pyro.detection.representations.critic import CriticHook, Independence
from nbam_pyro.detection.scaling import MIDDLE
from nbam_pyro.detection.settings import Schedule
from nbam_pyro.errors import DataError
from nbam_pyro.training.rows import Batch, Rows

if TYPE_CHECKING:
    from nbam_pyro.training.lightning import Options

__all__ = ["centred", "encoded", "perceptron", "train_encoder"]

# Scaled features have about this standard deviation. Networks learn faster if it is 1.
_SPREAD = 0.25
# Number of rows that are encoded at once.
_ROWS = 4096


def perceptron(inputs: int, *, widths: Sequence[int] = (64, 64, 16)) -> nn.Sequential:
    """Return a perceptron whose last layer is linear, as an encoder of tables.

    Args:
        inputs: Number of features of a row.
        widths: Number of units of each layer. The last one is the width of the representation.

    Example:
        >>> perceptron(8)(torch.zeros(5, 8)).shape
        torch.Size([5, 16])
    """
    layers: list[nn.Module] = []
    for before, after in pairwise([inputs, *widths]):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def train_encoder(
    encoder: nn.Module,
    x: Tensor,
    known: Background,
    *,
    penalty: Independence | None,
    rows: tuple[np.ndarray, np.ndarray],
    schedule: Schedule,
    options: "Options",
) -> list[dict[str, Any]]:
    """Train an encoder to predict the class, and leave it in evaluation mode.

    Without a penalty, the epoch with the lowest loss of held-out rows is kept. With a penalty it is
    the last one, because the representation becomes independent while its loss rises.

    Args:
        encoder: Network that takes rows and returns their representation, (n, D).
        x: All rows, (N, ...).
        known: Classes, nuisances and weights of all rows.
        penalty: Penalty on the dependence on the nuisance; None for no penalty.
        rows: Indices of the rows to train on, and of the held-out rows.
        schedule: Number of epochs, and the steps of the optimiser.
        options: Batch size, progress bar and further arguments of Lightning's trainer.

    Returns:
        One record per epoch, with its loss.

    Raises:
        DataError: The encoder returns an array of another shape, or numbers that are not finite.
    """
    from nbam_pyro.training.lightning import Task, train

    own, held_out = rows
    width = encoded(encoder, x[:2]).shape[1]
    head = nn.Linear(width, len(known.classes.names))
    codes = torch.as_tensor(known.codes)
    hook = None if penalty is None else CriticHook(penalty, encoder, width, known)

    def fit_loss(batch: Batch) -> Tensor:
        r = encoder(batch.x)
        found = _weighted(head(r), codes, batch)
        return found if hook is None else found + hook.penalty(r, batch.y, batch.weights)

    def held_out_loss(batch: Batch) -> Tensor:
        return _weighted(head(encoder(batch.x)), codes, batch)

    index = torch.arange(len(x))
    data = Rows(TensorDataset(x, index), index, torch.as_tensor(known.weights).to(x.dtype))
    parameters = [*encoder.parameters(), *head.parameters()]
    group = {"params": parameters, "lr": schedule.lr, "weight_decay": schedule.weight_decay}
    history, _ = train(
        Task(
            [encoder, head], loss=fit_loss, held_out_loss=held_out_loss, groups=[group], hook=hook
        ),
        data,
        own,
        held_out if hook is None else held_out[:0],
        epochs=schedule.epochs,
        options=options,
        label="representation",
    )
    encoder.eval()
    return history


def centred(rows: np.ndarray) -> Tensor:
    """Return scaled features with their middle at 0 and a spread of about 1; images as they are.

    Args:
        rows: Rows that a detector has scaled, (N, D), or images, (N, C, H, W).
    """
    return torch.as_tensor((rows - MIDDLE) / _SPREAD if rows.ndim == 2 else rows)


@torch.no_grad()
def encoded(encoder: nn.Module, x: Tensor) -> np.ndarray:
    """Return the representation of rows, (N, D) float64.

    Args:
        encoder: Network of the representation.
        x: Rows, (N, ...), which are converted to the type and device of the encoder.

    Raises:
        DataError: The encoder returns an array of another shape, or numbers that are not finite.
    """
    like = next(encoder.parameters(), x)
    r = torch.cat([encoder(part.to(like)).cpu() for part in x.split(_ROWS)])
    if r.ndim != 2 or len(r) != len(x):
        raise DataError(
            f"The encoder returned shape {tuple(r.shape)} for {len(x)} rows; it must return (N, D)."
        )
    check_finite(r, "The representation", mend="features or steps are too large; use a lower lr")
    return np.asarray(r.double().numpy())


def _weighted(logits: Tensor, codes: Tensor, batch: Batch) -> Tensor:
    losses = cross_entropy(logits, codes.to(logits.device)[batch.y], reduction="none")
    return (batch.weights * losses).sum() / batch.weights.sum().clamp_min(1e-12)
