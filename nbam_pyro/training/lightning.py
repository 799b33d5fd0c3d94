"""Training of modules on rows by Lightning, with a choice of the best epoch on held-out rows."""

import logging
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint, RichProgressBar
from torch import Tensor, nn

from nbam_pyro.training.checkpoints import EachEpoch, RandomStateCheckpoint, WholeFiles
from nbam_pyro.training.devices import Part, agreed, trainer_arguments
from nbam_pyro.training.hooks import StepHook
from nbam_pyro.training.journal import Entry, Journal
from nbam_pyro.training.rows import Batch, Rows

BatchLoss = Callable[[Batch], Tensor]


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options that all training runs of a fit share.

    Args:
        batch_size: Number of rows in a training step.
        progress: Whether a progress bar is shown.
        journal: Finished training runs of an earlier, interrupted job, and place for those of this
            job. By default nothing is kept, and checkpoints are temporary.
        trainer: Further arguments of `lightning.pytorch.Trainer`, such as accelerator, devices and
            precision. Temporary checkpoints are in its `default_root_dir`. With several devices,
            each process trains on its part of every batch.
    """

    batch_size: int = 64
    progress: bool = False
    journal: Journal = field(default_factory=Journal)
    trainer: Mapping[str, Any] = field(default_factory=dict)


class Task(pl.LightningModule):
    """Modules with their losses and their optimiser, as Lightning trains them.

    Args:
        modules: Modules to train.
        loss: Loss of a training batch.
        groups: Parameter groups of the AdamW optimiser: dictionaries with "params", "lr" and
            further options.
        held_out_loss: Loss of a batch of held-out rows; None means the loss of training batches.
        one_cycle: Whether learning rates follow a one-cycle schedule, rising and then falling.
        hook: What happens to each training batch before its loss is computed; None for nothing.
    """

    def __init__(
        self,
        modules: Sequence[nn.Module],
        *,
        loss: BatchLoss,
        groups: Sequence[dict[str, Any]],
        held_out_loss: BatchLoss | None = None,
        one_cycle: bool = False,
        hook: StepHook | None = None,
    ) -> None:
        super().__init__()
        self.parts = nn.ModuleList(modules)
        self.others = nn.ModuleList(hook.modules if hook else ())
        self.loss = loss
        self.held_out_loss = held_out_loss or loss
        self.groups = groups
        self.one_cycle = one_cycle
        self.hook = hook

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the loss of a training batch."""
        if self.hook is not None:
            batch = self.hook(batch, self.loss)
        return self.loss(batch)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Log the loss of a batch of held-out rows."""
        value = self.held_out_loss(batch)
        self.log("held_out_loss", value, batch_size=len(batch[0]), prog_bar=True)

    def configure_optimizers(self) -> Any:
        """Return AdamW with the parameter groups, and the one-cycle schedule if there is one."""
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
    """Train for some epochs, and keep the parameters of the best epoch if rows are held out.

    The best epoch is the one with the lowest loss of the held-out rows. Held-out rows are not
    trained on. Without held-out rows, the parameters of the last epoch are kept.

    Args:
        task: Modules to train, with their losses and their optimiser.
        rows: All rows.
        index: Indices of the rows to train on.
        held_out: Indices of the held-out rows; empty if no rows are held out.
        epochs: Maximum number of epochs.
        options: Options that all runs of a fit share.
        label: Name of this run in the progress bar.
        passes: Number of passes over the rows in an epoch.
        patience: Number of epochs without improvement after which training stops; None for no
            early stopping.
        callbacks: Further callbacks for Lightning.

    Returns:
        One record per epoch with "epoch", "loss" and, with held-out rows, "held_out_loss"; and the
        device that was trained on.
    """
    entry = options.journal.entry(label, epochs=int(epochs), rows=len(index))
    finished = None if entry is None else entry.read(task, callbacks)
    if finished is not None:
        return finished["records"], torch.device(finished["device"])
    history = _History()
    given = trainer_arguments(options.trainer)
    used = [history, *callbacks, *given.pop("callbacks", [])]
    if options.progress:
        used.append(_Bar(label))
    selecting = len(held_out) > 0
    if entry is not None:
        given["plugins"] = [WholeFiles(), *given.get("plugins", [])]
    with quiet(), _checkpoints(entry, given.pop("default_root_dir", None)) as folder:
        best = ModelCheckpoint(folder, monitor="held_out_loss", save_weights_only=True)
        if selecting:
            used.append(best)
        if selecting and patience is not None:
            used.append(_EarlyStopping("held_out_loss", patience=patience))
        # The optimiser of a hook is not in a checkpoint, so such a run begins again.
        continues = entry is not None and task.hook is None
        if entry is not None and continues:
            used += [RandomStateCheckpoint(), EachEpoch(entry.last)]
        trainer = pl.Trainer(
            max_epochs=int(epochs),  # Lightning does not accept integers of NumPy
            callbacks=used,
            default_root_dir=folder,
            enable_checkpointing=selecting or continues,
            enable_progress_bar=options.progress,
            **{**_DEFAULTS, **given},
        )
        device = trainer.strategy.root_device
        rows = rows.near(device)
        part = Part(trainer.global_rank, trainer.world_size)
        batches = rows.loader(index, options.batch_size, shuffle=True, passes=passes, part=part)
        held_out_batches = rows.loader(held_out, 1024) if selecting else None
        last = entry.last if entry is not None and entry.last.exists() else None
        trainer.fit(task, batches, held_out_batches, ckpt_path=last, weights_only=True)
        if selecting:
            _load_best(task, best, part)
        if part.total > 1:
            torch.set_rng_state(agreed(torch.get_rng_state(), part))
    if entry is not None:
        entry.finish(task, callbacks, {"records": history.records, "device": str(device)})
    return history.records, device


def _load_best(task: Task, best: ModelCheckpoint, part: Part) -> None:
    """Set a task to its best epoch. The file may be on the machine of the first process alone."""
    state = {}
    if part.place == 0:
        state = torch.load(best.best_model_path, weights_only=True)["state_dict"]
    task.load_state_dict(agreed(state, part))


@contextmanager
def _checkpoints(entry: Entry | None, root: Any) -> Iterator[str]:
    """Return a folder for checkpoints: that of a journal's entry, or a temporary one in `root`."""
    if entry is None:
        with tempfile.TemporaryDirectory(dir=root) as folder:
            yield folder
    else:
        yield str(entry.checkpoints)


