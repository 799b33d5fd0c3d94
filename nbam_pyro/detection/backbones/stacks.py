"""Networks of several members: one batched computation with own weights for each."""

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn


class StackedLinear(nn.Module):
    """Linear maps side by side, (*stack, N, inputs) -> (*stack, N, outputs).

    Args:
        stack: shape of the stack, such as (members, transforms).
        inputs: features of a row.
        outputs: of the map.
        bias: whether a constant is added.

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
    """Layers with ReLU between them; without biases they cannot learn a constant output.

    Args:
        stack: shape of the stack.
        widths: of the input, the hidden layers and the output.
        bias: whether layers add constants.

    Example:
        >>> stacked_mlp((2,), [5, 8, 3])(torch.zeros(2, 7, 5)).shape
        torch.Size([2, 7, 3])
    """
    layers: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(widths):
        layers += [StackedLinear(stack, inputs, outputs, bias=bias), nn.ReLU()]
    return nn.Sequential(*layers[:-1])
