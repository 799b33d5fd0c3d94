"""Numbers from containers of any kind."""

import numpy as np
import pandas as pd
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from nbam_pyro.checks.arguments import as_numbers


@given(st.lists(st.none() | st.floats(width=32) | st.integers(-9, 9), min_size=1))
def test_numbers_of_any_kind_are_read_alike(values):
    expected = np.array([np.nan if value is None else value for value in values], dtype=float)
    for kind in (list, pd.Series, lambda v: pd.Series(v, dtype="Float64"), pl.Series):
        if kind is pl.Series:
            values = [None if value is None else float(value) for value in values]
        assert np.array_equal(as_numbers(kind(values), "x"), expected, equal_nan=True)
