"""Data files to read, and encodings that go through JSON."""

import dataclasses
import io
import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from nbam_pyro.cli.files import (
    Encoding,
)
from nbam_pyro.errors import DataError
from nbam_pyro.storage import Saved, validated

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


X = np.zeros((3, 2))


class Held(Saved):
    """A file that holds an encoding."""

    encoding: Encoding


def read_encoding(data):
    return validated(json.dumps({"encoding": data}).encode(), Held, what="run.json").encoding


def again(encoding):
    return read_encoding(dataclasses.asdict(encoding))
