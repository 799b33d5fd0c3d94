"""`independent`: calls that do not depend on each other, such as fits, side by side by joblib."""

import os
import threading
import uuid
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from numbers import Integral
from pickle import PicklingError
from typing import Any, Generic, NamedTuple, TypeVar

import joblib
import numpy as np
import torch

from nbam_pyro.errors import DataError
from nbam_pyro.training.contexts import exclusive, seeded

__all__ = ["check_n_jobs", "fresh_seeds", "independent", "processes"]

R = TypeVar("R")

# A forked process has the same identifier, but another process number.
_HERE = uuid.uuid4().hex


def independent(
    task: Callable[..., R],
    arguments: Sequence[tuple[Any, ...]],
    *,
    n_jobs: int | None,
    seeds: Sequence[int],
) -> list[R]:
    """Call a function with different arguments, in several processes if wanted.

    The calls run through joblib. `joblib.parallel_config` (or `parallel_backend`) therefore chooses
    where they run: in processes of this machine (the default), or on a cluster of Ray or Dask. Each
    call has its own seed. A result does not depend on other calls, on their order, on `n_jobs` or
    on the backend. Results are equal to the last bit if torch uses the same number of threads.

    A worker uses the threads of this process divided by the number of workers, at least one. If
    torch's deterministic algorithms are on, it uses as many threads as this process. It has the
    same default data type and the same settings of precision as this process.

    Warnings of the calls are given in this process after all calls, in the order of the calls, each
    of them once. An error of a call is raised as it is. Calls inside of a call run one after
    another.

    Args:
        task: Function to call. For other processes, the function, its arguments and its result are
            pickled in memory. It must not change its arguments: other processes have copies.
        arguments: Arguments of each call.
        n_jobs: Number of processes. None for one, or the number that `joblib.parallel_config` sets;
            -1 for all processors. With one process, calls run here and nothing is pickled.
        seeds: Seed of torch's random numbers in each call. Torch's global random state is not
            changed.

    Returns:
        Results in the order of the calls.

    Raises:
        DataError: `n_jobs` is not a whole number other than 0, something cannot be pickled, or the
            workers of the backend are threads of this process.

    Example:
        >>> def task(scale):
        ...     return round(float(scale * torch.rand(())), 4)
        >>> independent(task, [(1,), (10,)], n_jobs=None, seeds=[0, 0])
        [0.4963, 4.9626]
    """
    check_n_jobs(n_jobs)
    call = _Call(task, _Settings.here(min(processes(n_jobs), max(1, len(arguments)))))
    pairs = zip(seeds, arguments, strict=True)
    try:
        # Arrays in a file of joblib would be read-only, and torch warns about such arrays.
        outcomes = joblib.Parallel(n_jobs=n_jobs, max_nbytes=None)(
            joblib.delayed(call)(seed, *one) for seed, one in pairs
        )
    except PicklingError as error:
        raise DataError(
            "The story, the data or an option cannot be sent to another process "
            f"({_cause(error)}). Replace the part that cannot be pickled, or leave out n_jobs."
        ) from error
    _warn(one for outcome in outcomes for one in outcome.warnings)
    return [outcome.result for outcome in outcomes]


def check_n_jobs(n_jobs: Any) -> None:
    """Raise a `DataError` if a number of processes is not a whole number other than 0, or None.

    Args:
        n_jobs: Number of processes, as in scikit-learn.
    """
    whole = isinstance(n_jobs, Integral) and not isinstance(n_jobs, bool | np.bool_)
    if n_jobs is not None and not (whole and n_jobs != 0):
        raise DataError(
            f"n_jobs is {n_jobs!r}. Give a number of processes such as 2, -1 for one process per "
            "processor, or None."
        )


def processes(n_jobs: int | None) -> int:
    """Return how many calls of `independent` run at the same time.

    Args:
        n_jobs: Number of processes, as in `independent`.

    Example:
        >>> processes(None), processes(2)
        (1, 2)
    """
    return int(joblib.effective_n_jobs(n_jobs))


def fresh_seeds(count: int) -> list[int]:
    """Return different seeds, which one random number of torch's global generator determines.

    Args:
        count: Number of seeds.

    Example:
        >>> with seeded(0):
        ...     two = fresh_seeds(2)
        >>> with seeded(0):
        ...     three = fresh_seeds(3)
        >>> two == three[:2], len(set(three))
        (True, 3)
    """
    sequence = np.random.SeedSequence(int(torch.randint(2**62, ())))
    return [int(seed) for seed in sequence.generate_state(count, np.uint64)]


@dataclass(frozen=True)
class _Settings:
    """Place of the calling thread, and settings of torch that workers take over from it."""

    process: tuple[str, int]
    thread: int
    threads: int
    dtype: torch.dtype
    precision: str
    deterministic: int

    @classmethod
    def here(cls, workers: int) -> "_Settings":
        """Return the settings for some workers of this thread."""
        deterministic = torch.get_deterministic_debug_mode()
        threads = torch.get_num_threads()
        return cls(
            process=(_HERE, os.getpid()),
            thread=threading.get_ident(),
            threads=threads if deterministic else max(1, threads // workers),
            dtype=torch.get_default_dtype(),
            precision=torch.get_float32_matmul_precision(),
            deterministic=deterministic,
        )

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Use the settings inside the block. Nothing changes in the thread they come from."""
        if self.process == (_HERE, os.getpid()):
            if self.thread != threading.get_ident():
                raise DataError(
                    "The workers of the joblib backend are threads of this process, which would "
                    "change each other's random numbers. Choose a backend whose workers are other "
                    "processes, such as loky, or leave out n_jobs."
                )
            yield
            return
        with exclusive():
            before = _Settings.here(1)
            self._set()
            try:
                with joblib.parallel_config(backend="sequential"):
                    yield
            finally:
                before._set()

    def _set(self) -> None:
        torch.set_num_threads(self.threads)
        torch.set_default_dtype(self.dtype)
        torch.set_float32_matmul_precision(self.precision)
        torch.set_deterministic_debug_mode(self.deterministic)


class _Given(NamedTuple):
    """A warning, and the place in the code that gave it."""

    message: Warning | str
    category: type[Warning]
    filename: str
    line: int


class _Outcome(NamedTuple, Generic[R]):
    """Result of a call, and its warnings."""

    result: R
    warnings: list[_Given]


@dataclass(frozen=True)
class _Call(Generic[R]):
    """A function that is called under a seed, in this process or in another one."""

    task: Callable[..., R]
    settings: _Settings

    def __call__(self, seed: int, *arguments: Any) -> _Outcome[R]:
        with (
            self.settings.applied(),
            seeded(seed, devices=True),
            warnings.catch_warnings(record=True) as caught,
        ):
            warnings.simplefilter("default")
            result = self.task(*arguments)
        given = [_Given(one.message, one.category, one.filename, one.lineno) for one in caught]
        return _Outcome(result, given)


def _cause(error: PicklingError) -> str:
    """Return the line that says what cannot be pickled."""
    lines = str(error.__cause__ or error).splitlines()
    return [line for line in lines if line.strip(' "')][-1]


def _warn(given: Iterator[_Given]) -> None:
    """Give warnings again, equal ones once."""
    seen = set()
    for one in given:
        key = (one.category, str(one.message), one.filename, one.line)
        if key not in seen:
            seen.add(key)
            warnings.warn_explicit(one.message, one.category, one.filename, one.line)
