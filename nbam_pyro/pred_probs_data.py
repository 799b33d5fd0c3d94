"""Predicted probabilities and labels as people have them: arrays, frames, numbers or texts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor

from nbam_pyro.errors import DataError

__all__ = ["Predicted"]

# No classifier knows better; and one verified label that it calls impossible proves little.
_LEAST = 1e-6
# Probabilities are often rounded.
_ROUNDING = 0.01


@dataclass(frozen=True)
class Predicted:
    """Checked and encoded arguments of `from_pred_probs`.

    Attributes:
        log_p: log predicted probabilities, at least log 1e-6, (N, K) float32.
        labels: observed labels as columns of log_p, (N,).
        gold: true labels as columns of log_p, -1 where unknown, (N,); None where none is known.
        classes: names of the columns.
        index: names of the rows.
    """

    log_p: Float[Tensor, "n k"]
    labels: Int[Tensor, " n"]
    gold: Int[Tensor, " n"] | None
    classes: pd.Index
    index: pd.Index

    @classmethod
    def of(
        cls, labels: Any, pred_probs: Any, *, gold: Any, classes: Sequence[Any] | None
    ) -> "Predicted":
        """Check and encode; arguments and errors as of `from_pred_probs`."""
        index = _same_index(labels, pred_probs, gold)
        values = _probabilities(pred_probs)
        n, k = values.shape
        names = _class_names(pred_probs, classes, k)
        codes = _codes(labels, names, n, name="labels")
        if (missing := codes < 0).any():
            raise DataError(f"{int(missing.sum())} labels are missing; leave those rows out.")
        known = None if gold is None else _codes(gold, names, n, name="gold", unverified=-1)
        # A copy, so that what follows in place leaves the caller's array alone.
        log_p = torch.from_numpy(np.array(values, dtype=np.float32, order="C"))
        log_p.clamp_min_(_LEAST).log_()
        return cls(
            log_p,
            torch.as_tensor(codes),
            torch.as_tensor(known) if known is not None and (known >= 0).any() else None,
            names,
            pd.RangeIndex(n) if index is None else index,
        )


def _same_index(*arguments: Any) -> pd.Index | None:
    indexed = [one.index for one in arguments if isinstance(one, pd.Series | pd.DataFrame)]
    if any(not indexed[0].equals(other) for other in indexed[1:]):
        raise DataError(
            "labels, pred_probs and gold have different indices, so their rows may not belong "
            "together: align them, or pass arrays."
        )
    return indexed[0] if indexed else None


def _probabilities(pred_probs: Any) -> np.ndarray:
    values = np.asarray(pred_probs)
    if values.ndim != 2 or values.shape[1] < 2 or not len(values) or values.dtype.kind not in "iuf":
        raise DataError(
            f"pred_probs has shape {values.shape} and type {values.dtype}; expected numbers, one "
            "row per label and one column per class, at least two."
        )
    # Negated, so that NaN fails.
    lowest, wrong = values.min(), ~(np.abs(values.sum(1, dtype=np.float64) - 1) <= _ROUNDING)
    if wrong.any():
        raise DataError(
            f"{int(wrong.sum())} rows of pred_probs do not sum to one, the first is row "
            f"{int(wrong.argmax())}: pass probabilities (of logits the softmax)."
        )
    if lowest < 0:
        raise DataError(f"pred_probs has negative entries such as {lowest}; pass probabilities.")
    return values


def _class_names(pred_probs: Any, classes: Sequence[Any] | None, k: int) -> pd.Index:
    if classes is None and isinstance(pred_probs, pd.DataFrame):
        classes = list(pred_probs.columns)
    names = pd.Index(range(k) if classes is None else classes)
    if len(names) != k or names.has_duplicates or names.hasnans:
        raise DataError(
            f"classes are {_listed(names)}; pred_probs has {k} columns, so give {k} different "
            "names in their order."
        )
    return names


def _codes(
    values: Any, names: pd.Index, n: int, *, name: str, unverified: Any = None
) -> np.ndarray:
    """Column of each value, -1 where it is missing, (N,)."""
    if isinstance(values, list):  # None among integers must not make floats of them
        values = np.asarray(values, dtype=object)
    column = values if isinstance(values, pd.Series) else np.asarray(values)
    if column.shape != (n,):
        raise DataError(f"{name} have shape {column.shape}; pred_probs has {n} rows.")
    cells = pd.Index(column)
    codes = names.get_indexer(cells)
    unknown = (codes < 0) & ~np.asarray(cells.isna())
    if unverified is not None and unknown.any():
        unknown &= ~cells.isin([unverified])
    if unknown.any():
        raise DataError(
            f"{int(unknown.sum())} of {name} are no class, such as {cells[unknown][0]!r}; the "
            f"classes are {_listed(names)}. Name the columns of pred_probs by classes, or name "
            "them as the labels are."
        )
    return codes.astype(np.int64)


def _listed(names: pd.Index) -> str:
    shown = ", ".join(repr(name) for name in names[:10].tolist())
    return shown + (" and more" if len(names) > 10 else "")
