"""One training run, the same for every baseline: only the loss differs."""

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

# Parameters of a loss take steps larger by so much than those of the network: at the network's own
# pace a transition layer stays where it starts until the network has memorised.
OWN = 10

# (logits, labels, rows) -> the mean loss of a batch; rows say which rows of the problem they are.
Loss = Callable[[Tensor, Tensor, Tensor], Tensor]


@dataclass(frozen=True, kw_only=True)
class Task:
    """What a method is given.

    Attributes:
        problem: Noisy rows. Only an oracle looks at their truth.
        data: Network, epochs and optimiser.
        seed: Seed of the method.
        device: Device to train on.
    """

    problem: Problem
    data: DataSet
    seed: int
    device: torch.device

    @property
    def trainer(self) -> dict[str, Any]:
        """The device as Lightning's trainer wants it."""
        kind = {"cuda": "gpu"}.get(self.device.type, self.device.type)
        index = self.device.index
        return {"accelerator": kind, "devices": 1 if index is None else [index]}


class Batch(NamedTuple):
    """Rows of a step: inputs, observed labels, and which rows of the problem they are."""

    x: Tensor
    y: Tensor
    rows: Tensor


class Trained(NamedTuple):
    """A network as it was at the selected epoch, and its parameters after the last one."""

    network: nn.Sequential
    last: dict[str, Tensor]

    def at_last(self) -> nn.Sequential:
        """A copy of the network as it was after the last epoch."""
        network = copy.deepcopy(self.network)
        network.load_state_dict(self.last)
        return network


def train(task: Task, loss: Loss, *, chosen: np.ndarray | None = None) -> Trained:
    """Train a fresh network and remember the epoch that is most accurate on noisy validation rows.

    Args:
        task: Problem, network, optimiser and device.
        loss: Loss of a batch. Its own parameters are trained too, without weight decay.
        chosen: Rows of the problem to use, for training or validation as they are marked; None for
            all.

    Returns:
        The network at the selected epoch, and its parameters after the last. Parameters of the loss
        are left at the selected epoch, too.
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
    """p(class | x) by the network in evaluation mode, (N, K)."""
    network = network.to(task.device)
    with torch.no_grad(), evaluating(network):
        parts = [network(part.to(task.device)) for part in torch.as_tensor(x).split(1024)]
    return torch.cat(parts).softmax(-1).cpu().numpy()


class Batches:
    """Batches of rows that sit on the device already, all indexed at once.

    Args:
        x: All rows.
        y: Their observed labels.
        chosen: Rows to iterate over, booleans.
        size: Number of rows of a batch.
        shuffle: Whether to draw a new order for each epoch and drop a last batch of one row, which
            batch norm cannot take.
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
    """A network, a loss and AdamW."""

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
    """The parameters of the first epoch with the highest noisy validation accuracy."""

    def __init__(self) -> None:
        self.accuracy = -1.0
        self.state: dict[str, Tensor] = {}

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        accuracy = float(trainer.callback_metrics["accuracy"])
        if accuracy > self.accuracy:
            self.accuracy, self.state = accuracy, _parameters(pl_module)


def _parameters(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.cpu() for name, value in copy.deepcopy(module.state_dict()).items()}
