"""Rows of data, however they came, as what training needs."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    Sampler,
    SubsetRandomSampler,
    TensorDataset,
    default_collate,
)

from nbam_pyro.training.tensors import as_tensor, in_precision
from nbam_pyro.verified import NOTHING, Verified

# x is copied to a GPU where it takes no more than so much of what is free there.
_SHARE = 0.25


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


def _leaves_one(index: Sequence[int], batch_size: int) -> bool:
    # A last batch of one row breaks batch normalisation.
    return len(index) > 1 and len(index) % batch_size == 1
