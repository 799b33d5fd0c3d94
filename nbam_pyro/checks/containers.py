"""Conversion of tables, columns and arrays of other libraries to pandas and NumPy."""

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from torch import Tensor

__all__ = ["unwrapped"]


def unwrapped(values: Any) -> Any:
    """Return data of polars, Arrow, PyTorch or a masked array as pandas or NumPy objects.

    Args:
        values: Any table, column or array. A LazyFrame of polars is collected. Whole numbers become
            objects if some are missing, so that they keep all their digits.

    Returns:
        A DataFrame for a table, a Series for a column, an array for a tensor. Masked cells become
        None. Any other value is returned unchanged.

    Example:
        >>> unwrapped(pa.array([1, None])).tolist()
        [1, None]
    """
    if isinstance(values, pd.DataFrame | pd.Series | pd.Index):
        return values
    if hasattr(values, "collect") and hasattr(values, "collect_schema"):  # A LazyFrame of polars.
        values = values.collect()
    if isinstance(values, Tensor):
        plain = values.detach().cpu().resolve_conj().resolve_neg()
        # NumPy has no bfloat16; float32 represents all its values.
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
    """Return the Arrow table or column of an object that can export one, otherwise None."""
    if isinstance(values, pa.Table | pa.RecordBatch | pa.Array | pa.ChunkedArray):
        return values
    if hasattr(values, "columns") and hasattr(values, "__arrow_c_stream__"):
        return pa.table(values)
    if hasattr(values, "__arrow_c_stream__"):
        return pa.chunked_array(values)
    return pa.array(values) if hasattr(values, "__arrow_c_array__") else None
