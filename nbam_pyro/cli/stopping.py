"""SIGTERM and Ctrl-C end a command: whatever was begun is undone, and the exit code says so."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

__all__ = ["Stopped", "stoppable"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
# Seconds that undoing may take. A process that is told to end is often killed after ten.
_PATIENCE = 5.0


class Stopped(BaseException):
    """Raised in the main thread where a signal arrives; no `except Exception` catches it."""


class _Stop:
    """A signal handler that raises `Stopped` once, and ends the process if that does not help."""

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if self.signal is not None:
            return  # it is being undone
        self.signal = signal.Signals(number)
        timer = threading.Timer(_PATIENCE, self.end)
        timer.daemon = True
        timer.start()
        raise Stopped

    def end(self) -> None:
        """Say why the process ends, and end it at once."""
        if self.signal is None:
            return
        os.write(sys.stderr.fileno(), f"nbam: stopped by {self.signal.name}.\n".encode())
        os._exit(128 + self.signal)


@contextmanager
def stoppable() -> Iterator[None]:
    """Inside, a signal unwinds what is running; then the process ends with 128 + its number.

    A signal that the process was started to ignore stays ignored. Afterwards both are: the work is
    done. For the main thread of a command's own process.
    """
    stop = _Stop()
    ours = [one for one in _SIGNALS if signal.getsignal(one) is not signal.SIG_IGN]
    for one in ours:
        signal.signal(one, stop)
    try:
        yield
    finally:
        # Whatever came of `Stopped` on its way here: another error, or an exit with another code.
        with suppress(OSError, ValueError):
            sys.stdout.flush()
        stop.end()
        for one in ours:
            signal.signal(one, signal.SIG_IGN)
