"""Rows of data, however they came, as what training needs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
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
from nbam_pyro.verified import Verified

# x is copied to a GPU where it takes no more than so much of what is free there.
_SHARE = 0.25

Data = tuple[Any, Any] | Dataset | DataLoader | LightningDataModule


class Batch(NamedTuple):
    """Rows of a training step.

    Attributes:
        x: (N, ...).
        y: targets, (N, ...).
        weights: how many times each row counts, (N,).
        verified: what is verified of them; None where nothing is of any row.
    """

    x: Tensor
    y: Tensor
    weights: Tensor
    verified: Verified | None = None

    def supposed(self) -> tuple[Tensor, Tensor]:
        """What one would train on if only what is verified were contaminated, and where."""
        if self.verified is None:
            return self.y, torch.ones_like(self.y, dtype=torch.bool)
        return self.verified.supposed(self.y)


@dataclass(frozen=True)
class Rows:
    """A data set of (x, y), in order.

    Attributes:
        dataset: of pairs.
        y: targets, (N, ...).
        weights: how many times each row counts, (N,).
        verified: what is verified of them; None where nothing is.
        collate: makes a batch of pairs.
        workers: processes that load batches.
        batch_size: that the data came with, if any.
        held_out: rows that the data came with for validation, (N,) booleans, if any.
        copies: of x by device, where `near` made one.
    """

    dataset: Dataset
    y: Tensor
    weights: Tensor
    verified: Verified | None = None
    collate: Callable[..., Any] = default_collate
    workers: int = 0
    batch_size: int | None = None
    held_out: np.ndarray | None = None
    copies: dict[torch.device, Tensor] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.y)

    def loader(self, index: np.ndarray, batch_size: int, *, shuffle: bool = False) -> DataLoader:
        """Batches of the rows named by index."""
        drop_last = shuffle and _leaves_one(index, batch_size)
        if not self._is_tensors:
            subset: Dataset = Subset(_Numbered(self.dataset), index.tolist())
            return DataLoader(
                subset,
                batch_size,
                shuffle=shuffle,
                drop_last=drop_last,
                collate_fn=_Collate(self.collate, self.weights, self.verified),
                num_workers=self.workers,
            )
        # Tensors are indexed by the whole batch at once, not row by row.
        order = SubsetRandomSampler(index.tolist()) if shuffle else index.tolist()
        batches = BatchSampler(order, batch_size, drop_last)
        x, y = self.dataset.tensors  # type: ignore[attr-defined]
        tensors = _Tensors(Batch(x, y, self.weights, self.verified))
        return DataLoader(tensors, batch_size=None, sampler=batches)

    def near(self, device: torch.device) -> "Rows":
        """The same rows with x in the memory of a GPU, if x is one tensor and there is room.

        Batches then need no transfer of x, and augmentation inside the network runs there.
        """
        if device.type != "cuda" or not self._is_tensors:
            return self
        x, y = self.dataset.tensors  # type: ignore[attr-defined]
        if device not in self.copies:
            if x.nbytes > _SHARE * torch.cuda.mem_get_info(device)[0]:
                return self
            self.copies[device] = x.to(device)
        return replace(self, dataset=TensorDataset(self.copies[device], y.to(device)))

    @property
    def _is_tensors(self) -> bool:
        return isinstance(self.dataset, TensorDataset) and self.collate is default_collate

    def first(self, count: int) -> Batch:
        """The first rows as one batch; verified ones are up to half of it."""
        verified, half = self.looked_at, count // 2
        others = np.setdiff1d(np.arange(len(self)), verified)
        index = np.r_[verified[:half], others, verified[half:]][:count]
        return next(iter(self.loader(index, len(index))))

    @property
    def looked_at(self) -> np.ndarray:
        """Indices of the rows of which anything is verified."""
        if self.verified is None:
            return np.arange(0)
        return np.flatnonzero(self.verified.known.reshape(len(self), -1).any(-1))


class _Tensors(Dataset):
    def __init__(self, rows: Batch) -> None:
        self.rows = rows

    def __getitem__(self, index: Any) -> Batch:
        x, y, weights, verified = self.rows
        known = None if verified is None else verified[index]
        return Batch(x[index], y[index], weights[index], known)


class _Numbered(Dataset):
    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset

    def __getitem__(self, index: int) -> tuple[int, Any]:
        return index, self.dataset[index]


@dataclass(frozen=True)
class _Collate:
    collate: Callable[..., Any]
    weights: Tensor
    verified: Verified | None

    def __call__(self, items: Sequence[tuple[int, Any]]) -> Batch:
        index, pairs = (list(part) for part in zip(*items, strict=True))
        x, y = self.collate(pairs)
        verified = None if self.verified is None else self.verified[index]
        return Batch(as_tensor(x), as_tensor(y), self.weights[index], verified)


def as_rows(data: Data, weights: Any = None, verified: Verified | None = None) -> Rows:
    """Rows from arrays or tensors (x, y), or from a data set, loader or data module of pairs.

    Floating point becomes torch's default type and integers become int64. A loader lends its data
    set, batch size, collation and workers; a data module lends those of its training loader, and
    its validation rows are held out.

    Args:
        data: as said.
        weights: how many times each row counts, (N,); None for once.
        verified: what is verified of them, if anything.

    Raises:
        DataError: lengths differ, there are fewer than two rows, a value is missing or infinite,
            a weight is negative, something verified cannot be, or the data have no length.
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
    if verified is not None:
        verified.check(rows.y)
        rows = replace(rows, verified=verified if verified.known.any() else None)
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
    return replace(rows, dataset=both, y=y, weights=weights, held_out=flags)


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
