"""Data files: every mistake is named in one line, and encodings survive their JSON."""

import dataclasses
import io
import json
import os
import zipfile

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from nbam_pyro.cli.files import (
    ArrayShape,
    Columns,
    Encoding,
    ImageShape,
    Source,
    encoding_of,
    read,
)
from nbam_pyro.errors import DataError, FolderError
from nbam_pyro.folders import Saved, validated

TABLE = pd.DataFrame(
    {"size": [1.5, None, 3.0], "colour": ["red", "blue", "red"], "kind": ["a", None, "b"]}
)


def refused(*words, call):
    with pytest.raises(DataError) as caught:
        call()
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    for word in words:
        assert word in message
    return message


def csv_file(folder, text, name="data.csv"):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def npz_file(folder, **arrays):
    path = folder / "data.npz"
    np.savez(path, **arrays)
    return path


def parquet_file(folder, **columns):
    path = folder / "data.parquet"
    pq.write_table(pa.table(columns), path)
    return path


def image_file(path, mode="L", size=(8, 8), colour=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, colour).save(path)
    return path


def png():
    buffer = io.BytesIO()
    Image.new("L", (20, 20)).save(buffer, format="png")
    return buffer.getvalue()


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
        ("x;y\n1;2\n", ["no column 'y'", "Separate its cells by commas"]),
        (",".join(f"c{n}" for n in range(12)) + "\n" + "0," * 11 + "0\n", ["'c9' and 2 more"]),
        ("x,y,y\n1,2,3\n", ["more than one column 'y'"]),
        ("x,y,x\n1,2,3\n", ["repeats columns", "'x'"]),
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
    refused("repeats columns", "'x'", call=lambda: read(path, label="y"))


@pytest.mark.parametrize("damage", [lambda b: b[:-20], lambda b: b[:4] + b"\0" * 90 + b[-8:]])
def test_a_damaged_parquet_file(tmp_path, damage):
    path = parquet_file(tmp_path, x=[1, 2], y=[1, 2])
    path.write_bytes(damage(path.read_bytes()))
    refused("write it again", call=lambda: read(path, label="y"))


def test_a_parquet_file_with_damaged_metadata(tmp_path):
    path = tmp_path / "a.parquet"
    TABLE.to_parquet(path)
    path.write_bytes(path.read_bytes().replace(b'"index_columns"', b'"index_colons "'))
    refused("write it again", call=lambda: read(path, label="kind"))


def test_parquet_names_and_decimals_become_text_and_numbers(tmp_path):
    path = tmp_path / "a.parquet"
    pd.DataFrame({0: [1, 2], 1: [3, 4]}).to_parquet(path)
    assert list(read(path, label="1").x) == ["0"]
    decimals = pa.array([1, 2], pa.decimal128(9, 2))
    source = read(parquet_file(tmp_path, x=decimals, y=decimals), label="y")
    assert source.y.tolist() == [1, 2]
    assert encoding_of(source).encode(source.x).x.tolist() == [[1], [2]]


def test_an_archive_is_read(tmp_path):
    path = npz_file(tmp_path, X=np.ones((3, 2)), y=np.array(["a", "", "b"]), n=np.arange(3))
    source = read(path, label="y")
    assert source.x.shape == (3, 2)
    assert source.y.tolist() == ["a", None, "b"]
    assert source.rows.tolist() == [0, 1, 2]
    assert read(path, label="n").y.dtype == np.int64


X = np.zeros((3, 2))


@pytest.mark.parametrize(
    ("arrays", "label", "words"),
    [
        ({"x": X, "y": X}, "y", ["no array 'X'", "'x', 'y'"]),
        ({}, "y", ["no array 'X'", "none"]),
        ({"X": X, "z": X}, "y", ["no array 'y'", "'X', 'z'"]),
        ({"X": X}, "X", ["array of features"]),
        ({"X": X, "y": np.zeros(2)}, "y", ["3 rows", "2 labels"]),
        ({"X": X, "y": np.zeros((3, 1))}, "y", ["(3, 1)", "ravel"]),
        ({"X": X, "y": np.array(["a", None, 1], object)}, "y", ["'y'", "Python objects"]),
        ({"X": X.astype(object), "y": np.zeros(3)}, "y", ["'X'", "Python objects"]),
        ({"X": np.zeros(3), "y": np.zeros(3)}, "y", ["(3,)", "reshape(-1, 1)"]),
        ({"X": np.zeros((0, 2)), "y": np.zeros(0)}, "y", ["no rows"]),
        ({"X": X, "y": np.zeros(3, "M8[D]")}, "y", ["datetime64"]),
        ({"X": X, "y": np.zeros(3, "S1")}, "y", ["|S1"]),
    ],
)
def test_mistakes_in_an_archive(tmp_path, arrays, label, words):
    path = npz_file(tmp_path, **arrays)
    refused(*words, call=lambda: read(path, label=label))


