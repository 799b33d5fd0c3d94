"""Arrays as tensors, in the precision of a story."""

from itertools import chain
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from nbam_pyro.errors import DataError


def as_tensor(values: Any) -> Tensor:
    """A tensor of float32 or float64, as it came, or of int64."""
    if isinstance(values, pd.DataFrame | pd.Series):
        values = values.to_numpy()
    if isinstance(values, np.ndarray) and (
        not values.flags.writeable or any(stride < 0 for stride in values.strides)
    ):
        values = values.copy()  # torch takes neither memory it must not write nor reversed rows
    try:
        tensor = torch.as_tensor(values).detach().cpu()
    except (TypeError, ValueError) as error:
        raise DataError(f"These values are no numbers: {error}") from error
    if tensor.is_inference():
        tensor = tensor.clone()  # outside inference mode an ordinary tensor
    if not tensor.is_floating_point():
        return tensor.long()
    return tensor if tensor.dtype in (torch.float32, torch.float64) else tensor.float()


def in_precision(x: Tensor, dtype: torch.dtype | None) -> Tensor:
    """Rows in the precision of a story; whole numbers stay what they are."""
    return x.to(dtype) if dtype is not None and x.is_floating_point() else x


def precision_of(*modules: nn.Module) -> torch.dtype:
    """The floating point type of the first parameter or buffer, or torch's default."""
    for module in modules:
        for tensor in chain(module.parameters(), module.buffers()):
            if tensor.is_floating_point():
                return tensor.dtype
    return torch.get_default_dtype()
