"""Every method by its name on the command line."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from benchmarks.label_noise import losses
from benchmarks.label_noise.figures import Outcome
from benchmarks.label_noise.nbam import nbam, nbam_literal
from benchmarks.label_noise.training import Loss, Task, probabilities, train

Method = Callable[[Task], Outcome]


def by_loss(loss: losses.RowLoss) -> Method:
    """The network trained with a loss of each row, and ranked by 1 - p(observed label | x)."""
    return lambda task: _plain(task, losses.averaged(loss))


def _plain(task: Task, loss: Loss) -> Outcome:
    problem = task.problem
    trained = train(task, loss)
    selected = trained.network
    p = probabilities(task, selected, problem.x)
    outcome_selected = probabilities(task, selected, problem.x_test)
    selected.load_state_dict(trained.last)
    return Outcome(
        flags=1 - p[range(len(p)), problem.labels.observed],
        last=probabilities(task, selected, problem.x_test),
        selected=outcome_selected,
    )


METHODS: Mapping[str, Method] = MappingProxyType(
    {
        "nbam": nbam,
        "nbam_literal": nbam_literal,
        "cross_entropy": by_loss(losses.cross_entropy),
    }
)