_DEFAULTS: dict[str, Any] = {
    "devices": 1,
    "logger": False,
    "enable_model_summary": False,
    "num_sanity_val_steps": 0,
    "use_distributed_sampler": False,  # batches of `Rows` are divided already
}


class _Bar(RichProgressBar):
    """Progress bar of Lightning that also shows the name of the run."""

    def __init__(self, label: str) -> None:
        super().__init__(leave=False)
        self.label = label

    def get_metrics(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule
    ) -> dict[str, int | str | float | dict[str, float]]:
        return {"step": self.label, **super().get_metrics(trainer, pl_module)}


class _EarlyStopping(EarlyStopping):
    """Early stopping that does not begin another epoch if a checkpoint is one of a stopped run."""

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        trainer.should_stop = trainer.should_stop or self.wait_count >= self.patience


class _History(Callback):
    """Record the losses of each epoch.

    Lightning's own logging at each step would take as long as a training step of a small network.
    """

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
        loss = float(trainer.strategy.reduce(torch.stack(losses) @ weights / weights.sum()))
        others = {name: float(value) for name, value in trainer.callback_metrics.items()}
        self.records.append({"epoch": trainer.current_epoch, "loss": loss, **others})

    def state_dict(self) -> dict[str, Any]:
        return {"records": self.records}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.records = state_dict["records"]


@contextmanager
def quiet() -> Iterator[None]:
    """Suppress messages of Lightning about hardware and loaders, but not those about training."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*does not have many workers")
            warnings.filterwarnings("ignore", message=".*smaller than the logging interval")
            warnings.filterwarnings("ignore", message=".*LeafSpec")  # Lightning 2.6 on torch 2.14
            warnings.filterwarnings("ignore", message=".*no `val_dataloader`")
            warnings.filterwarnings("ignore", message=".*in eval mode at the start of training")
            warnings.filterwarnings("ignore", message=".*Checkpoint directory .* exists")
            # Every process has the loss of all held-out rows.
            warnings.filterwarnings("ignore", message=".*sync_dist=True")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
