"""Training on several devices: one process for each, with its part of every batch.

Lightning starts the processes or finds those of `torchrun`, and adds up their gradients
(`DistributedDataParallel`). All processes make the same fit, in the same order: they have the same
networks, and where numbers could differ they take those of the first process.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor

from nbam_pyro.errors import StoryError

__all__ = [
    "WHOLE",
    "Part",
    "agreed",
    "check_one_device",
    "check_trainer",
    "gathered",
    "part_of",
    "trainer_arguments",
]

T = TypeVar("T")
_PLAIN = ("auto", "ddp")
_SAME = "ddp_find_unused_parameters_true"


class Part(NamedTuple):
    """The part of the rows that one process takes: every `total`-th row, from row `place`.

    Attributes:
        place: Place of the process among all processes, from 0.
        total: Number of processes.
    """

    place: int = 0
    total: int = 1


WHOLE = Part()


def check_trainer(
    trainer: Mapping[str, Any], *, n_jobs: int, progress_folder: Any, batch_size: int
) -> None:
    """Raise a `StoryError` if a fit cannot be made with such arguments of Lightning's trainer.

    Args:
        trainer: Arguments of `lightning.pytorch.Trainer`.
        n_jobs: Number of processes for independent parts of the fit.
        progress_folder: Folder that keeps the progress; None for no folder.
        batch_size: Number of rows in a training step.
    """
    strategy = trainer.get("strategy", "auto")
    name = strategy if isinstance(strategy, str) else type(strategy).__name__
    if any(word in name.lower() for word in ("fsdp", "modelparallel", "deepspeed")):
        raise StoryError(
            f"The strategy '{name}' divides a network among devices. A fit reads the whole network "
            "on every device. Use strategy='ddp', which copies it to each device, or one device."
        )
    if any(word in name.lower() for word in ("spawn", "fork", "notebook")):
        raise StoryError(
            f"The strategy '{name}' starts new processes for each training run, and a fit has "
            "several. Use strategy='ddp', and start the script with python or torchrun."
        )
    count = _count(trainer)
    if count == 1:
        return
    if n_jobs > 1:
        raise StoryError(
            f"The fit was asked to use several devices for each training run and to make {n_jobs} "
            "training runs at a time. Choose one of the two: leave out n_jobs, or devices."
        )
    if progress_folder is not None:
        raise StoryError(
            "The progress of a fit on several devices cannot be kept. Leave out progress_folder, "
            "or fit on one device."
        )
    if batch_size < 2 * count:
        raise StoryError(
            f"A training step has {batch_size} rows, and each of {count} processes needs two. "
            "Use fewer devices, or a larger batch_size."
        )


def check_one_device(trainer: Mapping[str, Any]) -> None:
    """Raise a `StoryError` if arguments of Lightning's trainer ask for several devices.

    Args:
        trainer: Arguments of `lightning.pytorch.Trainer`.
    """
    if _count(trainer) > 1:
        raise StoryError(
            "Detectors are trained on one device, because some compare all rows of a batch. Leave "
            "out devices and num_nodes."
        )


def trainer_arguments(trainer: Mapping[str, Any]) -> dict[str, Any]:
    """Return arguments of Lightning's trainer with the strategy that a fit needs.

    Not every step uses all parameters: the rates are fixed while a network is trained, for example.

    Args:
        trainer: Arguments of `lightning.pytorch.Trainer` that the user gave.
    """
    given = dict(trainer)
    if _count(given) > 1 and given.get("strategy", "auto") in _PLAIN:
        given["strategy"] = _SAME
    return given


def part_of(trainer: Mapping[str, Any]) -> Part:
    """Return the part of the rows that this process takes; all rows if there is one process.

    Args:
        trainer: Arguments of `lightning.pytorch.Trainer`.
    """
    # Processes of another program, such as one fit in each, are none of ours.
    if not (_count(trainer) > 1 and _connected()):
        return WHOLE
    return Part(torch.distributed.get_rank(), torch.distributed.get_world_size())


def agreed(value: T, part: Part) -> T:
    """Return the value of the first process in all processes.

    Args:
        value: Value that could differ in its last digits.
        part: Part of the rows of this process.
    """
    if part.total == 1:
        return value
    shared = [value]
    torch.distributed.broadcast_object_list(shared, src=0)
    return shared[0]


def gathered(values: Tensor, part: Part) -> Tensor:
    """Return values of all rows in their order from those of the rows of each process.

    Args:
        values: Values of the rows of this process, (n, ...), on the CPU.
        part: Part of the rows of this process.
    """
    if part.total == 1:
        return values
    parts: list[Any] = [None] * part.total
    torch.distributed.all_gather_object(parts, values)
    result = values.new_empty((sum(len(one) for one in parts), *values.shape[1:]))
    for place, one in enumerate(parts):
        result[place :: part.total] = one
    return result


def _count(trainer: Mapping[str, Any]) -> int:
    """Return the number of processes that Lightning makes of such arguments."""
    devices = trainer.get("devices", 1)
    if devices in ("auto", -1, "-1"):  # all GPUs, or one CPU
        devices = max(1, torch.cuda.device_count())
    elif isinstance(devices, str):
        devices = [one for one in devices.split(",") if one] if "," in devices else int(devices)
    each = devices if isinstance(devices, int) else len(devices)
    return each * int(trainer.get("num_nodes", 1))


def _connected() -> bool:
    return torch.distributed.is_available() and torch.distributed.is_initialized()
