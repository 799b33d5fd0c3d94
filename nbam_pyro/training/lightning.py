"""One Lightning run: any loss over rows, keeping the epoch that is best on held-out rows."""

import logging
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint, RichProgressBar
from torch import Tensor, nn

from nbam_pyro.training.rows import Batch, Rows

BatchLoss = Callable[[Batch], Tensor]


@dataclass(frozen=True, kw_only=True)
class Options:
    """What is the same for every Lightning run of a fit.

    Args:
        batch_size: rows of a training step.
        progress: show a progress bar.
        folder: where Lightning may keep its temporary checkpoints; None for the system's own
            temporary folder. They are removed after each run.
        trainer: further arguments of `lightning.pytorch.Trainer`: accelerator, devices, precision;
            its `default_root_dir` is taken for the folder where none is given.
    """

    batch_size: int = 64
    progress: bool = False
    folder: Path | None = None
    trainer: Mapping[str, Any] = field(default_factory=dict)


class Task(pl.LightningModule):
    """Modules, a loss of a training batch and one of a held-out batch, and an optimiser."""

    def __init__(
        self,
        modules: Sequence[nn.Module],
        *,
        loss: BatchLoss,
        groups: Sequence[dict[str, Any]],
        held_out_loss: BatchLoss | None = None,
        one_cycle: bool = False,
    ) -> None:
        super().__init__()
        self.parts = nn.ModuleList(modules)
        self.loss = loss
        self.held_out_loss = held_out_loss or loss
        self.groups = groups
        self.one_cycle = one_cycle

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        return self.loss(batch)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        value = self.held_out_loss(batch)
        self.log("held_out_loss", value, batch_size=len(batch[0]), prog_bar=True)

    def configure_optimizers(self) -> Any:
        optimiser = torch.optim.AdamW([dict(group) for group in self.groups])
        if not self.one_cycle:
            return optimiser
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimiser,
            [group["lr"] for group in optimiser.param_groups],
            total_steps=int(self.trainer.estimated_stepping_batches),
        )
        return [optimiser], [{"scheduler": schedule, "interval": "step"}]


def train(
    task: Task,
    rows: Rows,
    index: np.ndarray,
    held_out: np.ndarray,
    *,
    epochs: int,
    options: Options,
    label: str,
    passes: int = 1,
    patience: int | None = None,
    callbacks: Sequence[Callback] = (),
) -> tuple[list[dict[str, float]], torch.device]:
    """Train for some epochs and load the one with the lowest held-out loss, if rows are held out.

    Args:
        task: What to train.
        rows: all rows.
        index: rows to train on.
        held_out: rows to select the epoch on; none means that the last epoch stays.
        epochs: at most so many.
        options: batch size, progress and Lightning's own.
        label: what the progress bar calls this run.
        passes: How many times an epoch passes over the rows.
        patience: stop after so many epochs without improvement; None never stops early.
        callbacks: of Lightning's, beside those that select, stop and record.

    Returns:
        one record per epoch: epoch, loss and, with held-out rows, held_out_loss; and the device.
    """
    history = _History()
    given = dict(options.trainer)
    callbacks = [history, *callbacks, *given.pop("callbacks", [])]
    if options.progress:
        callbacks.append(_Bar(label))
    selecting = len(held_out) > 0
    root = given.pop("default_root_dir", None)
    with quiet(), tempfile.TemporaryDirectory(dir=options.folder or root) as folder:
        best = ModelCheckpoint(folder, monitor="held_out_loss", save_weights_only=True)
        if selecting:
            callbacks.append(best)
        if selecting and patience is not None:
            callbacks.append(EarlyStopping("held_out_loss", patience=patience))
        trainer = pl.Trainer(
            max_epochs=int(epochs),  # Lightning refuses the integers of NumPy
            callbacks=callbacks,
            default_root_dir=folder,
            enable_checkpointing=selecting,
            enable_progress_bar=options.progress,
            **{**_DEFAULTS, **given},
        )
        device = trainer.strategy.root_device
        rows = rows.near(device)
        batches = rows.loader(index, options.batch_size, shuffle=True, passes=passes)
        held_out_batches = rows.loader(held_out, 1024) if selecting else None
        trainer.fit(task, batches, held_out_batches)
        if selecting:
            state = torch.load(best.best_model_path, weights_only=True)
            task.load_state_dict(state["state_dict"])
    return history.records, device


_DEFAULTS: dict[str, Any] = {
    "devices": 1,
    "logger": False,
    "enable_model_summary": False,
    "num_sanity_val_steps": 0,
}


class _Bar(RichProgressBar):
    """Lightning's bar, with the step of the fit among its figures."""

    def __init__(self, label: str) -> None:
        super().__init__(leave=False)
        self.label = label

    def get_metrics(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule
    ) -> dict[str, int | str | float | dict[str, float]]:
        return {"step": self.label, **super().get_metrics(trainer, pl_module)}


class _History(Callback):
    """Losses by epoch; one log entry a step would cost as much as the step of a small network."""

    def __init__(self) -> None:
        self.records: list[dict[str, float]] = []
        self.steps: list[tuple[Tensor, int]] = []

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Batch, _: int
    ) -> None:
        self.steps.append((outputs["loss"], len(batch.y)))

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        losses, sizes = zip(*self.steps, strict=True)
        self.steps = []
        weights = torch.tensor(sizes, dtype=losses[0].dtype, device=losses[0].device)
        loss = float(torch.stack(losses) @ weights / weights.sum())
        others = {name: float(value) for name, value in trainer.callback_metrics.items()}
        self.records.append({"epoch": trainer.current_epoch, "loss": loss, **others})


@contextmanager
def quiet() -> Iterator[None]:
    """Silence Lightning's notes on hardware and loaders; its warnings on training stay."""
    logger = logging.getLogger("lightning.pytorch")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*does not have many workers")
            warnings.filterwarnings("ignore", message=".*smaller than the logging interval")
            warnings.filterwarnings("ignore", message=".*LeafSpec")  # Lightning 2.6 on torch 2.14
            warnings.filterwarnings("ignore", message=".*no `val_dataloader`")
            warnings.filterwarnings("ignore", message=".*in eval mode at the start of training")
            warnings.filterwarnings("ignore", message=".*Checkpoint directory .* exists")
            yield
    finally:
        logger.setLevel(level)
