"""One thread at a time through whatever belongs to the whole process.

Pyro keeps one stack of handlers, one parameter store and one set of settings for all threads, and
torch one default generator: two threads that use them at once change each other's numbers.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["exclusive"]

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
