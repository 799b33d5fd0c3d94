"""The choice of the rows that are held out from training."""

from numbers import Real

import numpy as np

from nbam_pyro.errors import DataError
from nbam_pyro.training.folds import split
from nbam_pyro.training.rows import Rows

__all__ = ["held_out_rows"]


def held_out_rows(rows: Rows, held_out: float | np.ndarray | None, *, seed: int) -> np.ndarray:
    """Return a boolean array (N,) that is True for held-out rows, stratified by label if possible.

    Args:
        rows: Rows of the fit.
        held_out: Share of the rows, or a boolean array (N,); None for the default of `fit`.
        seed: Seed for the choice of rows.

    Raises:
        DataError: `held_out` is neither a share in [0, 1) nor a boolean array with a False value.
    """
    n = len(rows)
    if held_out is None:
        held_out = 1 / 6 if rows.held_out is None else rows.held_out
    if isinstance(held_out, np.ndarray):
        if held_out.shape != (n,) or held_out.dtype != bool or held_out.all():
            raise DataError(
                f"held_out has shape {held_out.shape} and type {held_out.dtype}. It must be a "
                f"boolean array of shape ({n},) that leaves some rows for training (False)."
            )
        return held_out
    if not isinstance(held_out, Real) or not 0 <= held_out < 1:
        raise DataError(
            f"held_out is {held_out!r}. Give the share of rows to hold out, a number in [0, 1), or "
            "a boolean array."
        )
    flags = np.zeros(n, dtype=bool)
    count = round(held_out * n)
    if count:
        labels = rows.y.numpy()
        classes, sizes = np.unique(labels, return_counts=True)
        if rows.groups is not None and len(np.unique(rows.groups)) > 1:
            parts = max(2, round(1 / held_out))
            chosen = next(iter(split(labels, parts, seed=seed, groups=rows.groups)))[1]
        else:
            enough = sizes.min() >= 2 and len(classes) <= min(count, n - count)
            enough = enough and labels.ndim == 1 and not rows.y.is_floating_point()
            from sklearn.model_selection import train_test_split

            chosen = train_test_split(
                np.arange(n),
                test_size=count,
                random_state=seed,
                stratify=labels if enough else None,
            )[1]
        flags[chosen] = True
    return flags
