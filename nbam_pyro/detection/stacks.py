"""Networks of several members: one batched computation with own weights for each."""

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn


class StackedLinear(nn.Module):
    """Linear maps side by side, (*stack, N, inputs) -> (*stack, N, outputs), without bias.

    Args:
        stack: shape of the stack, such as (members, transforms).
        inputs: features of a row.
        outputs: of the map.

    Example:
        >>> StackedLinear((2, 3), 5, 4)(torch.zeros(2, 3, 7, 5)).shape
        torch.Size([2, 3, 7, 4])
    """

    def __init__(self, stack: Sequence[int], inputs: int, outputs: int) -> None:
        super().__init__()
        bound = 1 / math.sqrt(inputs)
        self.weight = nn.Parameter(torch.empty(*stack, inputs, outputs).uniform_(-bound, bound))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.weight


def stacked_mlp(stack: Sequence[int], widths: Sequence[int]) -> nn.Sequential:
    """Bias-free layers with ReLU between them; of constants there is no way to a constant output.

    Args:
        stack: shape of the stack.
        widths: of the input, the hidden layers and the output.

    Example:
        >>> stacked_mlp((2,), [5, 8, 3])(torch.zeros(2, 7, 5)).shape
        torch.Size([2, 7, 3])
    """
    layers: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(widths):
        layers += [StackedLinear(stack, inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers[:-1])
