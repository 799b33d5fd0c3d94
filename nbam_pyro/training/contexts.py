"""Context managers for state that belongs to the whole process, and for evaluation mode.

Pyro has one stack of handlers, one parameter store and one set of settings for all threads. Torch
has one default random generator. Two threads that use them at the same time would change each
other's results. Therefore only one thread at a time may use them.
"""

import copy
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import nn

from nbam_pyro.errors import NBAMWarning

__all__ = [
    "deterministic_algorithms",
    "each_warning_once",
    "evaluated",
    "evaluating",
    "exclusive",
    "seeded",
]

_LOCK = threading.RLock()


@contextmanager
def exclusive() -> Iterator[None]:
    """Allow one thread at a time inside the block; other threads wait.

    The lock is reentrant: a thread that is inside the block may enter another such block.

    Example:
        >>> with exclusive(), exclusive():
        ...     pass
    """
    with _LOCK:
        yield


@contextmanager
def seeded(seed: int, *, devices: bool = False) -> Iterator[None]:
    """Use random numbers from a seed inside the block. Torch's global random state is restored.

    Args:
        seed: Seed of torch's default generator.
        devices: Whether to seed the generators of all GPUs, too.

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


@contextmanager
def deterministic_algorithms(wanted: bool) -> Iterator[None]:
    """Use only those algorithms of torch inside the block that give the same bits in every run.

    Torch raises an error for an operation that has no such algorithm. The setting is restored
    afterwards.

    Args:
        wanted: Whether the setting is switched on; if not, it is left as it is.

    Example:
        >>> with deterministic_algorithms(True):
        ...     torch.are_deterministic_algorithms_enabled()
        True
        >>> torch.are_deterministic_algorithms_enabled()
        False
    """
    with exclusive():
        before = torch.get_deterministic_debug_mode()
        if wanted:
            torch.use_deterministic_algorithms(True)
        try:
            yield
        finally:
            torch.set_deterministic_debug_mode(before)


M = TypeVar("M", bound=nn.Module)


def evaluated(module: M) -> M:
    """Return the module itself if all of it is in evaluation mode, otherwise a copy in this mode.

    Scoring with the result does not change a module that another thread may be using.

    Args:
        module: Module that will be used for scoring.
    """
    if not any(part.training for part in module.modules()):
        return module
    return copy.deepcopy(module).eval()


@contextmanager
def evaluating(module: nn.Module, device: torch.device | None = None) -> Iterator[None]:
    """Set a module to evaluation mode inside the block, and restore its mode afterwards.

    No other thread may use the module at the same time. If this is possible, use `evaluated`.

    Args:
        module: Module that is changed inside the block.
        device: Device that the module is moved to inside the block; None if it is not moved.
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


@contextmanager
def each_warning_once() -> Iterator[None]:
    """Give each warning class of the library at most once, after the block.

    A search fits many candidates, which often have the same problem. The first warning of each
    class is given; warnings of other libraries are not changed.

    Example:
        >>> from nbam_pyro.errors import SupportWarning
        >>> with warnings.catch_warnings(record=True) as caught:
        ...     warnings.simplefilter("always")
        ...     with each_warning_once():
        ...         warnings.warn("one", SupportWarning)
        ...         warnings.warn("another", SupportWarning)
        >>> [str(warning.message) for warning in caught]
        ['one']
    """
    given: set[type[Warning]] = set()
    with exclusive(), warnings.catch_warnings(record=True) as caught:
        yield
    for one in caught:
        if issubclass(one.category, NBAMWarning):
            if one.category in given:
                continue
            given.add(one.category)
        warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)
