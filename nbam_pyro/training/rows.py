"""Rows of data in the form that training needs, and batches of them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import (
    DataLoader,
    Dataset,
    Sampler,
    TensorDataset,
    default_collate,
)

from nbam_pyro.training.devices import WHOLE, Part, agreed
from nbam_pyro.training.tensors import as_tensor, in_precision
from nbam_pyro.verified import NOTHING, Verified

# x is copied to a GPU if it takes at most this share of the free memory there.
_SHARE = 0.25


class Batch(NamedTuple):
    """Rows of one training step.

    Attributes:
        x: Rows, (n, ...).
        y: Observed targets, (n, *dims).
        weights: Weights of the rows, (n,): a row of weight 2 counts as two rows.
        verified: Verified switches and true labels of the rows.
    """

    x: Tensor
    y: Tensor
    weights: Tensor
    verified: Verified = NOTHING

    def targets(self) -> tuple[Tensor, Tensor]:
        """Return targets to train on when only verified rows are treated as contaminated.

        Returns:
            The targets, and a boolean mask of those that count, both (n, *dims).
        """
        return self.verified.targets(self.y)


@dataclass(frozen=True)
class Rows:
    """All rows of a data set, in order, with their weights and verified values.

    Attributes:
        dataset: Data set of pairs (x, y).
        y: Observed targets, (N, *dims).
        weights: Weights of the rows, (N,): a row of weight 2 counts as two rows.
        verified: Verified switches and true labels of the rows.
        collate: Function that takes a list of pairs (x, y) and returns a batch.
        workers: Number of processes that load batches.
        dtype: Precision to which x is converted; None where x has the right precision.
        y_dtype: Precision to which measurements are converted; None where they keep their own.
        batch_size: Batch size of the loader that the data came from; None without a loader.
        held_out: Booleans that mark the validation rows of the data module that the data came from,
            (N,); None without validation rows.
        groups: Index of the group of each row, (N,); no fold may divide a group. None if there are
            no groups.
        copies: Copies of x by device, which the method `near` stores.
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
    groups: np.ndarray | None = None
    copies: dict[torch.device, Tensor] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.y)

    def groups_of(self, index: np.ndarray) -> np.ndarray | None:
        """Return the groups of some rows, which no fold may divide; None if there are no groups.

        Args:
            index: Indices of the rows.
        """
        return None if self.groups is None else self.groups[index]

    def loader(
        self,
        index: np.ndarray,
        batch_size: int,
        *,
        shuffle: bool = False,
        passes: int = 1,
        part: Part = WHOLE,
    ) -> DataLoader:
        """Return a loader of batches of some rows.

        Args:
            index: Indices of the rows.
            batch_size: Number of rows in a batch.
            shuffle: Whether each pass has a random order.
            passes: Number of passes over the rows.
            part: Part of every batch that this process takes. All parts are equally large, so a
                pass may leave out some rows, fewer than there are processes.
        """
        batches = _Batches(index, batch_size, shuffle, passes, part)
        if not self._is_tensors:
            return DataLoader(
                _Numbered(self.dataset),
                batch_sampler=batches,
                collate_fn=_Collate(
                    self.collate, self.weights, self.verified, self.dtype, self.y_dtype
                ),
                num_workers=self.workers,
            )
        # Tensors are indexed once for a whole batch, which is faster than row by row.
        x, y = self.dataset.tensors  # type: ignore[attr-defined]
        tensors = _Tensors(Batch(x, y, self.weights, self.verified))
        return DataLoader(tensors, batch_size=None, sampler=batches)

    def with_targets_in(self, dtype: torch.dtype) -> "Rows":
        """Return the same rows with measurements in another precision."""
        y, dataset = in_precision(self.y, dtype), self.dataset
        if self._is_tensors:
            dataset = TensorDataset(dataset.tensors[0], y)  # type: ignore[attr-defined]
        return replace(self, y=y, y_dtype=dtype, dataset=dataset)

    def with_targets(self, y: Tensor) -> "Rows":
        """Return the same rows with other targets, none of which is verified.

        Args:
            y: Targets, (N, *dims), in the precision in which they are used.
        """
        dataset: Dataset = _Relabelled(self.dataset, y)
        if self._is_tensors:
            dataset = TensorDataset(self.dataset.tensors[0], y)  # type: ignore[attr-defined]
        return replace(self, y=y, dataset=dataset, verified=NOTHING, y_dtype=y.dtype)

    def near(self, device: torch.device) -> "Rows":
        """Return the same rows with x in the memory of a GPU, if x is a tensor that fits there.

        Batches of x then need no transfer, and augmentation inside the network runs on the GPU.

        Args:
            device: Device that the rows are used on. For a CPU, the rows themselves are returned.
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
        """Tensor x if it has columns of numbers, (N, D); None for images, texts and other data."""
        if not self._is_tensors:
            return None
        x: Tensor = self.dataset.tensors[0]  # type: ignore[attr-defined]
        return x if x.ndim == 2 and x.is_floating_point() else None

    @property
    def contents(self) -> list[Any]:
        """What tells these rows from others: their tensors, but not x of a data set that reads it.

        Reading all x from files could take as long as a fit.
        """
        x = self.dataset.tensors[0] if self._is_tensors else type(self.dataset).__name__  # type: ignore[attr-defined]
        return [x, self.y, self.weights, self.verified.codes, self.groups]

    @property
    def _is_tensors(self) -> bool:
        return isinstance(self.dataset, TensorDataset) and self.collate is default_collate

    def first(self, count: int) -> Batch:
        """Return a batch of some rows: verified rows (up to half), and the first other rows."""
        verified, half = self.looked_at, count // 2
        others = np.setdiff1d(np.arange(len(self)), verified)
        index = np.r_[verified[:half], others, verified[half:]][:count]
        return next(iter(self.loader(index, len(index))))

    @property
    def looked_at(self) -> np.ndarray:
        """Indices of the rows with a verified switch or true label."""
        return np.flatnonzero(self.verified.known.reshape(len(self), -1).any(-1))


class _Batches(Sampler[list[int]]):
    """Indices of the rows of each batch, pass after pass. Shuffling is new in each pass."""

    def __init__(
        self, index: np.ndarray, batch_size: int, shuffle: bool, passes: int, part: Part
    ) -> None:
        # A list of Python's numbers would take five times the memory.
        self.index, self.shuffle = torch.as_tensor(index), shuffle
        self.passes, self.part = passes, part
        # Gradients of processes count equally, so all have the same number of rows.
        self.batch_size = batch_size - batch_size % part.total
        self.rows = len(index) - len(index) % part.total
        rest = self.rows % self.batch_size
        # Batch normalisation fails on a last batch of one row, so that batch is dropped.
        if shuffle and rest == part.total < self.rows:
            self.rows -= rest

    def __iter__(self) -> Iterator[list[int]]:
        place, step = self.part
        for _ in range(self.passes):
            order = self.index
            if self.shuffle:
                # Networks with random layers draw different numbers in each process.
                order = order[agreed(torch.randperm(len(order)), self.part)]
            order = order[: self.rows]
            for start in range(0, self.rows, self.batch_size):
                yield order[start + place : start + self.batch_size : step].tolist()

    def __len__(self) -> int:
        return self.passes * -(-self.rows // self.batch_size)


class _Tensors(Dataset):
    """Rows in tensors, indexed by all indices of a batch at once."""

    def __init__(self, rows: Batch) -> None:
        self.rows = rows

    def __getitem__(self, index: Any) -> Batch:
        x, y, weights, verified = self.rows
        return Batch(x[index], y[index], weights[index], verified[index])


class _Relabelled(Dataset):
    """A data set with other targets."""

    def __init__(self, dataset: Dataset, y: Tensor) -> None:
        self.dataset, self.y = dataset, y

    def __getitem__(self, index: int) -> tuple[Any, Tensor]:
        return self.dataset[index][0], self.y[index]


class _Numbered(Dataset):
    """A data set that returns the index of a row beside the row."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset

    def __getitem__(self, index: int) -> tuple[int, Any]:
        return index, self.dataset[index]


@dataclass(frozen=True)
class _Collate:
    """Function that makes a `Batch` of numbered pairs (x, y)."""

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
