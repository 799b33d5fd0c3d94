"""What the criteria share."""

import math
import warnings
from collections.abc import Iterable, Iterator
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nbam_pyro.errors import DataError, OptimiserWarning

Reduction = Literal["mean", "sum", "none"]


def reduce(values: Tensor, reduction: Reduction) -> Tensor:
    """Reduce as torch's criteria do; the mean of no values is 0."""
    if reduction == "none":
        return values
    return values.sum() / max(values.numel(), 1) if reduction == "mean" else values.sum()


def known_reduction(reduction: Reduction) -> Reduction:
    """The reduction, if torch has it; else a `DataError`."""
    if reduction not in ("mean", "sum", "none"):
        raise DataError(f"reduction is {reduction!r}; choose 'mean', 'sum' or 'none'.")
    return reduction


def rate_penalty(rate_logits: Tensor, prior: tuple[float, float]) -> Tensor:
    r"""How far the log prior of rates lies below its maximum, :math:`(a + b)\,KL(m || r)`, summed.

    The log prior is :math:`a \log r + b \log(1 - r)`, and m = a / (a + b) maximises it. A loss
    leaves that maximum out: it is the same for all parameters, and large where classes are many.

    Args:
        rate_logits: Logits of the rates r, any shape.
        prior: (a, b), pseudo-counts of contaminated and of clean data.

    Example:
        >>> rate_penalty(torch.tensor([0.25, 0.25]).logit(), (1.0, 3.0)) < 1e-5
        tensor(True)
    """
    a, b = prior
    highest = a * math.log(a / (a + b)) + b * math.log(b / (a + b))
    return (highest - a * F.logsigmoid(rate_logits) - b * F.logsigmoid(-rate_logits)).sum()


def adopt_precision(module: nn.Module, *values: Tensor) -> None:
    """Give a criterion's parameters and buffers the precision of what it learns from.

    Args:
        module: A criterion with floating-point parameters.
        values: What it learns from. Where one of them is in double precision, so is the module
            afterwards; its parameters stay the same objects, so that an optimiser keeps them.
    """
    present = next(module.parameters()).dtype
    wanted = present
    for one in values:
        if one.is_floating_point():
            wanted = torch.promote_types(wanted, one.dtype)
    if wanted != present:
        module.to(wanted)


def adopt_saved_precision(
    module: nn.Module, state: dict[str, Any], prefix: str, *_: object
) -> None:
    """A hook before `load_state_dict`: what was saved in double precision is loaded so."""
    names = [name for name, _ in module.named_parameters()]
    adopt_precision(module, *(state[prefix + name] for name in names if prefix + name in state))


class Movement:
    """Warns once where a network is trained for ten steps and its loss's parameters do not move.

    A step is seen by the parameters behind the network's output: an optimiser changes them in
    place. Batches whose gradients are only accumulated are no steps.
    """

    patience = 10

    def __init__(self) -> None:
        self.steps = 0
        self.newest = -1
        self.versions: list[int] | None = None

    def check(self, parameters: Iterable[nn.Parameter], output: Tensor) -> None:
        """Count the network's steps; warn at the tenth in which the parameters did not move.

        Args:
            parameters: The loss's parameters.
            output: What the network returned.
        """
        parameters = list(parameters)
        if self.steps > self.patience:
            return
        versions = [p._version for p in parameters]
        newest = max((leaf._version for leaf in _leaves(output)), default=-1)
        if self.versions is None:
            self.versions, self.newest = versions, newest
        if versions != self.versions:
            self.steps = self.patience + 1  # they move: nothing to say, now or later
            return
        stepped, self.newest = newest > self.newest, max(newest, self.newest)
        self.steps += stepped and all(p.grad is not None for p in parameters)
        if self.steps == self.patience:
            self.steps += 1
            warnings.warn(
                f"The parameters of this loss have not moved in {self.patience} steps of the "
                "network: give them to the optimiser, for instance "
                "AdamW([*network.parameters(), *loss.parameters()]).",
                OptimiserWarning,
                stacklevel=5,  # the line that calls the loss
            )


def _leaves(output: Tensor) -> Iterator[Tensor]:
    """The parameters that an output was computed from, as autograd knows them."""
    if output.grad_fn is None:
        yield output
        return
    seen, waiting = {output.grad_fn}, [output.grad_fn]
    while waiting:
        for node, _ in waiting.pop().next_functions:
            if node is None or node in seen:
                continue
            seen.add(node)
            if hasattr(node, "variable"):  # a node that accumulates a parameter's gradient
                yield node.variable
            else:
                waiting.append(node)
