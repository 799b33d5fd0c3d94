"""What the commands make of labels, wild cells, long numbers and the types of other libraries."""

import datetime
import decimal
import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nbam_pyro.cli.files import Columns, encoding_of, read
from nbam_pyro.cli.runs import scored_line, suspicious_lines
from nbam_pyro.cli.runs.scored import Scored
from nbam_pyro.cli.runs.tables import write_table
from nbam_pyro.outputs.wording.sentences import percent
from tests.cli.files.helpers import refused as not_taken
from tests.cli.helpers import bugs, distances, nbam, refused


def test_labels_with_leading_zeros_stay_apart(quick, tmp_path):
    frame = bugs(90)[0].assign(species=np.array(["001", "01", "1"])[np.arange(90) % 3])
    frame["truth"] = np.where(np.arange(90) < 9, frame["species"], "")
    path, run, out = tmp_path / "d.csv", tmp_path / "run", tmp_path / "s.csv"
    frame.to_csv(path, index=False)
    fit = ["fit", path, "--label", "species", "--true-label", "truth", "--out"]
    result = nbam(*fit, run)
    assert result.exit_code == 0, result.output
    assert "90 labels in 3 classes" in result.stdout
    flags = pd.read_csv(run / "flags.csv", dtype=str).set_index("row").loc[map(str, range(90))]
    assert flags["label"].tolist() == frame["species"].tolist()
    assert flags["suggested_label"][:9].tolist() == frame["species"][:9].tolist()
    shown = nbam("show", run).stdout
    assert " 01 " in shown.split("suspicious rows")[1]
    # New rows of one label: alone it looks like a number, and it is the text of the run.
    frame[frame["species"] == "1"].to_csv(path, index=False)
    assert nbam("score", run, path, "--out", out).exit_code == 0
    assert set(pd.read_csv(out, dtype=str)["label"]) == {"1"}
    frame.assign(species="1.0").to_csv(path, index=False)
    assert "'1.0'" in refused("score", run, path, "--out", out, "--overwrite")


def test_measurements_with_leading_zeros_are_numbers_where_that_is_said(quick, tmp_path):
    frame = distances(60)[0]
    frame["far"] = [f"{abs(value) + 1:07.3f}" for value in frame["far"]]
    path, run = tmp_path / "d.csv", tmp_path / "run"
    frame.to_csv(path, index=False)
    result = nbam("fit", path, "--label", "far", "--task", "regression", "--out", run)
    assert result.exit_code == 0, result.output
    assert nbam("score", run, path, "--out", tmp_path / "s.csv").exit_code == 0
    assert pd.read_csv(tmp_path / "s.csv")["label"].dtype == np.float64


def test_labels_beyond_64_bits_and_beyond_2_53(quick, tmp_path):
    for first, second in ((2**70, 2**70 + 1), (2**53, 2**53 + 1), (2**64 - 1, 2**64 - 2)):
        frame = bugs(60)[0].assign(species=[first, second] * 30).astype({"species": object})
        frame.loc[0, "species"] = None
        path = tmp_path / "d.csv"
        frame.to_csv(path, index=False)
        arguments = ["fit", path, "--label", "species", "--out", tmp_path / "run", "--overwrite"]
        result = nbam(*arguments)
        assert result.exit_code == 0, result.output
        assert "59 labels in 2 classes" in result.stdout


@pytest.mark.parametrize("kind", ["csv", "parquet", "npz"])
@pytest.mark.parametrize("command", ["fit", "detect"])
def test_wild_rows_and_sentinels_are_named_once(quick, tmp_path, kind, command):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(90, 2))
    x[50, 1] = 99999
    x[:4, 0] = -999
    path = tmp_path / f"data.{kind}"
    species = np.array(["cat", "dog"])[np.arange(90) % 2]
    names = ["X[:, 0]", "X[:, 1]"] if kind == "npz" else ["a", "b"]
    frame = pd.DataFrame(x, columns=["a", "b"])
    if command == "fit":
        frame["species"] = species
    match kind:
        case "csv":
            frame.to_csv(path, index=False)
        case "parquet":
            frame.to_parquet(path)
        case "npz":
            np.savez(path, X=x, species=species)
    more = ["--label", "species"]
    if command == "detect":
        more = ["--backbone", "ae", "--epochs", 1, "--contamination", 0.1]
    result = nbam(command, path, *more, "--out", tmp_path / "run")
    assert result.exit_code == 0, result.output
    wild = [line for line in result.output.splitlines() if "99999" in line]
    assert len(wild) == 1
    assert path.name in wild[0]
    assert f"99999 in column {names[1]!r} (row 50); -999 in column {names[0]!r}" in wild[0]
    assert "(rows 0, 1, 2 and 1 more), perhaps a code for missing values" in wild[0]


