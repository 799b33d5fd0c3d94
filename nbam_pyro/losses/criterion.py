"""Parts that the loss functions share: reductions, the prior of rates, precision and a warning."""

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
    """Reduce values in the same way as the loss functions of torch; the mean of no values is 0.

    Args:
        values: Losses of any shape.
        reduction: "mean", "sum" or "none".
    """
    if reduction == "none":
        return values
    return values.sum() / max(values.numel(), 1) if reduction == "mean" else values.sum()


def known_reduction(reduction: Reduction) -> Reduction:
    """Return the reduction if torch has it.

    Args:
        reduction: Name of a reduction.

    Raises:
        DataError: The name is not "mean", "sum" or "none".
    """
    if reduction not in ("mean", "sum", "none"):
        raise DataError(f"reduction is {reduction!r}; expected 'mean', 'sum' or 'none'.")
    return reduction


def rate_penalty(rate_logits: Tensor, prior: tuple[float, float]) -> Tensor:
    r"""Return the maximum of the log prior of rates minus its value, :math:`(a + b)\,KL(m || r)`.

    The log prior is :math:`a \log r + b \log(1 - r)`, and m = a / (a + b) maximises it. The losses
    subtract this maximum, which does not depend on the parameters: with many classes it is large
    and would dominate the value.

    Args:
        rate_logits: Logits of the rates r, any shape.
        prior: Pseudo-counts (a, b) of contaminated and of clean data.

    Returns:
        The sum over all rates, in nats.

    Example:
        >>> rate_penalty(torch.tensor([0.25, 0.25]).logit(), (1.0, 3.0)) < 1e-5
        tensor(True)
    """
    a, b = prior
    highest = a * math.log(a / (a + b)) + b * math.log(b / (a + b))
    return (highest - a * F.logsigmoid(rate_logits) - b * F.logsigmoid(-rate_logits)).sum()


def adopt_precision(module: nn.Module, *values: Tensor) -> None:
    """Convert a loss to double precision if its data are in double precision.

    The parameters remain the same objects, and an optimiser therefore still updates them.

    Args:
        module: Loss with floating-point parameters.
        values: Tensors from which the parameters of the loss are computed. Integers are ignored.
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
    """Convert a loss to double precision if the state that it loads is in double precision.

    It is a hook that runs before `load_state_dict`.

    Args:
        module: Loss that loads the state.
        state: Saved parameters by name.
        prefix: Prefix of the names of this loss's parameters.
    """
    names = [name for name, _ in module.named_parameters()]
    adopt_precision(module, *(state[prefix + name] for name in names if prefix + name in state))


class Movement:
    """Warning for a loss whose parameters do not change in ten training steps of its network.

    The usual cause is that the loss's parameters were not given to the optimiser. An optimiser
    changes parameters in place, and torch counts these changes. The counts of the network's
    parameters therefore show when the optimiser has made a step. A batch without an optimiser step
    (gradient accumulation) does not count.
    """

    patience = 10

    def __init__(self) -> None:
        self.steps = 0
        self.newest = -1
        self.versions: list[int] | None = None

    def check(self, parameters: Iterable[nn.Parameter], output: Tensor) -> None:
        """Count the network's steps, and warn at the tenth if the loss's parameters did not change.

        Args:
            parameters: Parameters of the loss.
            output: Output of the network for this batch.
        """
        parameters = list(parameters)
        if self.steps > self.patience:
            return
        versions = [p._version for p in parameters]
        newest = newest_version(output)
        if self.versions is None:
            self.versions, self.newest = versions, newest
        if versions != self.versions:
            self.steps = self.patience + 1  # They change: the check is over.
            return
        stepped, self.newest = newest > self.newest, max(newest, self.newest)
        self.steps += stepped and all(p.grad is not None for p in parameters)
        if self.steps == self.patience:
            self.steps += 1
            warnings.warn(
                f"The parameters of this loss have not moved in {self.patience} steps of the "
                "network. Give them to the optimiser, for instance "
                "AdamW([*network.parameters(), *loss.parameters()]).",
                OptimiserWarning,
                stacklevel=5,  # The line that calls the loss.
            )


def newest_version(output: Tensor) -> int:
    """Return the largest count of changes of the parameters that an output was computed from.

    Args:
        output: Output of a network, with its autograd graph.
    """
    return max((leaf._version for leaf in _leaves(output)), default=-1)


def _leaves(output: Tensor) -> Iterator[Tensor]:
    """Yield the parameters that an output was computed from, found in its autograd graph."""
    if output.grad_fn is None:
        yield output
        return
    seen, waiting = {output.grad_fn}, [output.grad_fn]
    while waiting:
        for node, _ in waiting.pop().next_functions:
            if node is None or node in seen:
                continue
            seen.add(node)
            if hasattr(node, "variable"):  # The node accumulates a parameter's gradient.
                yield node.variable
            else:
                waiting.append(node)
