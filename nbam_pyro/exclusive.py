"""One thread at a time through whatever belongs to the whole process.

Pyro keeps one stack of handlers, one parameter store and one set of settings for all threads, and
torch one default generator: two threads that use them at once change each other's numbers.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

__all__ = ["exclusive", "seeded"]

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
