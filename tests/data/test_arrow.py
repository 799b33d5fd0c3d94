"""Rows of Parquet, Arrow and memory-mapped files."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as pads
import pytest
import torch
from torch import nn

from nbam_pyro import LabelFlip, fit
from nbam_pyro.data import arrow, arrow_rows
from nbam_pyro.errors import DataError
from nbam_pyro.inference import Joint, WarmUp
from nbam_pyro.training.sources import as_rows
from nbam_pyro.training.tensors import as_tensor


@pytest.fixture
def table():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(90, 3)).astype(np.float32)
    return pd.DataFrame(x, columns=["a", "b", "c"]).assign(y=(x[:, 0] > 0).astype(int))


class HuggingFace:
    """What is used of `datasets.Dataset`."""

    def __init__(self, frame, arrow=False):
        self.frame, self.arrow, self.column_names = frame, arrow, list(frame)

    def __len__(self):
        return len(self.frame)

    def with_format(self, name):
        assert name == "arrow"
        return HuggingFace(self.frame, arrow=True)

    def __getitem__(self, rows):
        assert self.arrow
        return pa.Table.from_pandas(self.frame[rows], preserve_index=False)


@pytest.mark.parametrize("kind", ["file", "folder", "files", "dataset", "table", "hugging face"])
def test_every_source_has_the_same_rows(table, tmp_path, monkeypatch, kind):
    monkeypatch.setattr(arrow, "_ROWS", 20)
    for number, part in enumerate(np.array_split(np.arange(90), 2)):
        (tmp_path / "d").mkdir(exist_ok=True)
        table.iloc[part].to_parquet(tmp_path / "d" / f"{number}.parquet", index=False)
    table.to_parquet(tmp_path / "one.parquet", index=False)
    source = {
        "file": tmp_path / "one.parquet",
        "folder": tmp_path / "d",
        "files": sorted((tmp_path / "d").iterdir()),
        "dataset": pads.dataset(tmp_path / "d"),
        "table": pa.Table.from_pandas(table, preserve_index=False),
        "hugging face": HuggingFace(table),
    }[kind]
    x, y = arrow_rows(source, y="y", folder=tmp_path).tensors
    assert x.dtype == torch.float32
    assert np.array_equal(x, table[["a", "b", "c"]].to_numpy())
    assert y.tolist() == table["y"].tolist()
    assert as_rows(arrow_rows(source, y="y", x=["c"])).table.shape == (90, 1)


def test_a_fit_of_arrow_rows_is_that_of_arrays(table):
    steps = [WarmUp(epochs=1), Joint(epochs=1)]
    found = []
    for data in (
        arrow_rows(pa.Table.from_pandas(table), y="y", x=["a", "b", "c"]),
        (table[["a", "b", "c"]].to_numpy(), table["y"].to_numpy()),
    ):
        torch.manual_seed(0)
        with pytest.warns():
            one = fit(LabelFlip(nn.Linear(3, 2), 2), data, steps=steps)
        found.append(one.training_rows.responsibility)
    assert np.array_equal(*found)


def test_columns_of_lists_and_what_is_refused(table):
    lists = pa.table({"e": [[1.0, 2.0], [3.0, 4.0]], "y": [0.5, 1.5], "t": ["a", "b"]})
    rows = arrow_rows(lists, y="y", x=["e"])
    assert rows.tensors[0].tolist() == [[1, 2], [3, 4]]
    assert rows.tensors[0].dtype == torch.float64
    for options, says in (
        ({"y": "z"}, "'z'"),
        ({"y": "t", "x": ["e"]}, "'t' has the type string"),
        ({"y": "y"}, "'t'"),
    ):
        with pytest.raises(DataError, match=says):
            arrow_rows(lists, **options)
    with pytest.raises(DataError, match="missing cells"):
        arrow_rows(pa.table({"x": [1.0, None], "y": [0, 1]}), y="y")
    with pytest.raises(DataError, match="no rows"):
        arrow_rows(lists[:0], y="y", x=["e"])
    with pytest.raises(DataError, match="DataFrame"):
        arrow_rows(table, y="y")


def test_a_read_only_map_is_not_copied_and_not_changed(tmp_path):
    path = tmp_path / "x.npy"
    np.save(path, np.ones((50, 4), dtype=np.float32))
    x = np.load(path, mmap_mode="r")
    for whole in (x, np.asarray(x)):
        tensor = as_tensor(whole)
        tensor[0] = 5
        assert x[0].tolist() == [1, 1, 1, 1]
        assert np.load(path)[0].tolist() == [1, 1, 1, 1]
    assert as_tensor(x[10:]).shape == (40, 4)  # a part is copied
    path.unlink()
    assert as_tensor(x).sum() == 200
