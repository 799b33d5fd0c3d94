"""Checks of predicted probabilities and labels: arrays, frames, numbers or texts."""

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Number
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float, Int
from pandas.api.types import is_numeric_dtype
from torch import Tensor

from nbam_pyro.checks.arguments import as_cells, as_numbers, check_numbers, place_of
from nbam_pyro.checks.containers import unwrapped
from nbam_pyro.errors import DataError
from nbam_pyro.outputs.classes import class_columns, shown
from nbam_pyro.verified import Verified

__all__ = ["Predicted"]

# Smallest probability: no classifier is more certain, and one verified label to which it gives
# probability 0 must not decide everything.
_LEAST = 1e-6
# A row of rounded probabilities may differ from one by this much.
_ROUNDING = 0.01


@dataclass(frozen=True)
class Predicted:
    """Checked and encoded arguments of `from_pred_probs`.

    Attributes:
        log_p: Log predicted probabilities, at least log 1e-6, (N, K). They are float32 if the
            probabilities are in single or half precision, else float64.
        labels: Observed labels as column indices of log_p, (N,).
        true_labels: Verified true labels as column indices of log_p, -1 for a row without one,
            (N,); None if no true label is verified.
        classes: Names of the classes, in the order of the columns of log_p.
        index: Index of the rows, as in pandas.
    """

    log_p: Float[Tensor, "n k"]
    labels: Int[Tensor, " n"]
    true_labels: Int[Tensor, " n"] | None
    classes: pd.Index
    index: pd.Index

    @property
    def disagrees(self) -> Bool[Tensor, " n"]:
        """Whether the most probable class of each row is not its label, (N,)."""
        return self.log_p.argmax(-1) != self.labels

    @property
    def disagreement(self) -> float:
        """Share of the rows whose most probable class is not the label."""
        return float(self.disagrees.double().mean())

    @classmethod
    def of(
        cls, labels: Any, pred_probs: Any, *, verified: Any, classes: Sequence[Any] | None
    ) -> "Predicted":
        """Check and encode the arguments; arguments and errors as in `from_pred_probs`."""
        labels, pred_probs, verified = map(unwrapped, (labels, pred_probs, verified))
        index = _same_index(labels, pred_probs, verified)
        columns = list(pred_probs.columns) if isinstance(pred_probs, pd.DataFrame) else None
        values = _probabilities(pred_probs, columns)
        n, k = values.shape
        names, order = class_columns(columns, classes, k)
        if order is not None:
            values = values[:, order]
        codes = _codes(labels, names, n, name="labels")
        if (missing := codes < 0).any():
            raise DataError(
                f"{int(missing.sum())} labels are missing, the first in row "
                f"{int(missing.argmax())}. Leave those rows out."
            )
        known = _true_labels(verified, codes, names)
        # A copy, because the lines below change it in place.
        precision = np.float32 if values.dtype == np.float32 else np.float64
        log_p = torch.from_numpy(np.array(values, dtype=precision, order="C"))
        log_p.clamp_min_(_LEAST).log_()
        return cls(
            log_p,
            torch.as_tensor(codes),
            torch.as_tensor(known) if known is not None and (known >= 0).any() else None,
            names,
            pd.RangeIndex(n) if index is None else index,
        )


def _true_labels(verified: Any, codes: np.ndarray, names: pd.Index) -> np.ndarray | None:
    """Return verified true labels as column indices, -1 where unknown, (N,), or None."""
    if not isinstance(verified, Verified):
        given = verified is not None
        return (
            _codes(verified, names, len(codes), name="verified", unverified=-1) if given else None
        )
    labels = torch.as_tensor(codes)
    verified.check(labels, num_classes=len(names))
    true = verified.label(labels).numpy()
    open_ = (verified.switch(labels).numpy() == 1) & (true < 0)
    if open_.any():
        raise DataError(
            f"{int(open_.sum())} labels are verified as contaminated without a true label, the "
            f"first in row {int(open_.argmax())}. from_pred_probs needs their true labels: give "
            "true_label= to Verified.of, or leave these rows unverified."
        )
    return true


def _same_index(*arguments: Any) -> pd.Index | None:
    indexed = [one.index for one in arguments if isinstance(one, pd.Series | pd.DataFrame)]
    if any(not indexed[0].equals(other) for other in indexed[1:]):
        raise DataError(
            "labels, pred_probs and verified have different indices, so their rows may not belong "
            "together. Align them, or pass arrays."
        )
    return indexed[0] if indexed else None


def _probabilities(pred_probs: Any, columns: Sequence[Any] | None) -> np.ndarray:
    values = np.atleast_1d(as_numbers(pred_probs, "pred_probs"))
    if not len(values):
        raise DataError("pred_probs has no rows. Pass at least one label and its probabilities.")
    if values.ndim != 2 or values.shape[1] < 2:
        raise DataError(
            f"pred_probs has shape {values.shape}; expected one row per label and one column per "
            "class, at least two."
        )
    check_numbers(values, "pred_probs", columns=columns)
    if (negative := values < 0).any():
        raise DataError(
            f"pred_probs has negative entries such as {values[negative][0]} in "
            f"{place_of(negative, columns)}. Pass probabilities. If these are logits, pass their "
            "softmax."
        )
    wrong = np.abs(values.sum(1, dtype=np.float64) - 1) > _ROUNDING
    if wrong.any():
        raise DataError(
            f"{int(wrong.sum())} rows of pred_probs do not sum to one, the first is row "
            f"{int(wrong.argmax())}. Pass probabilities. If these are logits, pass their softmax."
        )
    return values


def _codes(
    values: Any, names: pd.Index, n: int, *, name: str, unverified: Any = None
) -> np.ndarray:
    """Return the column index of each value, -1 where the value is missing, (N,)."""
    cells = as_cells(values)
    if cells.shape != (n,) or not isinstance(cells, pd.Index):
        raise DataError(
            f"{name} have shape {cells.shape}; expected ({n},), one for each row of pred_probs."
        )
    same_kind = is_numeric_dtype(cells.dtype) and is_numeric_dtype(names.dtype)
    try:
        codes = names.get_indexer(cells) if same_kind else names.astype(object).get_indexer(cells)
        unknown = (codes < 0) & ~np.asarray(cells.isna())
        if unverified is not None and unknown.any():
            unknown &= ~cells.isin([unverified])
    except TypeError as error:
        raise DataError(
            f"{name} hold lists or other values that cannot be compared; expected numbers or texts."
        ) from error
    if unknown.any():
        raise DataError(_no_class(cells, unknown, names, name))
    return codes.astype(np.int64)


def _no_class(cells: pd.Index, unknown: np.ndarray, names: pd.Index, name: str) -> str:
    row = int(unknown.argmax())
    one = cells[row]
    one = one.item() if isinstance(one, np.generic) else one
    found = f"{int(unknown.sum())} of {name} are not classes, such as {one!r} in row {row}"
    if not isinstance(one, str | Number):
        return (
            f"{found}, which is neither a number nor a text. Pass numbers or names of classes: "
            f"{shown(names)}."
        )
    numbered = names.equals(pd.RangeIndex(len(names)))
    numbers = [float(cell) for cell in cells if isinstance(cell, int | float | np.number)]
    if numbered and numbers and (min(numbers), max(numbers)) == (1, len(names)):
        mend = "If labels start at 1, subtract 1, or give classes=range(1, K + 1)."
    elif numbered and one == -1:
        mend = "If -1 means that there is no label, leave those rows out."
    else:
        mend = "Give the labels' names as classes, or rename the columns of pred_probs."
    return f"{found}; the classes are {shown(names)}. {mend}"
