"""NPZ archives: what is read, and how mistakes are named."""

import zipfile

import numpy as np
import pytest

from nbam_pyro.cli.files import (
    read,
)
from tests.cli.files.helpers import (
    X,
    npz_file,
    refused,
)


def test_an_archive_is_read(tmp_path):
    path = npz_file(tmp_path, X=np.ones((3, 2)), y=np.array(["a", "", "b"]), n=np.arange(3))
    source = read(path, label="y")
    assert source.x.shape == (3, 2)
    assert source.y.tolist() == ["a", None, "b"]
    assert source.rows.tolist() == [0, 1, 2]
    assert read(path, label="n").y.dtype == np.int64


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
