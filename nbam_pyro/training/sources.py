"""Rows from whatever people have: arrays, data sets, loaders and data modules."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningDataModule
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

_DOUBLE = (
    "the story works in single precision. Put Standardise.of(x) before its network and call "
    "story.double(), or subtract a constant from the column."
)


Data = tuple[Any, Any] | Dataset | DataLoader | LightningDataModule


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
