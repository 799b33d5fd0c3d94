"""Exports and Spotlight show what the rows of a run contain: columns of tables, or pictures."""

import json
import sys
import types

import numpy as np
import pandas as pd
import pytest

from tests.cli.helpers import nbam, refused

N = 120
TEXTS = ["007", "=1+1", "\x1b[2Jx", "<b>x</b>", "http://x.invalid/a.png", "", "1e5", "NA"]


@pytest.fixture
def folder(tmp_path):
    """A run on a table with texts that tools may misread, and columns with names of results."""
    rng = np.random.default_rng(0)
    truth = np.arange(N) % 2
    codes = np.where(rng.random(N) < 0.2, 1 - truth, truth)
    names = np.array(["ant", "bee"])
    frame = pd.DataFrame({"code": np.resize(TEXTS, N), "weight": np.arange(N) / 4})
    frame["species"], frame["truth"] = names[codes], pd.Series(names[truth]).where(np.arange(N) < 9)
    frame["count"] = pd.Series(np.arange(N), dtype="Int64").where(truth == 0)
    frame.to_csv(tmp_path / "d.csv", index=False)
    frame.to_parquet(tmp_path / "d.parquet")
    p = np.where(truth[:, None] == np.arange(2), 0.97, 0.03)
    pd.DataFrame(p, columns=names).to_csv(tmp_path / "p.csv", index=False)
    for ending in ("csv", "parquet"):
        fit(tmp_path, f"d.{ending}", f"run-{ending}", "--label", "species", "--true-label", "truth")
    return tmp_path


def fit(folder, data, run, *more):
    outputs = ["--pred-probs", folder / "p.csv", "--out", folder / run]
    result = nbam("fit", folder / data, *outputs, *more)
    assert result.exit_code == 0, result.output


def exported(run, to, out, *more):
    result = nbam("export", run, "--to", to, "--out", out, *more)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_tasks_have_the_cells_of_their_row(folder):
    run, out = folder / "run-csv", folder / "t.json"
    assert "Note" not in exported(run, "label-studio", out)
    cells = {task["data"]["row"]: task["data"]["cells"] for task in json.loads(out.read_text())}
    assert cells["2"] == {"code": r"\x1b[2Jx", "weight": "0.5", "count": "2"}
    assert [cells[str(row)]["code"] for row in (0, 1, 5, 7)] == ["007", "=1+1", "", "NA"]
    assert cells["1"]["count"] == ""
    (folder / "q.csv").write_text("row\n8\n3\n")
    exported(run, "argilla", folder / "a.json", "--rows", folder / "q.csv")
    records = json.loads((folder / "a.json").read_text())
    assert [one["fields"]["text"].splitlines()[1] for one in records] == [
        "code: 007",
        "code: <b>x</b>",
    ]
    exported(folder / "run-parquet", "label-studio", folder / "u.json")
    tasks = json.loads((folder / "u.json").read_text())
    assert {task["data"]["row"]: task["data"]["cells"] for task in tasks} == cells


def test_data_that_changed_are_not_in_the_file(folder):
    frame = pd.read_csv(folder / "d.csv", dtype=str, keep_default_na=False)
    frame.iloc[::-1].to_csv(folder / "d.csv", index=False)
    run, out = folder / "run-csv", folder / "t.json"
    assert "Note: The data are not in the file: the targets" in exported(run, "label-studio", out)
    assert "cells" not in json.loads(out.read_text())[0]["data"]
    (folder / "d.csv").unlink()
    said = exported(run, "csv", folder / "c.csv", "--rule", "budget:9")
    assert "does not exist" in " ".join(said.split())
    assert list(pd.read_csv(folder / "c.csv"))[-1] == "weight"