EXACT = [2**53, 2**53 + 1, 2**53 + 3]


@pytest.mark.parametrize(
    ("cells", "says"),
    [
        (pd.Series(EXACT, dtype="int64"), "2 whole numbers beyond 2^53 were rounded"),
        (pd.Series([*EXACT, None], dtype="Int64"), "2 whole numbers beyond 2^53 were rounded"),
        (pd.Series([2**64 - 1, 1, 2], dtype="uint64"), "1 whole number beyond 2^53 was rounded"),
        (pd.Series([2**70 + 1, 1, 2], dtype="object"), "1 whole number beyond 2^53 was rounded"),
        (
            pd.Series([decimal.Decimal("10000000000000000.1"), decimal.Decimal(10**16), None]),
            "1 of them now equal another one",
        ),
        (pd.Series([2**53, 2**54, 2**60], dtype="int64"), None),
        (pd.Series([decimal.Decimal("0.1"), decimal.Decimal("0.2")]), None),
        (pd.Series([0.1, 1e300]), None),
        (pd.Series([0.1, None], dtype="Float64"), None),
        (pd.Series([True, None], dtype="boolean"), None),
    ],
)
def test_lost_digits_are_said(cells, says):
    frame = pd.DataFrame({"a": cells})
    notes = [note for note in Columns.of(frame).encode(frame).notes if "missing" not in note]
    assert notes == ([] if says is None else [notes[0]])
    assert says is None or (says in notes[0] and "'a'" in notes[0])


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize("missing", [False, True])
def test_long_integers_of_a_file_are_exact_or_said(tmp_path, kind, missing):
    cells = [2**53 + 1, 2**53 + 5, None if missing else 7, 2**60 + 1]
    path = tmp_path / f"d.{kind}"
    frame = pd.DataFrame({"a": pd.Series(cells, dtype="Int64"), "y": [1, 2, 1, 2]})
    frame.to_csv(path, index=False) if kind == "csv" else frame.to_parquet(path)
    source = read(path, label="y")
    notes = encoding_of(source).encode(source.x).notes
    assert "3 whole numbers beyond 2^53 were rounded" in notes[0]


def test_long_integers_of_an_archive_are_said(tmp_path):
    x = np.arange(8, dtype=np.uint64).reshape(4, 2)
    x[:, 1] = 2**63 + np.arange(4, dtype=np.uint64)
    np.savez(tmp_path / "d.npz", X=x, y=np.arange(4))
    source = read(tmp_path / "d.npz", label="y")
    assert "3 whole numbers" in encoding_of(source).encode(source.x).notes[0]


@pytest.mark.parametrize("offset", [0.0, 1e6, 1e9, 1e12])
@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_numbers_are_read_to_the_last_digit(tmp_path, offset, scale, kind):
    x = offset + scale * np.random.default_rng(0).normal(size=50)
    frame = pd.DataFrame({"a": x, "y": x})
    path = tmp_path / f"d.{kind}"
    frame.to_csv(path, index=False) if kind == "csv" else frame.to_parquet(path)
    source = read(path, label="y")
    assert (source.y == x).all()
    assert (encoding_of(source).encode(source.x).x[:, 0] == x).all()


