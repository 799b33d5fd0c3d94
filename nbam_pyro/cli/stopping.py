"""SIGTERM and Ctrl-C end a command after a clean-up, with an exit code that shows the signal."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

__all__ = ["Stopped", "stoppable"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
# Seconds allowed for the clean-up. Often a process is killed ten seconds after the signal.
_PATIENCE = 5.0


class Stopped(BaseException):
    """Raised in the main thread when a signal arrives; `except Exception` does not catch it."""


class _Stop:
    """A signal handler that raises `Stopped` once, and later ends the process if it still runs."""

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if self.signal is not None:
            return  # the clean-up is running
        self.signal = signal.Signals(number)
        timer = threading.Timer(_PATIENCE, self.end)
        timer.daemon = True
        timer.start()
        raise Stopped

    def end(self) -> None:
        """Print the name of the signal, and end the process at once."""
        if self.signal is None:
            return
        os.write(sys.stderr.fileno(), f"nbam: stopped by {self.signal.name}.\n".encode())
        os._exit(128 + self.signal)


@contextmanager
def stoppable() -> Iterator[None]:
    """End the process with exit code 128 + signal number if a signal arrives within the block.

    Code that is running within the block is unwound first. A signal that was already ignored when
    the process started stays ignored. After the block both signals are ignored, because the work is
    finished. Use this only in the main thread of the process of a command.
    """
    stop = _Stop()
    ours = [one for one in _SIGNALS if signal.getsignal(one) is not signal.SIG_IGN]
    for one in ours:
        signal.signal(one, stop)
    try:
        yield
    finally:
        # Other code may have replaced `Stopped` by another error or by another exit code.
        with suppress(OSError, ValueError):
            sys.stdout.flush()
        stop.end()
        for one in ours:
            signal.signal(one, signal.SIG_IGN)
