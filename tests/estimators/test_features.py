"""Features in every container that people have, or a sentence that names the column."""

import datetime
import enum
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from scipy.sparse import csr_array

from nbam_pyro.errors import DataError
from nbam_pyro.estimators.features import as_features

DAY = datetime.date(2020, 1, 1)
TWO = {"age": [61, 47], "ill": [True, False]}
KIND = enum.Enum("Kind", ["ANT", "BEE"])


@pytest.mark.parametrize(
    "table",
    [
        pd.DataFrame(TWO),
        pd.DataFrame(TWO).astype(object),
        pd.DataFrame(TWO).astype("category"),
        pd.DataFrame(TWO).convert_dtypes(),
        pd.DataFrame(TWO).convert_dtypes(dtype_backend="pyarrow"),
        pd.DataFrame(TWO | {"age": [Decimal(61), Decimal(47)]}),
        pl.DataFrame(TWO),
        pl.LazyFrame(TWO),
        pl.DataFrame(TWO | {"age": [Decimal(61), Decimal(47)]}),
        pa.table(TWO),
    ],
)
def test_tables_keep_their_names_and_become_numbers(table):
    taken = as_features(table)
    assert list(taken.columns) == ["age", "ill"]
    assert (taken.dtypes == np.float64).all()
    assert taken.to_numpy().tolist() == [[61, 1], [47, 0]]


@pytest.mark.parametrize(
    "rows",
    [
        [[1, 2.5], [3, 4]],
        ((1, 2.5), (3, 4)),
        [[1, Decimal("2.5")], [np.float32(3), True + 3]],
        np.array([[1, 2.5], [3, 4]], dtype=object),
        torch.tensor([[1, 2.5], [3, 4]], requires_grad=True),
        torch.tensor([[1, 2.5], [3, 4]], dtype=torch.bfloat16),
        np.ma.array([[1, 2.5], [3, 4]], mask=False),
    ],
)
def test_arrays_and_lists_become_numbers(rows):
    taken = as_features(rows)
    assert taken.dtype.kind == "f"
    assert taken.tolist() == [[1, 2.5], [3, 4]]


def test_what_is_an_array_of_numbers_stays_as_it_is():
    for dtype in (np.float32, np.float64, np.int64, np.uint8, bool):
        for shape in ((3, 2), (2, 1, 8, 8), (0, 3)):
            x = np.ones(shape, dtype)
            assert as_features(x) is x


def test_digits_beyond_single_precision_are_kept():
    time = 1_700_000_000_123
    assert as_features(pl.DataFrame({"t": [time, 0]}))["t"][0] == time
    assert as_features(np.array([[time], [0]], dtype=object))[0, 0] == time


@pytest.mark.parametrize(
    ("X", "says"),
    [
        (pd.DataFrame({"x": [1, 2], "when": pd.to_datetime(["2020", "2021"])}), "'when'.*dates"),
        (pd.DataFrame({"when": pd.to_datetime(["2020", "2021"], utc=True)}), "'when'.*dates"),
        (pd.DataFrame({"long": pd.to_timedelta([1, 2], unit="s")}), "'long'.*times"),
        (pd.DataFrame({"month": pd.period_range("2020", periods=2, freq="M")}), "'month'.*dates"),
        (pd.DataFrame({"when": [DAY, DAY]}), "'when'.*'2020-01-01'"),
        (pd.DataFrame({"when": pd.array([DAY] * 2, dtype="date32[pyarrow]")}), "'when'.*dates"),
        (pl.DataFrame({"x": [1, 2], "when": [DAY, None]}), "'when'.*dates"),
        (pl.LazyFrame({"long": [datetime.timedelta(1)]}), "'long'.*times"),
        (pa.table({"at": [datetime.time(1)]}), "'at'.*times"),
        ([[1, DAY], [2, DAY]], "Column 1 .*dates"),
        (np.array([["2020-01-01"]], dtype="M8[s]"), "Column 0 .*dates"),
        (np.array([[1]], dtype="m8[s]"), "Column 0 .*times"),
        (pd.DataFrame({"colour": ["red", "blue"]}), "'colour'.*'red'.*OneHotEncoder"),
        (pd.DataFrame({"colour": pd.Categorical(["red", "blue"])}), "'colour'.*'red'"),
        (pl.DataFrame({"colour": ["red", "blue"]}), "'colour'.*'red'"),
        (pd.DataFrame({"size": ["1", "2"]}), "'size'.*to_numeric"),
        ([[1, "red"], [2, "blue"]], "Column 1 .*'red'"),
        (np.array([["1"], ["2"]]), "Column 0 .*'1'"),
        (np.array([["1", 2.0]], dtype=object), "Column 0 .*'1'"),
        (pd.DataFrame({"z": [1j, 2]}), "'z'.*complex"),
        (pd.DataFrame({"kind": [KIND.ANT, KIND.BEE]}), "'kind'.*Kind"),
        (pl.DataFrame({"pair": [[1, 2]]}), "'pair'.*not numbers"),
        (pd.DataFrame({"x": [1, 2], "age": [1.0, np.nan]}), "missing.*row 1, column 'age'"),
        (pd.DataFrame({"age": pd.array([1, None], dtype="Int64")}), "missing.*row 1, column 'age'"),
        (pl.DataFrame({"age": [None, 1]}), "missing.*row 0, column 'age'"),
        (pl.DataFrame({"ill": [True, None]}), "missing.*row 1, column 'ill'"),
        ([[1, 2], [3, None]], "missing.*row 1, column 1"),
        (np.ma.array([[1, 2], [3, 4]], mask=[[0, 0], [1, 0]]), "missing.*row 1, column 0"),
        (np.array([[1, 2], [3, -np.inf]]), "infinite.*row 1, column 1"),
        (np.full((2, 1, 8, 8), np.nan), "X has 128 .*missing.*row 0"),
        ([[1, 2], [3]], "row 0 has 2 values and row 1 has 1"),
        (csr_array(np.eye(2)), "sparse"),
    ],
)
def test_what_is_no_number_is_refused_by_column(X, says):
    with pytest.raises(DataError, match=says) as caught:
        as_features(X)
    assert "\n" not in str(caught.value)
