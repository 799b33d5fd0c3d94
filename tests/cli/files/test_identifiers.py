"""Columns that number the rows: left out or named, kept and dropped as one says."""

import json

import numpy as np
import pandas as pd
import pytest

from nbam_pyro.cli.files import chosen
from nbam_pyro.errors import DataError
from tests.cli.helpers import bugs, nbam, refused

N = 40
RNG = np.random.default_rng(0)
SIZE = RNG.normal(size=N)
WHOLE = {
    "from 1": np.arange(N) + 1,
    "any order": RNG.permutation(N) + 1000,
    "negative": -np.arange(N),
    "floats": np.arange(N) * 10.0,
    "beyond 2^53": 2**60 + np.arange(N),
    "texts": [f"a{number}" for number in range(N)],
    "mixed": [*range(N - 1), "x"],
}


@pytest.mark.parametrize("name", ["id", "ID", "Index", "row", "RowNames", "uuid", "unnamed: 0"])
@pytest.mark.parametrize("cells", WHOLE)
def test_identifiers_are_left_out_with_one_line(name, cells):
    choice = chosen(pd.DataFrame({"size": SIZE, name: WHOLE[cells]}))
    assert choice.drop == (name,)
    assert len(choice.notes) == 1
    assert repr(name) in choice.notes[0]
    assert "--keep" in choice.notes[0]


