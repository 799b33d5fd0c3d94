"""Commands on several devices: Lightning starts the same command in further processes."""

import os
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from nbam_pyro.cli.common import say

__all__ = ["one_writer"]

# Variables in which torchrun, SLURM and Lightning tell a process its place, from 0.
_PLACES = ("RANK", "SLURM_PROCID", "LOCAL_RANK")


@contextmanager
def one_writer(out: Path, devices: int | None) -> Iterator[tuple[Path, Callable[[object], None]]]:
    """Return the folder that this process writes, and the function that it prints lines with.

    The first process writes `out` and prints. Each further process has a temporary folder instead
    and is silent: it only helps to train.

    Args:
        out: Folder that the command writes.
        devices: Number of devices; None for one.
    """
    place = next((os.environ[name] for name in _PLACES if name in os.environ), "0")
    if (devices or 1) == 1 or place == "0":
        yield out, say
        return
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield Path(folder) / out.name, lambda _: None
