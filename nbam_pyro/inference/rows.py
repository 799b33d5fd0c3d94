"""Rows of data, however they came, as what training needs."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
)

from nbam_pyro.errors import DataError

Data = tuple[Any, Any] | Dataset


@dataclass(frozen=True)
class Rows:
    """A data set of (x, y) and its targets, (N,), in order."""

    dataset: Dataset
    y: Tensor

    def __len__(self) -> int:
        return len(self.y)

    def loader(self, index: np.ndarray, batch_size: int, *, shuffle: bool = False) -> DataLoader:
        """Batches of the rows named by index."""
        drop_last = shuffle and _leaves_one(index, batch_size)
        if not isinstance(self.dataset, TensorDataset):
            subset: Dataset = Subset(self.dataset, index.tolist())
            return DataLoader(subset, batch_size, shuffle=shuffle, drop_last=drop_last)
        # Tensors are indexed by the whole batch at once, not row by row.
        order = SubsetRandomSampler(index.tolist()) if shuffle else index.tolist()
        batches = BatchSampler(order, batch_size, drop_last)
        return DataLoader(self.dataset, batch_size=None, sampler=batches)

    def first(self, count: int) -> tuple[Tensor, Tensor]:
        """The first rows as one batch."""
        index = np.arange(min(count, len(self)))
        return next(iter(self.loader(index, len(index))))


def as_rows(data: Data) -> Rows:
    """Rows from a pair of arrays or tensors (x, y), or from a data set of such pairs.

    Floating point becomes torch's default type and integers become int64.

    Raises:
        DataError: lengths differ, there are fewer than two rows, or a value is missing or infinite.
    """
    if isinstance(data, tuple):
        x, y = (as_tensor(part) for part in data)
        if len(x) != len(y):
            raise DataError(f"x has {len(x)} rows and y has {len(y)}; they must agree.")
        dataset: Dataset = TensorDataset(x, y)
        check_finite("x", x)
    else:
        dataset = data
        y = torch.stack([torch.as_tensor(dataset[i][1]) for i in range(len(dataset))])  # type: ignore[arg-type]
    if len(y) < 2:
        raise DataError(f"There are {len(y)} rows; a fit needs at least two.")
    check_finite("y", y)
    return Rows(dataset, y)


def as_tensor(values: Any) -> Tensor:
    """A tensor of torch's default floating point type, or of int64."""
    tensor = torch.as_tensor(values)
    return tensor.to(torch.get_default_dtype()) if tensor.is_floating_point() else tensor.long()


def check_finite(name: str, values: Tensor) -> None:
    """Raise a `DataError` that counts rows with missing or infinite values."""
    bad = ~values.isfinite().reshape(len(values), -1).all(-1)
    if bad.any():
        raise DataError(
            f"{name} has missing or infinite values in {int(bad.sum())} rows (the first is row "
            f"{int(bad.nonzero()[0])}): impute or drop them first."
        )


def _leaves_one(index: np.ndarray, batch_size: int) -> bool:
    # A last batch of one row breaks batch normalisation.
    return len(index) > 1 and len(index) % batch_size == 1
