"""Limits of memory and time for building a module of a saved description and running it.

A damaged or hostile description may need enormous tensors. Building it raises an error before the
tensors are created.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

from nbam_pyro.errors import StoryError

__all__ = ["building", "running"]

# Numbers made while building, in multiples of the saved numbers: layers draw their weights, scale
# them and are sometimes built twice.
_TIMES = 16
_CALLS_PER_TENSOR = 100
# Numbers and operations that every story may use beside these.
_SLACK = 2**24
_CALLS = 4_000
# Limits for running a network on a few rows: numbers of one tensor, of all tensors, operations.
_RUN = 2**27, 2**34, 1_000_000


class _Budget(TorchDispatchMode):
    """Count the numbers in new tensors of this thread, and raise an error above a limit.

    Args:
        largest: Maximum number of numbers in one tensor.
        elements: Maximum number of numbers in all tensors together.
        calls: Maximum number of operations.
    """

    def __init__(self, largest: int, elements: int, calls: int) -> None:
        super().__init__()
        self.largest = largest
        self.elements = elements
        self.calls = calls

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        made = _made(func, args, kwargs)
        self.calls -= 1
        self.elements -= made
        if made > self.largest or self.elements < 0 or self.calls < 0:
            raise StoryError(
                "The saved description needs far more numbers than the saved tensors have, so the "
                "description is damaged. Restore the files or fit again."
            )
        return func(*args, **kwargs)


@contextmanager
def building(tensors: Mapping[str, Tensor]) -> Iterator[None]:
    """Limit the size of new tensors inside the block to what building a module needs.

    Args:
        tensors: Saved tensors of the module by name.

    Raises:
        StoryError: The limit is exceeded.

    Example:
        >>> with building({"weight": torch.zeros(3)}):
        ...     torch.nn.Linear(200_000_000, 3)
        Traceback (most recent call last):
        nbam_pyro.errors.StoryError: The saved description needs far more numbers than the ...
    """
    elements = _TIMES * sum(tensor.numel() for tensor in tensors.values()) + _SLACK
    with _Budget(elements, elements, _CALLS_PER_TENSOR * len(tensors) + _CALLS):
        yield


@contextmanager
def running() -> Iterator[None]:
    """Limit the size of new tensors inside the block to what running a network needs.

    The network is run on a few rows.

    Raises:
        StoryError: The limit is exceeded.
    """
    with _Budget(*_RUN):
        yield


def _made(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> int:
    """Return how many numbers the result of an operation has, without computing the result."""
    if any(result.alias_info is not None for result in func._schema.returns):
        return 0  # a view, or a change of an argument in place
    meta_args, meta_kwargs = tree_map_only(Tensor, _meta, (args, kwargs))
    if "device" in meta_kwargs:
        meta_kwargs = {**meta_kwargs, "device": torch.device("meta")}
    try:
        made = func(*meta_args, **meta_kwargs)
    except (RuntimeError, NotImplementedError, TypeError):
        return 0  # its result depends on values and is no larger than its arguments, or it fails
    return sum(value.numel() for value in tree_leaves(made) if isinstance(value, Tensor))


def _meta(value: Tensor) -> Tensor:
    """Return a tensor of the same shape without memory."""
    return torch.empty_strided(value.size(), value.stride(), dtype=value.dtype, device="meta")
