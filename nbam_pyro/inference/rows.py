"""Rows of data, however they came, as what training needs."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor, nn
from torch.utils.data import (
    BatchSampler,
    ConcatDataset,
    DataLoader,
    Dataset,
    IterableDataset,
    Sampler,
    SubsetRandomSampler,
    TensorDataset,
    default_collate,
)

from nbam_pyro.checks import check_finite
from nbam_pyro.errors import DataError
from nbam_pyro.spacing import check_spacing
from nbam_pyro.verified import NOTHING, Verified

# x is copied to a GPU where it takes no more than so much of what is free there.
_SHARE = 0.25
_DOUBLE = (
    "the story works in single precision. Put Standardise.of(x) before its network and call "
    "story.double(), or subtract a constant from the column."
)

Data = tuple[Any, Any] | Dataset | DataLoader | LightningDataModule


class Batch(NamedTuple):
    """Rows of a training step.

    Attributes:
        x: (N, ...).
        y: targets, (N, ...).
        weights: how many times each row counts, (N,).
        verified: What is verified of them.
    """

    x: Tensor
    y: Tensor
    weights: Tensor
    verified: Verified = NOTHING

    def targets(self) -> tuple[Tensor, Tensor]:
        """Targets to train on when only verified rows are treated as contaminated, and a mask.

        The mask says which of them count, (N, *dims).
        """
        return self.verified.targets(self.y)


@dataclass(frozen=True)
class Rows:
    """A data set of (x, y), in order.

    Attributes:
        dataset: of pairs.
        y: targets, (N, ...).
        weights: how many times each row counts, (N,).
        verified: What is verified of them.
        collate: makes a batch of pairs.
        workers: processes that load batches.
        dtype: precision in which the story takes x; None where x has it already.
        y_dtype: precision in which the story takes measurements; None for their own.
        batch_size: that the data came with, if any.
        held_out: rows that the data came with for validation, (N,) booleans, if any.
        copies: of x by device, where `near` made one.
    """

    dataset: Dataset
    y: Tensor
    weights: Tensor
    verified: Verified = NOTHING
    collate: Callable[..., Any] = default_collate
    workers: int = 0
    dtype: torch.dtype | None = None
    y_dtype: torch.dtype | None = None
    batch_size: int | None = None
    held_out: np.ndarray | None = None
    copies: dict[torch.device, Tensor] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.y)

    def loader(
        self, index: np.ndarray, batch_size: int, *, shuffle: bool = False, passes: int = 1
    ) -> DataLoader:
        """Batches of the rows named by index, each of them so many times."""
        batches = _Batches(index.tolist(), batch_size, shuffle, passes)
        if not self._is_tensors:
            return DataLoader(
                _Numbered(self.dataset),
                batch_sampler=batches,
                collate_fn=_Collate(
                    self.collate, self.weights, self.verified, self.dtype, self.y_dtype
                ),
                num_workers=self.workers,
            )
        # Tensors are indexed by the whole batch at once, not row by row.
        x, y = self.dataset.tensors  # type: ignore[attr-defined]
        tensors = _Tensors(Batch(x, y, self.weights, self.verified))
        return DataLoader(tensors, batch_size=None, sampler=batches)

    def with_targets_in(self, dtype: torch.dtype) -> "Rows":
        """The same rows with measurements in another precision."""
        y, dataset = in_precision(self.y, dtype), self.dataset
        if self._is_tensors:
            dataset = TensorDataset(dataset.tensors[0], y)  # type: ignore[attr-defined]
        return replace(self, y=y, y_dtype=dtype, dataset=dataset)

    def with_targets(self, y: Tensor) -> "Rows":
        """The same x with other targets, of which nothing is verified.

        Args:
            y: the targets, (N, ...), in the precision they are to have.
        """
        dataset: Dataset = _Relabelled(self.dataset, y)
        if self._is_tensors:
            dataset = TensorDataset(self.dataset.tensors[0], y)  # type: ignore[attr-defined]
        return replace(self, y=y, dataset=dataset, verified=NOTHING, y_dtype=y.dtype)

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
    def table(self) -> Tensor | None:
        """x where it is columns of numbers, (N, D); None for images, texts and other data sets."""
        if not self._is_tensors:
            return None
        x: Tensor = self.dataset.tensors[0]  # type: ignore[attr-defined]
        return x if x.ndim == 2 and x.is_floating_point() else None

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
        return np.flatnonzero(self.verified.known.reshape(len(self), -1).any(-1))


class _Batches(Sampler[list[int]]):
    """Batches of some rows, pass after pass, each pass in an order of its own if shuffled."""

    def __init__(self, index: list[int], batch_size: int, shuffle: bool, passes: int) -> None:
        order = SubsetRandomSampler(index) if shuffle else index
        self.one_pass = BatchSampler(order, batch_size, shuffle and _leaves_one(index, batch_size))
        self.passes = passes

    def __iter__(self) -> Iterator[list[int]]:
        return chain.from_iterable(iter(self.one_pass) for _ in range(self.passes))

    def __len__(self) -> int:
        return self.passes * len(self.one_pass)


class _Tensors(Dataset):
    def __init__(self, rows: Batch) -> None:
        self.rows = rows

    def __getitem__(self, index: Any) -> Batch:
        x, y, weights, verified = self.rows
        return Batch(x[index], y[index], weights[index], verified[index])


class _Relabelled(Dataset):
    def __init__(self, dataset: Dataset, y: Tensor) -> None:
        self.dataset, self.y = dataset, y

    def __getitem__(self, index: int) -> tuple[Any, Tensor]:
        return self.dataset[index][0], self.y[index]


class _Numbered(Dataset):
    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset

    def __getitem__(self, index: int) -> tuple[int, Any]:
        return index, self.dataset[index]


@dataclass(frozen=True)
class _Collate:
    collate: Callable[..., Any]
    weights: Tensor
    verified: Verified
    dtype: torch.dtype | None
    y_dtype: torch.dtype | None

    def __call__(self, items: Sequence[tuple[int, Any]]) -> Batch:
        index, pairs = (list(part) for part in zip(*items, strict=True))
        x, y = self.collate(pairs)
        rows = in_precision(as_tensor(x), self.dtype)
        targets = in_precision(as_tensor(y), self.y_dtype)
        return Batch(rows, targets, self.weights[index], self.verified[index])


def as_rows(
    data: Data,
    weights: Any = None,
    verified: Verified = NOTHING,
    *,
    dtype: torch.dtype | None = None,
) -> Rows:
    """Rows from arrays or tensors (x, y), or from a data set, loader or data module of pairs.

    Measurements y keep their precision, integers become int64. A loader lends its data
    set, batch size, collation and workers; a data module lends those of its training loader, and
    its validation rows are held out.

    Args:
        data: as said.
        weights: how many times each row counts, (N,); None for once.
        verified: what is verified of them, if anything.
        dtype: precision of the story, which x is brought to; None for torch's default.

    Raises:
        DataError: lengths differ, there are fewer than two rows, a value is missing or infinite,
            columns of x would lose their digits in the story's precision, a weight is negative,
            something verified cannot be, or the data have no length.
    """
    dtype = dtype or torch.get_default_dtype()
    match data:
        case LightningDataModule():
            rows = _of_module(data, dtype)
        case DataLoader():
            rows = _of_loader(data, dtype)
        case tuple() if len(data) == 2:
            rows = _of_arrays(as_tensor(data[0]), as_tensor(data[1]), dtype)
        case _ if hasattr(data, "__getitem__") or isinstance(data, IterableDataset):
            rows = _of_dataset(data, dtype)
        case _:
            raise DataError(
                "Data are a pair (x, y), a Dataset, a DataLoader or a LightningDataModule; "
                f"this is a {type(data).__name__}."
            )
    if len(rows) < 2:
        raise DataError(f"There are {len(rows)} rows; a fit needs at least two.")
    check_finite(rows.y, "y")
    verified.check(rows.y)
    rows = replace(rows, verified=verified if verified.known.any() else NOTHING)
    return rows if weights is None else _weighted(rows, as_tensor(weights))


def _of_arrays(x: Tensor, y: Tensor, dtype: torch.dtype) -> Rows:
    if len(x) != len(y):
        raise DataError(f"x has {len(x)} rows and y has {len(y)}; they must agree.")
    check_finite(x, "x")
    if x.dtype == torch.float64 and x.ndim == 2 and len(x):
        check_spacing(x.numpy())
        if dtype == torch.float32:
            check_spacing(x.numpy(), kind=np.float32, mend=_DOUBLE)
    return Rows(TensorDataset(in_precision(x, dtype), y), y, torch.ones(len(y), dtype=dtype))


def _of_dataset(dataset: Dataset, dtype: torch.dtype) -> Rows:
    if isinstance(dataset, TensorDataset) and len(dataset.tensors) == 2:
        x, y = dataset.tensors
        return _of_arrays(as_tensor(x), as_tensor(y), dtype)
    return Rows(dataset, *_targets(dataset, dtype), dtype=dtype)


def _of_loader(loader: DataLoader, dtype: torch.dtype) -> Rows:
    return replace(
        _of_dataset(loader.dataset, dtype),
        collate=loader.collate_fn,
        workers=loader.num_workers,
        batch_size=loader.batch_size,
    )


def _of_module(module: LightningDataModule, dtype: torch.dtype) -> Rows:
    module.prepare_data()
    module.setup("fit")
    training, held_out = module.train_dataloader(), module.val_dataloader()
    rows = _of_loader(training, dtype)
    if not isinstance(held_out, DataLoader):  # Lightning's default has none
        return rows
    both: Dataset = ConcatDataset([training.dataset, held_out.dataset])
    y, weights = _targets(both, dtype)
    flags = np.arange(len(y)) >= len(rows)
    return replace(rows, dataset=both, y=y, weights=weights, held_out=flags, dtype=dtype)


def _targets(dataset: Dataset, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    if isinstance(dataset, IterableDataset) or not hasattr(dataset, "__len__"):
        raise DataError("The data set has no length: a fit needs rows that can be looked up.")
    y = [torch.as_tensor(dataset[i][1]) for i in range(len(dataset))]
    if not y:
        raise DataError("The data set is empty.")
    return as_tensor(torch.stack(y)), torch.ones(len(y), dtype=dtype)


def _weighted(rows: Rows, weights: Tensor) -> Rows:
    if weights.shape != (len(rows),):
        raise DataError(f"weights have shape {tuple(weights.shape)}; expected ({len(rows)},).")
    check_finite(weights, "weights")
    if (weights < 0).any() or not (weights > 0).any():
        raise DataError("weights must not be negative, nor all zero.")
    return replace(rows, weights=weights.to(rows.weights))


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


def _leaves_one(index: Sequence[int], batch_size: int) -> bool:
    # A last batch of one row breaks batch normalisation.
    return len(index) > 1 and len(index) % batch_size == 1
