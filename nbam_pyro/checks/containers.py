"""Data in the containers that people use, as pandas and NumPy have them."""

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from torch import Tensor

__all__ = ["unwrapped"]


def unwrapped(values: Any) -> Any:
    """Data from polars, Arrow, PyTorch or a masked array, as pandas or NumPy would hold them.

    Args:
        values: Any table, column or array. A polars LazyFrame is collected. Whole numbers with
            gaps become objects, so that they keep all their digits.

    Returns:
        A DataFrame for a table, a Series for a column, an array for a tensor; masked cells become
        None. Everything else is returned as it is.

    Example:
        >>> unwrapped(pa.array([1, None])).tolist()
        [1, None]
    """
    if isinstance(values, pd.DataFrame | pd.Series | pd.Index):
        return values
    if hasattr(values, "collect") and hasattr(values, "collect_schema"):  # polars' LazyFrame
        values = values.collect()
    if isinstance(values, Tensor):
        plain = values.detach().cpu().resolve_conj().resolve_neg()
        # NumPy has no bfloat16; float32 holds every value of it.
        return (
            plain.float() if plain.is_floating_point() and plain.itemsize < 4 else plain
        ).numpy()
    if isinstance(values, np.ma.MaskedArray):
        if not np.ma.is_masked(values):
            return values.data
        cells = values.data.astype(object)
        cells[values.mask] = None
        return cells
    table = _arrow(values)
    return values if table is None else table.to_pandas(integer_object_nulls=True)


def _arrow(values: Any) -> Any:
    """The Arrow table or column that an object says it can be, if it says so."""
    if isinstance(values, pa.Table | pa.RecordBatch | pa.Array | pa.ChunkedArray):
        return values
    if hasattr(values, "columns") and hasattr(values, "__arrow_c_stream__"):
        return pa.table(values)
    if hasattr(values, "__arrow_c_stream__"):
        return pa.chunked_array(values)
    return pa.array(values) if hasattr(values, "__arrow_c_array__") else None
