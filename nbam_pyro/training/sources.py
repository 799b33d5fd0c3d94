"""Conversion of arrays, data sets, loaders and data modules to `Rows`."""

from dataclasses import replace
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import (
    ConcatDataset,
    DataLoader,
    Dataset,
    IterableDataset,
    TensorDataset,
)

from nbam_pyro.checks.numbers import check_finite
from nbam_pyro.checks.spacing import check_spacing
from nbam_pyro.errors import DataError
from nbam_pyro.training.rows import Rows
from nbam_pyro.training.tensors import as_tensor, in_precision
from nbam_pyro.verified import NOTHING, Verified

# Second half of an error message about columns that would lose digits.
_DOUBLE = (
    "the story works in single precision. Put Standardise.of(x) before its network and call "
    "story.double(), or subtract a constant from the column."
)


@runtime_checkable
class DataModule(Protocol):
    """The methods of a `LightningDataModule` that give its rows."""

    def prepare_data(self) -> None:
        """Download or write the data."""

    def setup(self, stage: str) -> None:
        """Make the data sets of a stage.

        Args:
            stage: Name of the stage, "fit".
        """

    def train_dataloader(self) -> Any:
        """Return the loader of the training rows."""

    def val_dataloader(self) -> Any:
        """Return the loader of the validation rows; anything else if there are none."""


Data = tuple[Any, Any] | Dataset | DataLoader | DataModule


def as_rows(
    data: Data,
    weights: Any = None,
    verified: Verified = NOTHING,
    *,
    dtype: torch.dtype | None = None,
) -> Rows:
    """Convert data of any supported form to `Rows`.

    Measurements y keep their precision. Integers become int64. The data set, batch size, collation
    and workers of a loader are used. For a data module, its training loader is used, and its
    validation rows become held-out rows.

    Args:
        data: Pair (x, y) of arrays or tensors, or a `Dataset`, `DataLoader` or
            `LightningDataModule` of such pairs.
        weights: Weights of the rows, (N,): a row of weight 2 counts as two rows. None means weight
            1 for every row.
        verified: Verified switches or true labels of some rows; by default nothing is verified.
        dtype: Precision of the story, to which x is converted; None means torch's default type.

    Raises:
        DataError: Lengths differ, there are fewer than two rows, a value is missing or infinite,
            columns of x would lose digits in the precision of the story, a weight is negative,
            verified values contradict the targets, or the data have no length.
    """
    dtype = dtype or torch.get_default_dtype()
    match data:
        case DataModule():
            rows = _of_module(data, dtype)
        case DataLoader():
            rows = _of_loader(data, dtype)
        case tuple() if len(data) == 2:
            rows = _of_arrays(as_tensor(data[0]), as_tensor(data[1]), dtype)
        case _ if hasattr(data, "__getitem__") or isinstance(data, IterableDataset):
            rows = _of_dataset(data, dtype)
        case _:
            raise DataError(
                "Data must be a pair (x, y), a Dataset, a DataLoader or a LightningDataModule, but "
                f"this is a {type(data).__name__}."
            )
    if len(rows) < 2:
        raise DataError(f"The number of rows is {len(rows)}. A fit needs at least two rows.")
    check_finite(rows.y, "y")
    # Several elements of a target may share a switch. The story checks the shape again.
    shared = verified.contaminated.ndim < rows.y.ndim
    verified.check(rows.y.flatten(verified.contaminated.ndim)[..., 0] if shared else rows.y)
    rows = replace(rows, verified=verified if verified.known.any() else NOTHING)
    return rows if weights is None else _weighted(rows, as_tensor(weights))


def _of_arrays(x: Tensor, y: Tensor, dtype: torch.dtype) -> Rows:
    if len(x) != len(y):
        raise DataError(f"x has {len(x)} rows, but y has {len(y)}. Give one target for each row.")
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


def _of_module(module: DataModule, dtype: torch.dtype) -> Rows:
    module.prepare_data()
    module.setup("fit")
    training, held_out = module.train_dataloader(), module.val_dataloader()
    rows = _of_loader(training, dtype)
    if not isinstance(held_out, DataLoader):  # a module without validation rows
        return rows
    both: Dataset = ConcatDataset([training.dataset, held_out.dataset])
    y, weights = _targets(both, dtype)
    flags = np.arange(len(y)) >= len(rows)
    return replace(rows, dataset=both, y=y, weights=weights, held_out=flags, dtype=dtype)


def _targets(dataset: Dataset, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    if isinstance(dataset, IterableDataset) or not hasattr(dataset, "__len__"):
        raise DataError(
            "The data set has no length. A fit looks up individual rows by index: use a data set "
            "with __len__ and __getitem__."
        )
    y = [torch.as_tensor(dataset[i][1]) for i in range(len(dataset))]
    if not y:
        raise DataError("The data set is empty. A fit needs at least two rows.")
    return as_tensor(torch.stack(y)), torch.ones(len(y), dtype=dtype)


def _weighted(rows: Rows, weights: Tensor) -> Rows:
    if weights.shape != (len(rows),):
        raise DataError(
            f"weights have shape {tuple(weights.shape)}, but the shape must be ({len(rows)},): one "
            "weight for each row."
        )
    check_finite(weights, "weights")
    if (weights < 0).any() or not (weights > 0).any():
        raise DataError(
            "Some weights are negative, or all are 0. Give weights of at least 0, with at least "
            "one above 0."
        )
    return replace(rows, weights=weights.to(rows.weights))