N = 20
DAY = datetime.date(2020, 2, 29)
TAKEN = {
    "integers with nulls": pa.array([None, *range(N - 1)], pa.int64()),
    "booleans": pa.array([True, False] * (N // 2)),
    "booleans with nulls": pa.array([True, None] * (N // 2)),
    "decimals": pa.array([decimal.Decimal(i) for i in range(N)], pa.decimal128(9, 2)),
    "float16": pa.array(np.arange(N, dtype=np.float16)),
    "dictionary": pa.array(["a", None] * (N // 2)).dictionary_encode(),
    "large strings": pa.array(["a", "b"] * (N // 2), pa.large_string()),
    "string views": pa.array(["a", "b"] * (N // 2), pa.string_view()),
}
REFUSED = {
    "dates": (pa.array([DAY] * N), "dates"),
    "times": (pa.array([datetime.time(1)] * N), "dates"),
    "stamps": (pa.array(range(N), pa.timestamp("ns", tz="UTC")), "dates"),
    "durations": (pa.array(range(N), pa.duration("s")), "dates"),
    "lists": (pa.array([[1, 2]] * N), "neither numbers nor texts"),
    "fixed lists": (pa.array([[1, 2]] * N, pa.list_(pa.int8(), 2)), "neither numbers nor texts"),
    "structs": (pa.array([{"b": 1}] * N), "type dict"),
    "maps": (pa.array([[("k", 1)]] * N, pa.map_(pa.string(), pa.int8())), "type list"),
    "bytes": (pa.array([b"x"] * N), "bytes"),
    "nulls": (pa.nulls(N), "--drop a"),
}


def parquet(folder, column, label=None):
    label = ["cat", "dog"] * (N // 2) if label is None else label
    pq.write_table(pa.table({"a": column, "size": np.arange(N) / 7, "y": label}), folder / "d.pq")
    return folder / "d.pq"


@pytest.mark.parametrize("kind", TAKEN)
def test_columns_of_parquet_are_taken(quick, tmp_path, kind):
    path = parquet(tmp_path, TAKEN[kind])
    result = nbam("fit", path, "--label", "y", "--out", tmp_path / "run")
    assert result.exit_code == 0, result.output
    assert nbam("score", tmp_path / "run", path, "--out", tmp_path / "s.csv").exit_code == 0


@pytest.mark.parametrize("kind", REFUSED)
def test_columns_of_parquet_are_refused_by_name(quick, tmp_path, kind):
    column, words = REFUSED[kind]
    arguments = ["fit", parquet(tmp_path, column), "--label", "y", "--out", tmp_path / "run"]
    said = refused(*arguments)
    assert "'a'" in said
    assert words in said
    assert nbam(*arguments, "--drop", "a").exit_code == 0
    if kind != "nulls":
        said = refused("fit", parquet(tmp_path, np.arange(N), column), "--label", "y", "--out", "x")
        assert "'y'" in said


def test_booleans_and_unused_categories_are_labels(quick, tmp_path):
    categories = pd.Categorical(["a", "b"] * (N // 2), categories=["z", "b", "a"])
    frame = pd.DataFrame({"size": np.arange(N) / 7, "kind": categories, "y": categories})
    frame["ill"] = np.arange(N) % 2 == 0
    frame.to_parquet(tmp_path / "d.pq")
    for label in ("y", "ill"):
        run = tmp_path / label
        result = nbam("fit", tmp_path / "d.pq", "--label", label, "--out", run)
        assert result.exit_code == 0, result.output
        assert "2 classes" in result.stdout
    encoding = json.loads((tmp_path / "ill" / "run.json").read_text())["encoding"]
    assert encoding["columns"][1]["categories"] == ["a", "b"]


def test_cells_that_are_no_scalars_or_hidden_numbers_are_named():
    mixed = pd.Series([decimal.Decimal(1), 0.5])
    not_taken("'a'", "Decimal", call=lambda: Columns.of(pd.DataFrame({"a": mixed})))
    days = pd.Series(["x", DAY])
    not_taken("'a'", "date", call=lambda: Columns.of(pd.DataFrame({"a": days})))
    texts = pd.DataFrame({"a": [str(number / 7) for number in range(80)]})
    not_taken("'a'", "stored as texts", call=lambda: Columns.of(texts))


def test_one_long_text_costs_only_itself():
    frame = pd.DataFrame({"a": ["x" * 10_000_000, *["b", "c"] * 2000]})
    assert len(Columns.of(frame).encode(frame).x) == 4001


def test_what_is_not_zero_does_not_look_so(tmp_path):
    def shown():
        write_table(rare, tmp_path / "flags.csv")
        return suspicious_lines(tmp_path / "flags.csv", labels=True)

    assert [percent(share) for share in (0, 1e-9, 0.0004, 0.0005, 0.5, 0.9999, 1)] == [
        *["0.0%", "<0.1%", "<0.1%", "0.1%", "50.0%", ">99.9%", "100.0%"]
    ]
    rare = pd.DataFrame({"row": range(30), "responsibility": 1e-5})
    (line,) = shown()
    assert "No row is suspicious" in line
    assert "none of them is suspicious" in scored_line(Scored.of(rare))
    rare.loc[0, "responsibility"] = 0.02
    lines = shown()
    assert "20 most suspicious rows" in lines[0]
    assert "0.020" in lines[2]
    assert "<0.001" in lines[3]
    rare["responsibility"] = np.where(rare.index == 0, 6e-4, 0)
    assert "30 rows scored; about 0 of them (<0.1%)" in scored_line(Scored.of(rare))


def test_clean_labels_are_said_to_be_so(tmp_path):
    rng = np.random.default_rng(0)
    truth = np.arange(120) % 2
    frame = pd.DataFrame(20.0 * truth[:, None] + rng.normal(size=(120, 2)), columns=["a", "b"])
    frame["y"] = np.array(["cat", "dog"])[truth]
    frame.to_csv(tmp_path / "d.csv", index=False)
    run = tmp_path / "run"
    arguments = ["fit", tmp_path / "d.csv", "--label", "y", "--out", run]
    result = nbam(*arguments, "--contamination", "beta:1,10000")
    assert result.exit_code == 0, result.output
    assert "<0.1%" in result.stdout
    assert "No row is suspicious" in result.stdout
    shown = nbam("show", run).stdout
    assert "No row is suspicious (of 120)" in shown
    scored = nbam("score", run, tmp_path / "d.csv", "--out", tmp_path / "s.csv").stdout
    assert "none of them is suspicious" in scored


def test_a_table_of_20000_columns_repeats_none_of_its_work(tmp_path):
    names = [f"c{number}" for number in range(20_000)]
    line = ",".join(["1.5"] * len(names))
    path = tmp_path / "d.csv"
    path.write_text("\n".join([",".join(names) + ",y", line + ",a", line + ",b", ""]))
    source = read(path, label="y")
    assert encoding_of(source).encode(source.x).x.shape == (2, 20_000)
    path.write_text("\n".join([",".join([*names, "c7"]) + ",y", line + ",2,a", ""]))
    not_taken("two columns with the name 'c7'", call=lambda: read(path, label="y"))


def test_a_head_is_chosen_and_named_and_is_for_labels_only(tmp_path):
    frame = bugs(150)[0]
    frame.to_csv(tmp_path / "d.csv", index=False)
    arguments = ["fit", tmp_path / "d.csv", "--label", "species", "--out", tmp_path / "run"]
    result = nbam(*arguments, "--head", "auto", "--difficulty", "1", "--epochs", "4")
    assert result.exit_code == 0, result.output
    notes = json.loads((tmp_path / "run" / "summary.json").read_text())["notes"]
    assert any("simplest of linear, spline, network" in note for note in notes)
    settings = json.loads((tmp_path / "run" / "settings.json").read_text())
    assert (settings["head"], settings["difficulty"]) == ("auto", 1.0)
    assert "head is 'tree'" in refused(*arguments, "--head", "tree", "--overwrite")
    distances(60)[0].to_csv(tmp_path / "d.csv", index=False)
    measured = ["fit", tmp_path / "d.csv", "--label", "far", "--out", tmp_path / "other"]
    for option in (("--head", "linear"), ("--difficulty", "1")):
        assert f"{option[0]} is for labels" in refused(*measured, *option)
