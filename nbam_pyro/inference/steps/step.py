"""The base class of recipe steps, and two steps that only set a start."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from nbam_pyro.inference.steps.run import Run


class Step(ABC):
    """A step of a fit.

    A step takes the `Run`, the state of a fit, and changes it. `fit(..., steps=[...])` takes any
    sequence of steps. A function that takes a `Run` is a step too.
    """

    @abstractmethod
    def __call__(self, run: Run) -> None:
        """Change the run.

        Args:
            run: State of the fit.
        """


@dataclass(frozen=True, kw_only=True)
class Reinitialise(Step):
    """Give every layer of the story new random weights; the starts of rates and T do not change."""

    def __call__(self, run: Run) -> None:
        reinitialise(run.story)


@dataclass(frozen=True)
class StartFrom(Step):
    """Replace the guide by a new one that starts from given values of the global latents.

    The values may come from another fit, for example from its `guide_median`.

    Args:
        latents: Starting values by site name, in the space of the site. Other latents start at
            their prior mean.
    """

    latents: Mapping[str, Tensor]

    def __call__(self, run: Run) -> None:
        run.start = dict(self.latents)
        run.guide = None


def reinitialise(module: nn.Module) -> None:
    """Call `reset_parameters` of every submodule that has it; other parameters do not change.

    Args:
        module: Module whose submodules get new random weights.
    """
    for part in module.modules():
        reset = getattr(part, "reset_parameters", None)
        if callable(reset):
            reset()
