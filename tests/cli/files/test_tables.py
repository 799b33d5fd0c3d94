"""CSV and Parquet files: what is read, and how mistakes are named."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nbam_pyro.cli.files import (
    encoding_of,
    read,
)
from tests.cli.files.helpers import (
    TABLE,
    csv_file,
    parquet_file,
    png,
    refused,
)


def test_a_table_is_read_alike_from_csv_and_parquet(tmp_path):
    TABLE.to_csv(tmp_path / "a.CSV", index=False)
    TABLE.to_parquet(tmp_path / "a.parquet")
    TABLE.set_index(pd.Index([7, 8, 9])).to_parquet(tmp_path / "a.PQ")
    for name in ("a.CSV", "a.parquet", "a.PQ"):
        source = read(tmp_path / name, label="kind")
        assert list(source.x) == ["size", "colour"]
        assert source.y.dtype == object
        assert source.y.tolist() == ["a", None, "b"]
        assert source.rows.tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("cells", "dtype", "expected"),
    [
        ("1 2 3", "int64", [1, 2, 3]),
        ("007 008 009", "object", ["007", "008", "009"]),
        ("001 01 1", "object", ["001", "01", "1"]),
        ("-01 2 3", "object", ["-01", "2", "3"]),
        ("01.5 2 3", "object", ["01.5", "2", "3"]),
        ("1_0 2 3", "object", ["1_0", "2", "3"]),
        ("-1 +1 0", "int64", [-1, 1, 0]),
        ("1.0 NA 2.0", "float64", [1, np.nan, 2]),
        ("1e-05 .5 inf", "float64", [1e-5, 0.5, np.inf]),
        ("9007199254740993 9007199254740992 NA", "object", [2**53 + 1, 2**53, None]),
        ("18446744073709551615 0 1", "uint64", [2**64 - 1, 0, 1]),
        ("18446744073709551615 0 NA", "object", ["18446744073709551615", "0", None]),
        ("18446744073709551616 0 1", "object", ["18446744073709551616", "0", "1"]),
        ("18446744073709551615 -1 1", "object", ["18446744073709551615", "-1", "1"]),
        ("0.5 1 2", "float64", [0.5, 1, 2]),
        ("1 NA 2", "float64", [1, np.nan, 2]),
        ("True False True", "bool", [True, False, True]),
        ("True None False", "object", [True, None, False]),
        ("007 x nan", "object", ["007", "x", None]),
        ("NA NA NA", "float64", [np.nan] * 3),
    ],
)
def test_labels_of_a_csv_file_keep_their_type(tmp_path, cells, dtype, expected):
    rows = "".join(f"{row},{cell}\n" for row, cell in enumerate(cells.split()))
    y = read(csv_file(tmp_path, "x,y\n" + rows), label="y").y
    assert y.dtype == dtype
    np.testing.assert_array_equal(y, np.array(expected, dtype=dtype))


@pytest.mark.parametrize(
    ("labels", "dtype", "expected"),
    [
        (pd.Series(["b", None], dtype="category"), "object", ["b", None]),
        (pd.Series(["b", None], dtype="string"), "object", ["b", None]),
        (pd.Series([1, None], dtype="Int64"), "float64", [1, np.nan]),
        (pd.Series([2**53 + 1, None], dtype="Int64"), "object", [2**53 + 1, None]),
        (pd.Series([2**64 - 1, 1], dtype="UInt64"), "uint64", [2**64 - 1, 1]),
        (pd.Series([1, 2], dtype="Int64"), "int64", [1, 2]),
        (pd.Series([True, None], dtype="boolean"), "object", [True, None]),
        (pd.Series([True, False], dtype="boolean"), "bool", [True, False]),
        (pd.Series([None, None], dtype="object"), "object", [None, None]),
        (pd.Series([2, 1], dtype="uint8"), "uint8", [2, 1]),
    ],
)
def test_labels_of_a_parquet_file_keep_their_type(tmp_path, labels, dtype, expected):
    pd.DataFrame({"x": [1, 2], "y": labels}).to_parquet(tmp_path / "a.pq")
    y = read(tmp_path / "a.pq", label="y").y
    assert y.dtype == dtype
    np.testing.assert_array_equal(y, np.array(expected, dtype=dtype))


def test_blank_lines_and_a_byte_order_mark_do_not_matter(tmp_path):
    source = read(csv_file(tmp_path, b"\xef\xbb\xbf\ny,x\n1,2\n\n  \n3,4\n"), label="y")
    assert source.y.tolist() == [1, 3]
    assert source.x["x"].tolist() == [2, 4]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["is empty"]),
        ("\n \n", ["is empty"]),
        ("x,y\n", ["no rows"]),
        (png(), ["not a CSV file"]),
        ("x,y\n1,gr\xfcn\n".encode("latin-1"), ["not UTF-8"]),
        ("x,y\n1,2\n".encode("utf-16"), ["UTF-16"]),
        ("x,y\n1,2\n1,2,3\n", ["ragged", "line 3", "3 cells"]),
        ("x,y\n1,2,3\n1,2,3\n", ["ragged", "line 2"]),
        ("x,y\n1,2\n1\n", ["ragged", "line 3", "1 cell "]),
        ('x,y\n1,"2\n3,4\n', ["cannot be parsed", "quotes"]),
        (f'x,y\n1,"{"2" * 200_000}', ["quotes"]),
        ("x,z\n1,2\n", ["no column 'y'", "'x', 'z'"]),
        ("x;y\n1;2\n", ["no column 'y'", "Separate the cells by commas"]),
        (",".join(f"c{n}" for n in range(12)) + "\n" + "0," * 11 + "0\n", ["'c9' and 2 more"]),
        ("x,y,y\n1,2,3\n", ["more than one column 'y'"]),
        ("x,y,x\n1,2,3\n", ["two columns", "'x'"]),
        ("x,y,\n1,2,3\n", ["without a name"]),
        (",y, \n1,2,3\n", ["without a name"]),
        ("y\n1\n", ["no feature column"]),
        ('"a\nb",x\n1,2\n', ["a\\nb"]),
    ],
)
def test_mistakes_in_a_csv_file(tmp_path, text, words):
    path = csv_file(tmp_path, text)
    refused(*words, call=lambda: read(path, label="y"))


@pytest.mark.parametrize(
    ("name", "label", "words"),
    [
        ("none.csv", "y", ["does not exist"]),
        ("data.xlsx", "y", ["'.xlsx'", "not known", ".parquet"]),
        ("data", "y", ["''", "not known"]),
        ("data.csv", None, ["needs a label"]),
        ("data.parquet", "y", ["not a Parquet file"]),
        ("data.npz", "y", ["not an NPZ archive"]),
    ],
)
def test_a_path_that_is_not_what_it_says(tmp_path, name, label, words):
    for ending in ("", ".csv", ".xlsx", ".parquet", ".npz"):
        csv_file(tmp_path, "x,y\n1,2\n", name=f"data{ending}")
    refused(*words, call=lambda: read(tmp_path / name, label=label))


def test_names_with_line_ends_stay_on_one_line(tmp_path):
    refused("does not exist", call=lambda: read(tmp_path / "a\nb.csv", label="y"))


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"x": [1]}, ["no column 'y'"]),
        ({"y": [1]}, ["no feature column"]),
        ({"x": pa.array([], pa.int64()), "y": pa.array([], pa.int64())}, ["no rows"]),
        ({"x": [1], "y": pa.array([0], pa.timestamp("ns"))}, ["'y'", "dates"]),
        ({"x": [1], "y": [[1, 2]]}, ["'y'", "neither numbers nor texts"]),
    ],
)
def test_mistakes_in_a_parquet_file(tmp_path, columns, words):
    path = parquet_file(tmp_path, **columns)
    refused(*words, call=lambda: read(path, label="y"))


def test_a_parquet_file_with_repeated_columns(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table([[1], [2], [3]], names=["x", "x", "y"]), path)
    refused("two columns", "'x'", call=lambda: read(path, label="y"))


@pytest.mark.parametrize("damage", [lambda b: b[:-20], lambda b: b[:4] + b"\0" * 90 + b[-8:]])
def test_a_damaged_parquet_file(tmp_path, damage):
    path = parquet_file(tmp_path, x=[1, 2], y=[1, 2])
    path.write_bytes(damage(path.read_bytes()))
    refused("rite it again", call=lambda: read(path, label="y"))


def test_a_parquet_file_with_damaged_metadata(tmp_path):
    path = tmp_path / "a.parquet"
    TABLE.to_parquet(path)
    before = read(path, label="kind")
    path.write_bytes(path.read_bytes().replace(b'"index_columns"', b'"index_colons "'))
    # Arrow keeps a second copy of the metadata, which is used.
    assert read(path, label="kind").x.equals(before.x)


def test_parquet_names_and_decimals_become_text_and_numbers(tmp_path):
    path = tmp_path / "a.parquet"
    pd.DataFrame({0: [1, 2], 1: [3, 4]}).to_parquet(path)
    assert list(read(path, label="1").x) == ["0"]
    decimals = pa.array([1, 2], pa.decimal128(9, 2))
    source = read(parquet_file(tmp_path, x=decimals, y=decimals), label="y")
    assert source.y.tolist() == [1, 2]
    assert encoding_of(source).encode(source.x).x.tolist() == [[1], [2]]
