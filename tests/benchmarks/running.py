"""The command line as the tests call it."""

import pytest

from benchmarks.__main__ import main


def exit_code(*arguments):
    """The exit code of `python -m benchmarks` with these arguments."""
    with pytest.raises(SystemExit) as exit_:
        main([str(part) for part in arguments])
    return exit_.value.code
