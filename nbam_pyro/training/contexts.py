"""One thread at a time through whatever belongs to the whole process.

Pyro keeps one stack of handlers, one parameter store and one set of settings for all threads, and
torch one default generator: two threads that use them at once change each other's numbers.
"""

import copy
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import nn

__all__ = ["evaluated", "evaluating", "exclusive", "seeded"]

_LOCK = threading.RLock()


@contextmanager
def exclusive() -> Iterator[None]:
    """Wait until no other thread is inside, and keep others out until the end.

    A thread that is inside already may enter again.

    Example:
        >>> with exclusive(), exclusive():
        ...     pass
    """
    with _LOCK:
        yield


@contextmanager
def seeded(seed: int, *, devices: bool = False) -> Iterator[None]:
    """Random numbers from a seed inside; torch's global random state is left as it was.

    Args:
        seed: Seed of torch's default generator.
        devices: Seed the generators of all GPUs, too.

    Example:
        >>> with seeded(0):
        ...     one = torch.rand(())
        >>> with seeded(0):
        ...     again = torch.rand(())
        >>> bool(one == again)
        True
    """
    with exclusive(), torch.random.fork_rng(devices=None if devices else []):
        (torch.manual_seed if devices else torch.default_generator.manual_seed)(seed)
        yield


M = TypeVar("M", bound=nn.Module)


def evaluated(module: M) -> M:
    """The module itself where all of it is in evaluation mode, else a copy of it that is.

    So that scoring changes nothing that another thread may be using.
    """
    if not any(part.training for part in module.modules()):
        return module
    return copy.deepcopy(module).eval()


@contextmanager
def evaluating(module: nn.Module, device: torch.device | None = None) -> Iterator[None]:
    """Evaluation mode inside, on a device if one is named; mode and device as before after.

    For modules that nothing else uses at the same time, as during a fit.
    """
    training = [part for part in module.modules() if part.training]
    before = next((parameter.device for parameter in module.parameters()), None)
    module.eval()
    if device is not None:
        module.to(device)
    try:
        yield
    finally:
        for part in training:
            part.training = True
        if device is not None and before is not None:
            module.to(before)