@pytest.mark.parametrize(
    "cells",
    [np.arange(N) // 2, np.arange(N) + 0.5, ["a", "b"] * (N // 2), SIZE, np.arange(N) % 2 == 0],
)
def test_a_name_alone_makes_no_identifier(cells):
    assert chosen(pd.DataFrame({"size": SIZE, "id": cells})).drop == ()


@pytest.mark.parametrize("name", ["year", "code number", "ident", "rows", "a id"])
@pytest.mark.parametrize("cells", WHOLE)
def test_what_looks_like_an_identifier_is_kept_and_named(name, cells):
    choice = chosen(pd.DataFrame({"size": SIZE, name: WHOLE[cells]}))
    assert choice.drop == ()
    assert len(choice.notes) == 1
    assert repr(name) in choice.notes[0]
    assert ("--drop 'code number'" if name == "code number" else "--drop ") in choice.notes[0]


def test_one_line_names_both():
    frame = pd.DataFrame({"size": SIZE, "id": np.arange(N), "year": np.arange(N), "b": "x"})
    (note,) = chosen(frame).notes
    assert "--keep id" in note
    assert "--drop year" in note
    assert "\n" not in note


def test_missing_cells_aside():
    cells = [None, *range(N - 1)]
    assert chosen(pd.DataFrame({"size": SIZE, "id": cells})).drop == ("id",)
    assert chosen(pd.DataFrame({"size": SIZE, "year": cells})).notes == []


def test_the_only_feature_is_never_dropped():
    for names in (["id"], ["id", "row"]):
        choice = chosen(pd.DataFrame({name: np.arange(N) for name in names}))
        assert choice.drop == ()
        assert "only feature" in choice.notes[0]
    assert chosen(pd.DataFrame({"year": np.arange(N)})).notes == []
    # A column of 60 different texts is none, so that the identifier would be the only one.
    texts = [f"n{number}" for number in range(60)]
    assert chosen(pd.DataFrame({"id": np.arange(60), "name": texts})).drop == ()
    assert chosen(pd.DataFrame({"id": np.arange(60), "uuid": texts})).drop == ("uuid",)


def test_keep_and_drop_decide():
    frame = pd.DataFrame({"size": SIZE, "id": np.arange(N), "year": np.arange(N)})
    assert chosen(frame, keep=["id"]).drop == ()
    assert "id" not in chosen(frame, keep=["id"]).notes[0].split("'")
    assert chosen(frame, keep=["id", "year"]).notes == []
    assert chosen(frame, drop=["year", "size", "year"]).drop == ("year", "size")
    assert chosen(frame, drop=["id"], keep=["year"]).drop == ("id",)


@pytest.mark.parametrize(
    ("drop", "keep", "words"),
    [
        (["nothing"], [], ["--drop", "'nothing'", "'size'"]),
        ([], ["ID"], ["--keep", "'ID'", "'id'"]),
        (["id"], ["id"], ["'id'", "--drop and to --keep"]),
        (["id", "size", "name"], [], ["every feature column"]),
        ([], ["name"], ["'name' cannot be kept"]),
    ],
)
def test_mistakes_in_keep_and_drop(drop, keep, words):
    texts = [f"n{number}" for number in range(60)]
    frame = pd.DataFrame({"size": 1.5, "id": np.arange(60), "name": texts})
    with pytest.raises(DataError) as caught:
        chosen(frame, drop=drop, keep=keep)
    assert all(word in str(caught.value) for word in words)


def test_arrays_have_no_columns_to_drop():
    assert chosen(np.zeros((3, 2))).drop == ()
    with pytest.raises(DataError, match="--keep a names a column"):
        chosen(np.zeros((3, 2)), keep=["a"])


@pytest.fixture
def numbered(tmp_path):
    frame = bugs(90)[0]
    frame.insert(0, "rownames", np.arange(90) + 1)
    frame["year"] = 1900 + np.arange(90)
    frame.to_csv(tmp_path / "d.csv", index=False)
    return tmp_path / "d.csv", frame


def test_commands_follow_the_run(quick, numbered, tmp_path):
    path, frame = numbered
    run, out = tmp_path / "run", tmp_path / "s.csv"
    fit = ["fit", path, "--label", "species"]
    result = nbam(*fit, "--out", run)
    assert result.exit_code == 0, result.output
    lines = [line for line in result.stdout.splitlines() if "rownames" in line]
    assert len(lines) == 1
    assert "--keep rownames" in lines[0]
    assert "--drop year" in lines[0]
    assert "rownames" in nbam("show", run).stdout
    encoding = json.loads((run / "run.json").read_text())["encoding"]
    assert encoding["dropped"] == ["rownames"]
    scores = []
    for there in (frame, frame.drop(columns="rownames"), frame.assign(rownames="x")):
        there.to_csv(path, index=False)
        assert nbam("score", run, path, "--out", out, "--overwrite").exit_code == 0
        scores.append(out.read_text())
    assert scores[0] == scores[1] == scores[2]
    frame.to_csv(path, index=False)
    options = ["--keep", "rownames", "--drop", "year", "--drop", "width"]
    kept = nbam(*fit, *options, "--out", tmp_path / "kept")
    assert kept.exit_code == 0, kept.output
    assert "rownames" not in kept.stdout
    settings = json.loads((tmp_path / "kept" / "settings.json").read_text())
    assert (settings["drop"], settings["keep"]) == (["year", "width"], ["rownames"])
    frame.drop(columns=["year", "width"]).to_csv(path, index=False)
    assert nbam("score", tmp_path / "kept", path, "--out", out, "--overwrite").exit_code == 0
    frame.to_csv(path, index=False)
    assert "other features" in refused("compare", run, tmp_path / "kept", "--folds", 2)
    assert "--drop names 'species'" in refused(*fit, "--drop", "species", "--out", tmp_path / "no")


def test_a_saved_index_is_left_out(quick, tmp_path):
    frame = bugs(90)[0]
    path, run, out = tmp_path / "d.csv", tmp_path / "run", tmp_path / "s.csv"
    fit = ["fit", path, "--label", "species", "--out"]
    frame.to_csv(path)  # the index is a first column has no name
    result = nbam(*fit, run)
    assert result.exit_code == 0, result.output
    assert "'Unnamed: 0' was left out as identifier" in result.stdout
    assert nbam("score", run, path, "--out", out).exit_code == 0
    frame.to_csv(path, index=False)
    assert nbam("score", run, path, "--out", out, "--overwrite").exit_code == 0
    pd.concat([frame, frame]).to_csv(path)  # an index that repeats identifies nothing
    said = refused(*fit, tmp_path / "other")
    assert "has no name" in said
    assert nbam(*fit, tmp_path / "other", "--drop", "Unnamed: 0").exit_code == 0


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_detect_leaves_identifiers_out(tmp_path, kind):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(60, 2)), columns=["a", "b"])
    frame["id"] = rng.permutation(60)
    path, run = tmp_path / f"d.{kind}", tmp_path / "run"
    frame.to_csv(path, index=False) if kind == "csv" else frame.to_parquet(path)
    detect = ["detect", path, "--backbone", "ae", "--contamination", 0.1, "--epochs", 1]
    result = nbam(*detect, "--out", run)
    assert result.exit_code == 0, result.output
    assert "60 rows of 2 features" in result.stdout
    assert "--keep id" in result.stdout
    assert nbam("score", run, path, "--out", tmp_path / "s.csv").exit_code == 0
    kept = nbam(*detect, "--keep", "id", "--drop", "a", "--out", tmp_path / "kept")
    assert "60 rows of 2 features" in kept.stdout
    assert "--drop names 'c'" in refused(*detect, "--drop", "c", "--out", tmp_path / "no")


def test_the_named_index_of_a_parquet_file_is_a_column(quick, tmp_path):
    frame = bugs(90)[0]
    path, run = tmp_path / "d.parquet", tmp_path / "run"
    frame.set_index("length").to_parquet(path)
    result = nbam("fit", path, "--label", "species", "--out", run)
    assert result.exit_code == 0, result.output
    names = [c["name"] for c in json.loads((run / "run.json").read_text())["encoding"]["columns"]]
    assert "length" in names