@pytest.mark.parametrize("keep", [4, 100, 300, -30])
def test_a_truncated_archive(tmp_path, keep):
    path = npz_file(tmp_path, X=X, y=np.zeros(3))
    path.write_bytes(path.read_bytes()[:keep])
    refused("truncated or damaged", call=lambda: read(path, label="y"))


def test_archives_with_other_contents(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("X", "text")
        archive.writestr("y.npy", b"\x93NUMPY\x01\x00")
    refused("'X'", "not an array", call=lambda: read(tmp_path / "a.npz", label="y"))
    with zipfile.ZipFile(tmp_path / "b.npz", "w") as archive:
        archive.writestr("X.npy", b"\x93NUMPY\x01\x00")
    refused("'X'", "cannot be read", call=lambda: read(tmp_path / "b.npz", label="y"))


def test_an_image_folder_is_read(tmp_path):
    image_file(tmp_path / "dog" / "b.png")
    image_file(tmp_path / "cat" / "deep" / "a.JPG")
    image_file(tmp_path / "cat" / ".hidden.png")
    image_file(tmp_path / ".cache" / "a.png")
    (tmp_path / "empty").mkdir()
    (tmp_path / "cat" / "notes.txt").write_text("text")
    source = read(tmp_path, label=None)
    assert source.rows.tolist() == ["cat/deep/a.JPG", "dog/b.png"]
    assert source.y.tolist() == ["cat", "dog"]
    assert source.x == [tmp_path / row for row in source.rows]


def test_links_out_of_an_image_folder_and_loops_are_not_followed(tmp_path):
    folder, outside = tmp_path / "pictures", tmp_path / "outside"
    for name in ("cat/a.png", "dog/b.png"):
        image_file(folder / name)
    image_file(outside / "c.png")
    (folder / "cat" / "loop").symlink_to("..")
    (folder / "cat" / "self").symlink_to(".")
    (folder / "cat" / "out").symlink_to(outside)
    (folder / "cat" / "out.png").symlink_to(outside / "c.png")
    (folder / "cat" / "round.png").symlink_to("round.png")
    (folder / "cat" / "lost.png").symlink_to("nowhere.png")
    (folder / "kitten").symlink_to("cat")
    (folder / "cow").symlink_to(outside)
    (folder / "dog" / "same.png").symlink_to("b.png")
    os.mkfifo(folder / "dog" / "pipe.png")
    source = read(folder, label=None)
    assert source.rows.tolist() == ["cat/a.png", "dog/b.png", "dog/same.png"]
    assert source.y.tolist() == ["cat", "dog", "dog"]
    (note,) = source.notes
    assert note.startswith("8 links were not followed ('cat/loop', ")
    refused(
        "1 link was not followed ('cat/x.png')",
        call=lambda: read(only_linked(tmp_path), label=None),
    )


def only_linked(tmp_path):
    (tmp_path / "links" / "cat").mkdir(parents=True)
    (tmp_path / "links" / "cat" / "x.png").symlink_to(tmp_path / "outside" / "c.png")
    return tmp_path / "links"


def test_an_image_folder_may_be_reached_by_a_link(tmp_path):
    image_file(tmp_path / "pictures" / "cat" / "a.png")
    (tmp_path / "link").symlink_to("pictures")
    assert read(tmp_path / "link", label=None).rows.tolist() == ["cat/a.png"]


def test_mistakes_in_an_image_folder(tmp_path):
    refused("no images", ".png", call=lambda: read(tmp_path, label=None))
    (tmp_path / "cat").mkdir()
    refused("no images", call=lambda: read(tmp_path, label=None))
    image_file(tmp_path / "a.png")
    refused("no class folders", call=lambda: read(tmp_path, label=None))
    refused("leave out the label 'y'", call=lambda: read(tmp_path, label="y"))


class Held(Saved):
    """A file that holds an encoding."""

    encoding: Encoding


def read_encoding(data):
    return validated(json.dumps({"encoding": data}).encode(), Held, what="run.json").encoding


def again(encoding):
    return read_encoding(dataclasses.asdict(encoding))


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
        "column 'code': 1 cell holds a text unseen in training ('new') and no category",
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
        ({"a": [1], "c": [1]}, ["missing are 'b'", "surplus are 'c'"]),
        ({"a": [1]}, ["missing are 'b'; give"]),
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
    refused("repeats", "'a'", call=lambda: Columns.of(twice))


@pytest.mark.parametrize(("shape", "dtype"), [((4, 3), np.float64), ((4, 1, 8, 9), np.float32)])
def test_arrays_are_encoded_and_survive_json(shape, dtype):
    x = np.arange(np.prod(shape)).reshape(shape)
    encoding = ArrayShape.of(x)
    assert again(encoding) == encoding
    encoded = again(encoding).encode(x)
    assert encoded.x.dtype == dtype
    assert encoded.notes == []
    np.testing.assert_array_equal(encoded.x, x)


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (np.zeros((3, 4)), ["(4,)", "(2,)"]),
        (np.array([[0, 1], [np.nan, 0], [np.inf, 0]]), ["2 rows", "row 1"]),
        (np.array([["a", "b"]]), ["<U1", "numbers"]),
    ],
)
def test_arrays_that_are_not_like_the_training_array(x, words):
    refused(*words, call=lambda: ArrayShape((2,)).encode(x))


