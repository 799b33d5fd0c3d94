"""Encodings: which one a source gets, and damaged ones."""

import numpy as np
import pytest

from nbam_pyro.cli.files import (
    ArrayShape,
    Columns,
    ImageShape,
    Source,
    encoding_of,
)
from nbam_pyro.errors import FolderError
from tests.cli.files.helpers import (
    TABLE,
    X,
    image_file,
    read_encoding,
    refused,
)

ENCODINGS = [Columns.of(TABLE), ArrayShape((2,)), ImageShape(8, 8, 1)]
FEATURES = [TABLE, X, []]
KINDS = ["a table", "an array", "images"]


@pytest.mark.parametrize("trained", [0, 1, 2])
@pytest.mark.parametrize("scored", [0, 1, 2])
def test_data_of_another_kind_are_refused(trained, scored):
    if trained == scored:
        return
    for call in (ENCODINGS[trained].encode, ENCODINGS[trained].of):
        refused(KINDS[trained], KINDS[scored], call=lambda call=call: call(FEATURES[scored]))


def test_a_source_chooses_its_encoding(tmp_path):
    path = image_file(tmp_path / "a.png")
    rows = np.arange(3)
    assert isinstance(encoding_of(Source(x=TABLE, y=rows, rows=rows)), Columns)
    assert encoding_of(Source(x=X, y=rows, rows=rows)) == ArrayShape((2,))
    assert encoding_of(Source(x=[path], y=rows[:1], rows=rows[:1])) == ImageShape(8, 8, 1)


NUMBER = {"kind": "numbers", "name": "a", "median": 1}
TEXT = {"kind": "texts", "name": "a", "categories": ["x"], "most_frequent": "x"}


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        {},
        {"kind": 3},
        {"kind": "sound"},
        {"kind": "table", "left_out": []},
        {"kind": "table", "columns": [], "left_out": []},
        {"kind": "table", "columns": [NUMBER, NUMBER], "left_out": []},
        {"kind": "table", "columns": [NUMBER], "left_out": None},
        {"kind": "table", "columns": [NUMBER], "left_out": [], "more": 1},
        {"kind": "table", "columns": [NUMBER | {"more": 1}], "left_out": []},
        {"kind": "table", "columns": [TEXT | {"categories": ["x", "x"]}], "left_out": []},
        {"kind": "table", "columns": ["a"], "left_out": []},
        {"kind": "table", "columns": [{"kind": "dates"}], "left_out": []},
        {"kind": "table", "columns": [NUMBER | {"median": "1"}], "left_out": []},
        {"kind": "table", "columns": [NUMBER | {"median": float("nan")}], "left_out": []},
        {"kind": "table", "columns": [TEXT | {"categories": "x"}], "left_out": []},
        {"kind": "table", "columns": [TEXT | {"most_frequent": "y"}], "left_out": []},
        {"kind": "array"},
        {"kind": "array", "shape": [2.0]},
        {"kind": "array", "shape": [True]},
        {"kind": "array", "shape": [-2]},
        {"kind": "images", "height": 8, "width": 8},
        {"kind": "images", "height": 8, "width": 8, "channels": 2},
        {"kind": "images", "height": 0, "width": 8, "channels": 1},
    ],
)
def test_a_damaged_encoding_is_refused(data):
    with pytest.raises(FolderError, match="is damaged or was changed: encoding"):
        read_encoding(data)
