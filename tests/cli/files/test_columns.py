"""The encoding of tables."""

import numpy as np
import pandas as pd
import pytest

from nbam_pyro.cli.files import (
    Columns,
)
from tests.cli.files.helpers import (
    again,
    refused,
)


def test_columns_encode_a_table_and_survive_json():
    frame = pd.DataFrame(
        {
            "age": [40, None, 43, 41],
            "colour": ["red", "blue", None, "red"],
            "grade": pd.Series([2, 1, 2, 1], dtype="category"),
            "old": [True, None, False, True],
            "id": ["a", "b", "c", "d"],
        }
    )
    frame = pd.concat([frame] * 20, ignore_index=True)
    frame["id"] = [f"n{row}" for row in frame.index]
    columns = Columns.of(frame)
    assert again(columns) == columns
    assert columns.left_out == ("id",)
    assert columns.feature_names == [
        *["age", "colour=blue", "colour=red", "grade=1", "grade=2", "old"]
    ]
    encoded = again(columns).encode(frame)
    assert encoded.x.dtype == np.float64
    assert encoded.x[:4].tolist() == [
        [40, 0, 1, 0, 1, 1],
        [41, 1, 0, 1, 0, 1],
        [43, 0, 1, 0, 1, 0],
        [41, 0, 1, 1, 0, 1],
    ]
    assert encoded.notes == [
        "column 'id' was left out: it holds too many different texts",
        "column 'age': 20 missing cells were filled with the median 41",
        "column 'colour': 20 missing cells were filled with the most frequent text 'red'",
        "column 'old': 20 missing cells were filled with the median 1",
    ]


def test_columns_score_another_table():
    columns = Columns.of(
        pd.DataFrame({"size": [1.0, 2.0, 3.0], "code": ["x", "7", "7"], 3: [1, 2, 3]})
    )
    assert columns.feature_names == ["size", "code=7", "code=x", "3"]
    encoded = columns.encode(
        pd.DataFrame({"3": [1, 1], "code": ["new", None], "size": [None, None]}, index=[5, 5])
    )
    assert encoded.x.tolist() == [[2, 0, 0, 1], [2, 1, 0, 1]]
    assert encoded.notes == [
        "column 'size': 2 missing cells were filled with the median 2",
        "column 'code': 1 missing cell was filled with the most frequent text '7'",
        "column 'code': 1 cell holds a text that was not seen in training ('new')",
    ]
    numbers = pd.DataFrame({"3": [1, 1], "code": [7, None], "size": [0, 0]})
    assert columns.encode(numbers).x[:, 1].tolist() == [1, 1]


def test_a_left_out_column_may_come_or_not():
    frame = pd.DataFrame({"size": range(60), "id": [f"n{row}" for row in range(60)]})
    columns = again(Columns.of(frame))
    assert len(columns.encode(frame).notes) == 1
    assert columns.encode(frame[["size"]]).notes == []
    only = frame[["id"]]
    refused("'id'", "different text", call=lambda: Columns.of(only))


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        ([1.0, -np.inf, np.inf], ["'a'", "2 rows", "row 1"]),
        ([None, None], ["'a'", "no cell with a value"]),
        (pd.to_datetime(["2024-01-01"]), ["'a'", "dates", "numbers"]),
        (pd.to_timedelta([1]), ["'a'", "dates", "numbers"]),
        ([pd.Timestamp("2024-01-01").date()], ["'a'", "dates", "numbers"]),
        ([[1, 2]], ["'a'", "neither numbers nor texts"]),
        ([b"x"], ["'a'", "bytes"]),
        ([1j], ["'a'", "complex"]),
        ([], ["no rows"]),
    ],
)
def test_columns_that_cannot_be_encoded(cells, words):
    frame = pd.DataFrame({"a": cells})
    refused(*words, call=lambda: Columns.of(frame))


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        ({"a": [1], "c": [1]}, ["'b' missing", "'c' unknown"]),
        ({"a": [1]}, ["'b' missing. Give"]),
        ({"a": ["x"], "b": ["x"]}, ["'a'", "numbers in training", "'x'"]),
        ({"a": [np.inf], "b": ["x"]}, ["'a'", "row 0"]),
        ({"a": [1], "b": pd.to_datetime(["2024-01-01"])}, ["'b'", "dates"]),
    ],
)
def test_tables_that_are_not_like_the_training_table(frame, words):
    columns = Columns.of(pd.DataFrame({"a": [1, 2], "b": ["x", "y"]}))
    refused(*words, call=lambda: columns.encode(pd.DataFrame(frame)))


def test_numbers_with_a_spoilt_cell_are_named():
    cells = [str(number / 7) for number in range(200)]
    cells[2] = "oops"
    refused("'height'", "'oops' in row 2", call=lambda: Columns.of(pd.DataFrame({"height": cells})))


def test_tables_without_columns_or_with_repeated_ones():
    refused("no feature column", call=lambda: Columns.of(pd.DataFrame(index=[0])))
    twice = pd.DataFrame([[1, 2]], columns=["a", "a"])
    refused("two columns", "'a'", call=lambda: Columns.of(twice))