def test_a_cleaned_table_keeps_the_columns_of_the_data(folder):
    run = folder / "run-csv"
    said = exported(run, "csv", folder / "c.csv", "--rule", "budget:9")
    assert "The column 'weight' of the data is the column 'weight (data)' there." in said
    assert "would run as a formula" in said
    rows = pd.read_csv(folder / "c.csv", dtype=str, keep_default_na=False).set_index("row")
    assert list(rows)[-4:] == ["code", "weight (data)", "truth", "count"]
    assert len(rows) == N - 9
    for row, cells in rows.iterrows():
        text = TEXTS[int(row) % len(TEXTS)]
        assert cells["code"] == (f"'{text}" if text == "=1+1" else text)
        assert float(cells["weight (data)"]) == int(row) / 4
        assert cells["count"] == ("" if int(row) % 2 else row)
    for ending in ("csv", "parquet"):
        out = folder / f"{ending}.parquet"
        exported(folder / f"run-{ending}", "parquet", out, "--rule", "budget:9")
        table = pd.read_parquet(out)
        assert (table["weight (data)"] == table["row"].astype(int) / 4).all()
        assert table["code"].iloc[0] == "007"
        assert "=1+1" in set(table["code"])
        assert table["count"].sum() == pd.to_numeric(rows["count"]).sum()


def test_arrays_are_shown_as_pictures(folder):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 255, (N, 6, 6)).astype(np.uint8)
    np.savez(folder / "d.npz", X=x, y=np.array(["ant", "bee"])[np.arange(N) % 2])
    fit(folder, "d.npz", "run-npz", "--label", "y")
    exported(folder / "run-npz", "label-studio", folder / "t.json")
    tasks = json.loads((folder / "t.json").read_text())
    assert len({task["data"]["image"] for task in tasks}) == N
    assert tasks[0]["data"]["image"].startswith("data:image/png;base64,")
    assert "$image" in (folder / "t.xml").read_text()
    flat = ["export", folder / "run-npz", "--to", "fiftyone", "--out", folder / "f.json"]
    assert "pictures" in refused(*flat)


class Stub(types.ModuleType):
    """Modules of Spotlight that keep what they are called with."""

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *arguments, **options: (name, arguments, options)


@pytest.fixture
def spotlight(monkeypatch):
    shown = []
    parts = ("renumics", "renumics.spotlight", "renumics.spotlight.layout")
    modules = {name: Stub(name) for name in (*parts, "renumics.spotlight.analysis")}
    modules["renumics"].spotlight = modules["renumics.spotlight"]
    modules["renumics.spotlight"].layout = modules["renumics.spotlight.layout"]

    class Viewer:
        def __init__(self, table, **options):
            shown.append((table, options))

        def close(self, wait=False):
            shown.append(wait)

    modules["renumics.spotlight"].show = Viewer
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    return shown


def test_a_review_opens_spotlight(folder, spotlight):
    result = nbam("review", folder / "run-csv")
    assert result.exit_code == 0, result.output
    assert f"Spotlight shows {N} rows" in result.stdout
    table, options = spotlight[0]
    assert table["code"].astype(object).fillna("").tolist()[:6] == [
        *("007", "=1+1", r"\x1b[2Jx", "<b>x</b>", "http://x.invalid/a.png", ""),
    ]
    assert table["weight"].tolist() == [row / 4 for row in range(N)]
    assert options["wait"] is False
    assert spotlight[1:] == [True, False]  # its server ends in any case
    assert options["dtype"] is None
    issues = [given for _, _, given in options["issues"]]
    flagged = sorted(row for issue in issues for row in issue["rows"])
    assert flagged == np.flatnonzero(table["flagged"]).tolist() != []
    assert {name for issue in issues for name in issue["columns"]} <= set(table)


def test_a_review_without_spotlight_says_what_to_do(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "renumics", None)
    said = refused("review", folder / "run-csv")
    assert "pip install 'nbam-pyro[spotlight]'" in said
    assert f"nbam report {folder / 'run-csv'}" in said


def test_options_of_a_review_that_need_others(folder):
    run = folder / "run-csv"
    assert "Give --out" in refused("review", run, "--budget", 3)
    assert "Give --out" in refused("review", run, "--answers", folder / "d.csv")
    for option in (["--for", "flags"], ["--design", "random"], ["--seed", 1], ["--overwrite"]):
        assert "Give --budget" in refused("review", run, *option)
