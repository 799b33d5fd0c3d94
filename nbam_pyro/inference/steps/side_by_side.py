"""`each`: independent parts of a step, which may run in several processes."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from nbam_pyro.inference.steps.run import Run
from nbam_pyro.training.parallel import independent, processes

R = TypeVar("R")


def each(
    run: Run, task: Callable[..., R], arguments: Sequence[tuple[Any, ...]], *, seeds: Sequence[int]
) -> list[R]:
    """Call a function for several independent parts of a step, in `Run.n_jobs` processes.

    The epochs and the costs of all calls are added to the run, in the order of the calls.

    Args:
        run: State of the fit.
        task: Function that takes a copy of the run and the arguments of one call. In another
            process it has copies of the story and of the arguments, too, so it must return
            everything that is needed later.
        arguments: Arguments of each call.
        seeds: Seed of torch's random numbers in each call, such as `fresh_seeds`.

    Returns:
        Results in the order of the calls.
    """
    options = run.options
    if processes(run.n_jobs) > 1:  # several progress bars would overwrite each other
        options = replace(options, progress=False)
    own = replace(run, history=[])
    calls = [
        (replace(own, options=replace(options, journal=options.journal.child())), task, *one)
        for one in arguments
    ]
    found = independent(_on_copy, calls, n_jobs=run.n_jobs, seeds=seeds)
    for _, history, spent in found:
        run.history += history
        run.spent += spent
    return [result for result, _, _ in found]


def _on_copy(
    run: Run, task: Callable[..., R], *arguments: Any
) -> tuple[R, list[dict[str, Any]], float]:
    """Return the result of a function on a copy of a run, and the epochs and cost of this call."""
    own = replace(run, history=[], spent=0.0)
    result = task(own, *arguments)
    return result, own.history, own.spent
