"""Conversion of arrays to tensors, and their precision."""

from itertools import chain
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from nbam_pyro.errors import DataError


def as_tensor(values: Any) -> Tensor:
    """Convert values to a tensor on CPU.

    float32 and float64 do not change. Other floating point numbers become float32. Integers and
    booleans become int64.

    Args:
        values: Array, tensor, data frame, series or nested list of numbers.

    Raises:
        DataError: The values are not numbers.
    """
    import pandas as pd

    if isinstance(values, pd.DataFrame | pd.Series):
        values = values.to_numpy()
    if isinstance(values, np.ndarray) and (
        not values.flags.writeable or any(stride < 0 for stride in values.strides)
    ):
        # Torch accepts neither read-only memory nor negative strides.
        values = mapped(values) if is_mapped(values) else values.copy()
    try:
        tensor = torch.as_tensor(values).detach().cpu()
    except (TypeError, ValueError) as error:
        raise DataError(
            f"These values are not numbers ({error}). Convert them to numbers first."
        ) from error
    if tensor.is_inference():
        tensor = tensor.clone()  # an ordinary tensor, which can be trained on
    if not tensor.is_floating_point():
        return tensor.long()
    return tensor if tensor.dtype in (torch.float32, torch.float64) else tensor.float()


def is_mapped(values: np.ndarray) -> bool:
    """Return whether an array is a whole `np.memmap`, also as an ordinary array.

    Args:
        values: Array of any kind.
    """
    return _map_of(values) is not None


def mapped(values: np.ndarray) -> np.ndarray:
    """Return an array of a file without reading it, with a private copy of what is written.

    Args:
        values: Array for which `is_mapped` is true. What is written to the result does not change
            it.
    """
    whole = _map_of(values)
    if whole is None or whole.filename is None:
        return values.copy()
    order: Literal["C", "F"] = "C" if whole.flags.c_contiguous else "F"
    kind, offset, shape = whole.dtype, whole.offset, whole.shape
    try:
        return np.memmap(whole.filename, kind, "c", offset, shape, order)
    except OSError:  # the file is no longer there
        return values.copy()


def _map_of(values: np.ndarray) -> np.memmap | None:
    """Return the `np.memmap` that an array is the whole of."""
    one: Any = values
    while isinstance(one, np.ndarray):
        # The base of an array of a part of the file is another `np.memmap`.
        if isinstance(one, np.memmap) and not isinstance(one.base, np.ndarray):
            same = one.shape == values.shape and one.strides == values.strides
            return one if same and one.ctypes.data == values.ctypes.data else None
        one = one.base
    return None


def in_precision(x: Tensor, dtype: torch.dtype | None) -> Tensor:
    """Convert floating point numbers to a precision, if one is given. Integers do not change."""
    return x.to(dtype) if dtype is not None and x.is_floating_point() else x


def at_least_single(values: Tensor) -> Tensor:
    """Convert numbers in half precision to single precision; others do not change.

    Networks may compute in half precision. Likelihoods need more digits: half precision keeps only
    two or three digits of a log probability.

    Args:
        values: Outputs of a network, of a floating-point type and any shape.

    Example:
        >>> at_least_single(torch.zeros(1, dtype=torch.bfloat16)).dtype
        torch.float32
        >>> at_least_single(torch.zeros(1, dtype=torch.float64)).dtype
        torch.float64
    """
    return values.to(torch.promote_types(values.dtype, torch.float32))


def precision_of(*modules: nn.Module) -> torch.dtype:
    """Return the floating point type of the first parameter or buffer, or torch's default."""
    for module in modules:
        for tensor in chain(module.parameters(), module.buffers()):
            if tensor.is_floating_point():
                return tensor.dtype
    return torch.get_default_dtype()
