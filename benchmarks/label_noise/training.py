"""The training run of all baselines. Baselines differ only in the loss."""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import lightning.pytorch as pl
import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.label_noise.problems import DataSet, Problem
from nbam_pyro.training.contexts import evaluating
from nbam_pyro.training.lightning import quiet

# Learning rate of parameters of a loss, relative to that of the network. With a ratio of 1 a
# transition layer hardly changes before the network has memorised the wrong labels.
OWN = 10

# (logits, labels, rows) -> mean loss of a batch. `rows` are the row numbers in the problem.
Loss = Callable[[Tensor, Tensor, Tensor], Tensor]


@dataclass(frozen=True, kw_only=True)
class Task:
    """Input of a method.

    Attributes:
        problem: Noisy rows. Only an oracle may use their true labels.
        data: Data set, which defines network, epochs and optimiser.
        seed: Seed of the method.
        device: Device to train on.
    """

    problem: Problem
    data: DataSet
    seed: int
    device: torch.device

    @property
    def trainer(self) -> dict[str, Any]:
        """Arguments of Lightning's trainer that select the device."""
        kind = {"cuda": "gpu"}.get(self.device.type, self.device.type)
        index = self.device.index
        return {"accelerator": kind, "devices": 1 if index is None else [index]}


class Batch(NamedTuple):
    """Rows of a training step: inputs, observed labels, and indices of rows in the problem."""

    x: Tensor
    y: Tensor
    rows: Tensor


class Trained(NamedTuple):
    """A network with the parameters of the selected epoch, and the parameters of the last epoch."""

    network: nn.Sequential
    last: dict[str, Tensor]

    def at_last(self) -> nn.Sequential:
        """Return a copy of the network with the parameters of the last epoch."""
        network = copy.deepcopy(self.network)
        network.load_state_dict(self.last)
        return network


def train(task: Task, loss: Loss, *, chosen: np.ndarray | None = None) -> Trained:
    """Train a new network and select the epoch with the best accuracy on noisy validation rows.

    Args:
        task: Problem, network, optimiser and device.
        loss: Loss of a batch. Its own parameters are also trained, without weight decay.
        chosen: Rows of the problem to use, (N,) booleans, or None for all rows. The problem
            decides which of them are validation rows.

    Returns:
        The network with the parameters of the selected epoch, and the parameters of the last
        epoch. Parameters of the loss keep the values of the selected epoch.
    """
    problem, data = task.problem, task.data
    usable = np.ones(len(problem.labels.clean), dtype=bool) if chosen is None else chosen
    x = torch.as_tensor(problem.x, device=task.device)
    y = torch.as_tensor(problem.labels.observed, device=task.device)
    batches = Batches(x, y, usable & ~problem.held_out, data.batch_size, shuffle=True)
    validation = Batches(x, y, usable & problem.held_out, 1024)
    network = data.network()
    module = Plain(network, loss, data)
    best = BestEpoch()
    with quiet():
        trainer = pl.Trainer(
            max_epochs=data.epochs,
            callbacks=[best],
            logger=False,
            enable_checkpointing=False,
            enable_model_summary=False,
            enable_progress_bar=False,
            num_sanity_val_steps=0,
            **task.trainer,
        )
        trainer.fit(module, batches, validation)
    last = _parameters(network)
    module.load_state_dict(best.state)
    return Trained(network, last)


def probabilities(task: Task, network: nn.Module, x: np.ndarray) -> np.ndarray:
    """Return p(class | x) of the network in evaluation mode, (N, K)."""
    network = network.to(task.device)
    with torch.no_grad(), evaluating(network):
        parts = [network(part.to(task.device)) for part in torch.as_tensor(x).split(1024)]
    return torch.cat(parts).softmax(-1).cpu().numpy()


class Batches:
    """Loader of batches from tensors that are already on the device.

    Args:
        x: All rows, (N, ...).
        y: Observed labels of all rows, (N,).
        chosen: Rows to iterate over, (N,) booleans.
        size: Number of rows of a batch.
        shuffle: Whether to draw a new order for each epoch. Then a last batch of one row is also
            dropped, because batch norm needs two rows.
    """

    def __init__(
        self, x: Tensor, y: Tensor, chosen: np.ndarray, size: int, *, shuffle: bool = False
    ) -> None:
        self.x, self.y, self.size, self.shuffle = x, y, size, shuffle
        self.index = torch.as_tensor(np.flatnonzero(chosen))

    def __len__(self) -> int:
        whole, rest = divmod(len(self.index), self.size)
        return whole + (rest > self.shuffle)

    def __iter__(self) -> Iterator[Batch]:
        order = torch.randperm(len(self.index)) if self.shuffle else slice(None)
        for rows in self.index[order].split(self.size)[: len(self)]:
            there = rows.to(self.x.device)
            yield Batch(self.x[there], self.y[there], there)


class Plain(pl.LightningModule):
    """Lightning module that trains a network and a loss with AdamW."""

    def __init__(self, network: nn.Module, loss: Loss, data: DataSet) -> None:
        super().__init__()
        self.network = network
        self.loss = loss
        self.data = data

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        return self.loss(self.network(batch.x), batch.y, batch.rows)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        right = self.network(batch.x).argmax(-1) == batch.y
        self.log("accuracy", right.float().mean(), batch_size=len(batch.y))

    def configure_optimizers(self) -> Any:
        lr, decay = self.data.lr, self.data.weight_decay
        own = [p for name, p in self.named_parameters() if not name.startswith("network.")]
        groups: list[dict[str, Any]] = [
            {"params": list(self.network.parameters()), "lr": lr, "weight_decay": decay},
            {"params": own, "lr": OWN * lr, "weight_decay": 0.0},
        ]
        groups = [group for group in groups if group["params"]]
        optimiser = torch.optim.AdamW(groups)
        if not self.data.one_cycle:
            return optimiser
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimiser,
            max_lr=[group["lr"] for group in groups],
            total_steps=int(self.trainer.estimated_stepping_batches),
        )
        return [optimiser], [{"scheduler": schedule, "interval": "step"}]


class BestEpoch(pl.Callback):
    """Callback that keeps the parameters of the epoch with the highest validation accuracy."""

    def __init__(self) -> None:
        self.accuracy = -1.0
        self.state: dict[str, Tensor] = {}

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        accuracy = float(trainer.callback_metrics["accuracy"])
        if accuracy > self.accuracy:
            self.accuracy, self.state = accuracy, _parameters(pl_module)


def _parameters(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.cpu() for name, value in copy.deepcopy(module.state_dict()).items()}
