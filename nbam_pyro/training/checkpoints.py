"""Checkpoints from which an interrupted training run continues with the same numbers."""

import time
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, Checkpoint
from lightning.pytorch.plugins.io import TorchCheckpointIO

from nbam_pyro.training.journal import random_state, set_random_state, write_whole

__all__ = ["EachEpoch", "RandomStateCheckpoint", "WholeFiles"]


class WholeFiles(TorchCheckpointIO):
    """Write checkpoints beside their place first, so that no part of one is ever read."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None
    ) -> None:
        # Lightning itself would write to the temporary folder of the system.
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        write_whole(Path(path), lambda draft: torch.save(checkpoint, draft))


class EachEpoch(Checkpoint):
    """Write a checkpoint after an epoch, in place of that of an epoch before.

    Short epochs share a checkpoint: there is at most one in a second.

    Args:
        path: Path of the checkpoint.
        pause: Seconds between two checkpoints.
    """

    def __init__(self, path: Path, *, pause: float = 1.0) -> None:
        self.path = path
        self.pause = pause
        self.written = time.monotonic()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if time.monotonic() - self.written >= self.pause:
            trainer.save_checkpoint(self.path)
            self.written = time.monotonic()


class RandomStateCheckpoint(Callback):
    """Keep the state of torch's random generators in checkpoints, and restore it."""

    def state_dict(self) -> dict[str, Any]:
        return random_state()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        # Lightning calls this before it asks the loader for batches.
        set_random_state(state_dict)
