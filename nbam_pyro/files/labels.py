"""The label column of a table as an array."""

import numpy as np
import pandas as pd

from nbam_pyro.files.cells import cell_kind, numbers, texts

__all__ = ["raw_labels"]


def raw_labels(column: pd.Series, *, name: str) -> np.ndarray:
    """The labels as an array, (N,), without making classes of them.

    Args:
        column: the cells.
        name: of the column, for the error.

    Returns:
        Numbers and booleans in their own type, floats with NaN if some are missing; texts and
        categories, and booleans of which some are missing, as objects with None.

    Raises:
        DataError: the labels are dates or another thing that is neither number nor text.

    Example:
        >>> raw_labels(pd.Series(["cat", None]), name="animal")
        array(['cat', None], dtype=object)
    """
    kind = cell_kind(column, name=name)
    if isinstance(column.dtype, np.dtype) and column.dtype.kind in "biuf":
        return column.to_numpy(copy=True)
    if kind != "numbers":
        return texts(column)
    missing = column.isna().to_numpy()
    inferred = pd.api.types.infer_dtype(column, skipna=True)
    if inferred == "boolean":
        flags = column.to_numpy(dtype=object, copy=True)
        flags[missing] = None
        return flags if missing.any() else flags.astype(np.bool_)
    values = numbers(column)
    # Beyond 2**53 a float is no longer the integer it came from.
    exact = inferred == "integer" and not missing.any() and bool((abs(values) < 2**53).all())
    return values.astype(np.int64) if exact else values