@pytest.mark.parametrize("shape", [(3,), (3, 4, 5), (3, 0), (3, 1, 2, 3, 4)])
def test_arrays_of_another_number_of_axes(shape):
    refused(str(shape[1:]), "channels", call=lambda: ArrayShape.of(np.zeros(shape)))


def test_values_beyond_float32_are_refused():
    x = np.full((1, 1, 2, 2), 1e300)
    refused("row 0", call=lambda: ArrayShape.of(x).encode(x))


@pytest.mark.parametrize(
    ("images", "shape"),
    [
        ([("L", (10, 12)), ("1", (10, 12)), ("LA", (10, 12))], (12, 10, 1)),
        ([("L", (10, 12)), ("RGB", (10, 12))], (12, 10, 3)),
        ([("RGBA", (64, 64)), ("P", (64, 64))], (64, 64, 3)),
        ([("L", (65, 12))], (32, 32, 1)),
        ([("L", (12, 12)), ("L", (12, 13))], (32, 32, 1)),
        ([("L", (5, 20))], (20, 8, 1)),
    ],
)
def test_images_are_encoded_and_survive_json(tmp_path, images, shape):
    paths = [
        image_file(tmp_path / f"{number}.png", mode, size)
        for number, (mode, size) in enumerate(images)
    ]
    encoding = ImageShape.of(paths)
    assert encoding == ImageShape(*shape)
    assert again(encoding) == encoding
    encoded = again(encoding).encode(paths)
    assert encoded.x.shape == (len(paths), shape[2], *shape[:2])
    assert encoded.x.dtype == np.float32
    scaled = any(size != (shape[1], shape[0]) for _, size in images)
    assert len(encoded.notes) == scaled


def test_pixels_lie_between_0_and_1(tmp_path):
    paths = [
        image_file(tmp_path / "white.png", "L", colour=255),
        image_file(tmp_path / "deep.png", "I;16", colour=65535),
        image_file(tmp_path / "half.png", "I;16", colour=32896),
        image_file(tmp_path / "colour.png", "RGB", colour=(255, 0, 0)),
    ]
    encoded = ImageShape(8, 8, 3).encode(paths)
    np.testing.assert_allclose(
        encoded.x[:, :, 0, 0], [[1] * 3, [1] * 3, [128 / 255] * 3, [1, 0, 0]]
    )
    encoded = ImageShape(8, 16, 1).encode(paths)
    assert encoded.notes == [
        "4 images were scaled to 8 x 16 pixels",
        "1 image was turned from colour to grey, as all were in training",
    ]


def test_transparent_palettes_are_read_without_a_warning(tmp_path):
    palette = Image.new("P", (8, 8))
    palette.putpalette([255, 0, 0, 0, 255, 0])
    palette.save(tmp_path / "a.png", transparency=b"\x80\x00")
    assert ImageShape.of([tmp_path / "a.png"]).encode([tmp_path / "a.png"]).x[0, 0, 0, 0] == 1


@pytest.mark.parametrize(
    "content", [b"", b"text", png()[:10], png()[:50], b"\x89PNG\r\n\x1a\n" + b"\0" * 50, None]
)
def test_a_damaged_image_is_named(tmp_path, content):
    path = tmp_path / "cat.png"
    if content is not None:
        path.write_bytes(content)
    refused("cat.png", "replace it", call=lambda: ImageShape(8, 8, 1).encode([path]))


def test_images_of_floats_are_refused(tmp_path):
    path = image_file(tmp_path / "a.tiff", "F")
    refused("a.tiff", "floats", call=lambda: ImageShape.of([path]).encode([path]))
    refused("no images", call=lambda: ImageShape.of([]))


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
    with pytest.raises(FolderError, match="is not as it was written: encoding"):
        read_encoding(data)
