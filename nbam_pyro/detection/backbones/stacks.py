"""Networks of several members. Each has its own weights; all are computed as one batch."""

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn


class StackedLinear(nn.Module):
    """A stack of independent linear maps, (*stack, N, inputs) -> (*stack, N, outputs).

    Args:
        stack: Shape of the stack, such as (members, transforms).
        inputs: Number of features of a row.
        outputs: Number of outputs of each map.
        bias: Whether each map adds a constant.

    Example:
        >>> StackedLinear((2, 3), 5, 4)(torch.zeros(2, 3, 7, 5)).shape
        torch.Size([2, 3, 7, 4])
    """

    def __init__(
        self, stack: Sequence[int], inputs: int, outputs: int, *, bias: bool = False
    ) -> None:
        super().__init__()
        bound = 1 / math.sqrt(inputs)
        self.weight = nn.Parameter(torch.empty(*stack, inputs, outputs).uniform_(-bound, bound))
        self.bias = (
            nn.Parameter(torch.empty(*stack, 1, outputs).uniform_(-bound, bound)) if bias else None
        )

    def forward(self, x: Tensor) -> Tensor:
        mapped = x @ self.weight
        return mapped if self.bias is None else mapped + self.bias


def stacked_mlp(
    stack: Sequence[int], widths: Sequence[int], *, bias: bool = False
) -> nn.Sequential:
    """Return a stack of networks: linear layers with ReLU between them.

    Networks without biases cannot learn a constant output.

    Args:
        stack: Shape of the stack.
        widths: Numbers of features of the input, of each hidden layer and of the output.
        bias: Whether layers add constants.

    Example:
        >>> stacked_mlp((2,), [5, 8, 3])(torch.zeros(2, 7, 5)).shape
        torch.Size([2, 7, 3])
    """
    layers: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(widths):
        layers += [StackedLinear(stack, inputs, outputs, bias=bias), nn.ReLU()]
    return nn.Sequential(*layers[:-1])
