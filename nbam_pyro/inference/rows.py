"""Rows of data, however they came, as what training needs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor
from torch.utils.data import (
    BatchSampler,
    ConcatDataset,
    DataLoader,
    Dataset,
    IterableDataset,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
    default_collate,
)

from nbam_pyro.errors import DataError

Data = tuple[Any, Any] | Dataset | DataLoader | LightningDataModule


class Batch(NamedTuple):
    """Rows of a training step.

    Attributes:
        x: (N, ...).
        y: targets, (N, ...).
        weights: how many times each row counts, (N,).
    """

    x: Tensor
    y: Tensor
    weights: Tensor


@dataclass(frozen=True)
class RowKind:
    """Shape and type of a row and its target, by which data of another kind are told apart."""

    x_shape: tuple[int, ...]
    x_floating: bool
    y_shape: tuple[int, ...]
    y_floating: bool

    @classmethod
    def of(cls, x: Tensor, y: Tensor) -> "RowKind":
        """The kind of a batch of rows."""
        shapes = tuple(x.shape[1:]), tuple(y.shape[1:])
        return cls(shapes[0], x.is_floating_point(), shapes[1], y.is_floating_point())

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "RowKind":
        """From its attributes, as JSON has them."""
        return cls(
            tuple(values["x_shape"]),
            values["x_floating"],
            tuple(values["y_shape"]),
            values["y_floating"],
        )

    def check(self, x: Tensor, y: Tensor) -> None:
        """Raise a `DataError` where rows x or targets y cannot be of this kind.

        Heights and widths of images may differ: networks that pool do not mind.
        """
        shape = tuple(x.shape[1:])
        if len(shape) != len(self.x_shape) or shape[:1] != self.x_shape[:1]:
            raise DataError(
                f"Rows have shape {shape}, the fit has seen {self.x_shape}: pass the same features."
            )
        if y.ndim != 1 + len(self.y_shape):
            raise DataError(
                f"Targets have shape {tuple(y.shape)}, those of the fit (rows, *{self.y_shape})."
            )

    def blank(self, rows: int) -> tuple[Tensor, Tensor]:
        """Rows and targets of zeros, enough to run a story once."""
        return (
            as_tensor(np.zeros((rows, *self.x_shape), float if self.x_floating else int)),
            as_tensor(np.zeros((rows, *self.y_shape), float if self.y_floating else int)),
        )


@dataclass(frozen=True)
class Rows:
    """A data set of (x, y), in order.

    Attributes:
        dataset: of pairs.
        y: targets, (N, ...).
        weights: how many times each row counts, (N,).
        collate: makes a batch of pairs.
        workers: processes that load batches.
        batch_size: that the data came with, if any.
        held_out: rows that the data came with for validation, (N,) booleans, if any.
    """

    dataset: Dataset
    y: Tensor
    weights: Tensor
    collate: Callable[..., Any] = default_collate
    workers: int = 0
    batch_size: int | None = None
    held_out: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.y)

    def loader(self, index: np.ndarray, batch_size: int, *, shuffle: bool = False) -> DataLoader:
        """Batches of the rows named by index."""
        drop_last = shuffle and _leaves_one(index, batch_size)
        if not isinstance(self.dataset, TensorDataset) or self.collate is not default_collate:
            subset: Dataset = Subset(_Weighted(self.dataset, self.weights), index.tolist())
            return DataLoader(
                subset,
                batch_size,
                shuffle=shuffle,
                drop_last=drop_last,
                collate_fn=_Collate(self.collate),
                num_workers=self.workers,
            )
        # Tensors are indexed by the whole batch at once, not row by row.
        order = SubsetRandomSampler(index.tolist()) if shuffle else index.tolist()
        batches = BatchSampler(order, batch_size, drop_last)
        return DataLoader(
            TensorDataset(*self.dataset.tensors, self.weights), batch_size=None, sampler=batches
        )

    def first(self, count: int) -> tuple[Tensor, Tensor]:
        """The first rows and their targets as one batch."""
        index = np.arange(min(count, len(self)))
        x, y, _ = next(iter(self.loader(index, len(index))))
        return x, y


class _Weighted(Dataset):
    def __init__(self, dataset: Dataset, weights: Tensor) -> None:
        self.dataset = dataset
        self.weights = weights

    def __getitem__(self, index: int) -> tuple[Any, Tensor]:
        return self.dataset[index], self.weights[index]


@dataclass(frozen=True)
class _Collate:
    collate: Callable[..., Any]

    def __call__(self, items: Sequence[tuple[Any, Tensor]]) -> Batch:
        pairs, weights = zip(*items, strict=True)
        x, y = self.collate(list(pairs))
        return Batch(as_tensor(x), as_tensor(y), torch.stack(weights))


def as_rows(data: Data, weights: Any = None) -> Rows:
    """Rows from arrays or tensors (x, y), or from a data set, loader or data module of pairs.

    Floating point becomes torch's default type and integers become int64. A loader lends its data
    set, batch size, collation and workers; a data module lends those of its training loader, and
    its validation rows are held out.

    Args:
        data: as said.
        weights: how many times each row counts, (N,); None for once.

    Raises:
        DataError: lengths differ, there are fewer than two rows, a value is missing or infinite,
            a weight is negative, or the data have no length.
    """
    match data:
        case LightningDataModule():
            rows = _of_module(data)
        case DataLoader():
            rows = _of_loader(data)
        case tuple() if len(data) == 2:
            rows = _of_arrays(as_tensor(data[0]), as_tensor(data[1]))
        case _ if hasattr(data, "__getitem__") or isinstance(data, IterableDataset):
            rows = _of_dataset(data)
        case _:
            raise DataError(
                "Data are a pair (x, y), a Dataset, a DataLoader or a LightningDataModule; "
                f"this is a {type(data).__name__}."
            )
    if len(rows) < 2:
        raise DataError(f"There are {len(rows)} rows; a fit needs at least two.")
    check_finite("y", rows.y)
    return rows if weights is None else _weighted(rows, as_tensor(weights))


def _of_arrays(x: Tensor, y: Tensor) -> Rows:
    if len(x) != len(y):
        raise DataError(f"x has {len(x)} rows and y has {len(y)}; they must agree.")
    check_finite("x", x)
    return Rows(TensorDataset(x, y), y, torch.ones(len(y)))


def _of_dataset(dataset: Dataset) -> Rows:
    if isinstance(dataset, TensorDataset) and len(dataset.tensors) == 2:
        x, y = dataset.tensors
        return _of_arrays(as_tensor(x), as_tensor(y))
    return Rows(dataset, *_targets(dataset))


def _of_loader(loader: DataLoader) -> Rows:
    return replace(
        _of_dataset(loader.dataset),
        collate=loader.collate_fn,
        workers=loader.num_workers,
        batch_size=loader.batch_size,
    )


def _of_module(module: LightningDataModule) -> Rows:
    module.prepare_data()
    module.setup("fit")
    training, held_out = module.train_dataloader(), module.val_dataloader()
    rows = _of_loader(training)
    if not isinstance(held_out, DataLoader):  # Lightning's default has none
        return rows
    both: Dataset = ConcatDataset([training.dataset, held_out.dataset])
    y, weights = _targets(both)
    flags = np.arange(len(y)) >= len(rows)
    return Rows(both, y, weights, rows.collate, rows.workers, rows.batch_size, flags)


def _targets(dataset: Dataset) -> tuple[Tensor, Tensor]:
    if isinstance(dataset, IterableDataset) or not hasattr(dataset, "__len__"):
        raise DataError("The data set has no length: a fit needs rows that can be looked up.")
    y = [torch.as_tensor(dataset[i][1]) for i in range(len(dataset))]
    if not y:
        raise DataError("The data set is empty.")
    return as_tensor(torch.stack(y)), torch.ones(len(y))


def _weighted(rows: Rows, weights: Tensor) -> Rows:
    if weights.shape != (len(rows),):
        raise DataError(f"weights have shape {tuple(weights.shape)}; expected ({len(rows)},).")
    check_finite("weights", weights)
    if (weights < 0).any() or not (weights > 0).any():
        raise DataError("weights must not be negative, nor all zero.")
    return replace(rows, weights=weights.to(torch.get_default_dtype()))


def as_tensor(values: Any, dtype: torch.dtype | None = None) -> Tensor:
    """A tensor of a floating point type, by default torch's default, or of int64."""
    if isinstance(values, pd.DataFrame | pd.Series):
        values = values.to_numpy()
    if isinstance(values, np.ndarray) and (
        not values.flags.writeable or any(stride < 0 for stride in values.strides)
    ):
        values = values.copy()  # torch takes neither memory it must not write nor reversed rows
    tensor = torch.as_tensor(values).cpu()
    if tensor.is_floating_point():
        return tensor.to(dtype or torch.get_default_dtype())
    return tensor.long()


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
