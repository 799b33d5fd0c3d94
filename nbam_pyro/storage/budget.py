"""What a description asks torch to make is refused before it takes memory or time."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

from nbam_pyro.errors import StoryError

__all__ = ["building", "running"]

# Layers draw their weights, scale them and are sometimes built twice.
_TIMES = 16
_CALLS_PER_TENSOR = 100
# What a small story may ask for, whatever it stores.
_SLACK = 2**24
_CALLS = 4_000
# What a network may make of a few rows: one tensor, all of them together, operations.
_RUN = 2**27, 2**34, 1_000_000


class _Budget(TorchDispatchMode):
    """Count what torch makes in this thread, and refuse what is more than the budget.

    Args:
        largest: Numbers that one tensor may have.
        elements: Numbers that may be made, all tensors together.
        calls: Operations that may be called.
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
                "The description asks for far more numbers than the saved tensors have: it is "
                "damaged, so fit again."
            )
        return func(*args, **kwargs)


@contextmanager
def building(tensors: Mapping[str, Tensor]) -> Iterator[None]:
    """Inside, this thread makes no more than building a module of these tensors takes.

    Args:
        tensors: Saved tensors by name.

    Raises:
        StoryError: More is asked for.

    Example:
        >>> with building({"weight": torch.zeros(3)}):
        ...     torch.nn.Linear(200_000_000, 3)
        Traceback (most recent call last):
        nbam_pyro.errors.StoryError: The description asks for far more numbers than the saved ...
    """
    elements = _TIMES * sum(tensor.numel() for tensor in tensors.values()) + _SLACK
    with _Budget(elements, elements, _CALLS_PER_TENSOR * len(tensors) + _CALLS):
        yield


@contextmanager
def running() -> Iterator[None]:
    """Inside, this thread makes no more than running a network on a few rows takes.

    Raises:
        StoryError: More is asked for.
    """
    with _Budget(*_RUN):
        yield


def _made(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> int:
    """How many numbers an operation is about to allocate, found without allocating them."""
    if any(result.alias_info is not None for result in func._schema.returns):
        return 0  # a view, or its argument changed
    meta_args, meta_kwargs = tree_map_only(Tensor, _meta, (args, kwargs))
    if "device" in meta_kwargs:
        meta_kwargs = {**meta_kwargs, "device": torch.device("meta")}
    try:
        made = func(*meta_args, **meta_kwargs)
    except (RuntimeError, NotImplementedError, TypeError):
        return 0  # it depends on values and makes no more than it takes, or it will fail
    return sum(value.numel() for value in tree_leaves(made) if isinstance(value, Tensor))


def _meta(value: Tensor) -> Tensor:
    return torch.empty_strided(value.size(), value.stride(), dtype=value.dtype, device="meta")
