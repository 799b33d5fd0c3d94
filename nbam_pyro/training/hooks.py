"""`StepHook`: what happens to a training batch before its loss is computed."""

from abc import ABC, abstractmethod
from collections.abc import Callable

from torch import Tensor, nn

from nbam_pyro.training.rows import Batch

__all__ = ["StepHook"]


class StepHook(ABC):
    """The base class of what happens to a training batch before its loss is computed.

    A hook may replace rows by random views of them, move rows to where the loss is large, or train
    a network of its own, such as an adversary, with an optimiser of its own. Held-out rows pass no
    hook.

    Attributes:
        modules: Networks of the hook that must be on the device of the training. The optimiser of
            the loss does not change them.
    """

    modules: tuple[nn.Module, ...] = ()

    @abstractmethod
    def __call__(self, batch: Batch, loss: Callable[[Batch], Tensor]) -> Batch:
        """Return the batch whose loss the training step minimises.

        Args:
            batch: Rows of the training step.
            loss: Loss that the training step minimises, for moving rows to where it is large. It
                must leave no gradients in the parameters: use `torch.autograd.grad` for rows.
        """
