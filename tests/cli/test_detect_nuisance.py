"""`nbam detect --nuisance`."""

import json

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from nbam_pyro.cli import app


def nbam(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def table(tmp_path):
    rng = np.random.default_rng(0)
    kind = rng.integers(0, 2, 400)
    colour = np.where(rng.random(400) < 0.8, kind, 1 - kind)
    frame = pd.DataFrame(rng.normal(size=(400, 3)), columns=list("abc"))
    frame["a"] += 5 * kind
    frame["b"] += 9 * colour
    frame.loc[:11, "c"] += 9
    frame["kind"] = np.array(["ant", "bee"])[kind]
    frame["colour"] = np.array(["red", "green"])[colour]
    path = tmp_path / "data.csv"
    frame.to_csv(path, index=False)
    return path


@pytest.mark.filterwarnings("ignore::nbam_pyro.errors.NuisanceWarning")
def test_a_run_says_what_is_left_of_the_nuisance(table, tmp_path):
    out = tmp_path / "run"
    columns = ("--nuisance", "colour", "--class", "kind")
    result = nbam("detect", table, *columns, "--epochs", 3, "--out", out)
    assert result.exit_code == 0, result.output
    flags = pd.read_csv(out / "flags.csv")
    assert set(flags) == {"row", "score", "flagged", "responsibility"}
    assert set(flags["row"].head(8)) <= set(range(12))
    summary = json.loads((out / "summary.json").read_text())
    assert (summary["nuisance"], summary["class"], summary["features"]) == ("colour", "kind", 3)
    assert any("read" in note and "nuisance" in note for note in summary["notes"])
    assert any("weights keep" in note for note in summary["notes"])
    assert (out / "plots" / "scores.png").exists()
    shown = nbam("show", out)
    assert shown.exit_code == 0, shown.output
    assert all(run in {one.name for one in out.iterdir()} for run in ("run.json", "detector.json"))
    # New rows need neither column, and may have both.
    bare = tmp_path / "bare.csv"
    pd.read_csv(table)[list("abc")].to_csv(bare, index=False)
    for file in (table, bare):
        scored = nbam("score", out, file, "--out", tmp_path / f"new-{file.name}")
        assert scored.exit_code == 0, scored.output
        assert "Note" not in scored.output
    new = [pd.read_csv(tmp_path / f"new-{file.name}") for file in (table, bare)]
    pd.testing.assert_frame_equal(*new)
    assert set(new[0]["row"].head(8)) <= set(range(12))


@pytest.mark.filterwarnings("ignore::nbam_pyro.errors.NuisanceWarning")
@pytest.mark.filterwarnings("ignore::nbam_pyro.errors.NuisanceWarning")
def test_a_nuisance_of_numbers_is_the_same_in_csv_and_parquet(table, tmp_path):
    frame = pd.read_csv(table)
    rng = np.random.default_rng(1)
    frame["mass"] = rng.normal(size=len(frame)) + (frame["kind"] == "ant")
    frame = frame.drop(columns="colour")
    frame.to_csv(tmp_path / "mass.csv", index=False)
    frame.to_parquet(tmp_path / "mass.parquet")
    tables = []
    for name in ("mass.csv", "mass.parquet"):
        out = tmp_path / name.replace(".", "-")
        columns = ("--nuisance", "mass", "--class", "kind", "--epochs", 1)
        result = nbam("detect", tmp_path / name, *columns, "--out", out)
        assert result.exit_code == 0, result.output
        tables.append(pd.read_csv(out / "flags.csv"))
    pd.testing.assert_frame_equal(*tables)


def test_a_file_of_verified_rows_is_no_column_of_the_run(table, tmp_path):
    columns = ("--nuisance", "colour", "--class", "kind", "--epochs", 2)
    first = tmp_path / "first"
    assert nbam("detect", table, *columns, "--out", first).exit_code == 0
    answers, verified = tmp_path / "answers.csv", tmp_path / "verified.csv"
    answers.write_text("row,verdict\n0,wrong\n1,wrong\n200,right\n")
    result = nbam("verify", first, answers, "--out", verified)
    assert result.exit_code == 0, result.output
    out = tmp_path / "run"
    result = nbam("detect", table, *columns, "--verified", verified, "--out", out)
    assert result.exit_code == 0, result.output
    assert json.loads((out / "run.json").read_text())["verified"] is None
    assert pd.read_csv(out / "flags.csv").set_index("row").loc[200, "verified_anomaly"] == 0
    scored = nbam("score", out, table, "--out", tmp_path / "new.csv")
    assert scored.exit_code == 0, scored.output
    assert "Note" not in scored.output


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--nuisance", "colour"), "belong together"),
        (("--class", "kind"), "belong together"),
        (("--nuisance", "kind", "--class", "kind"), "two different columns"),
        (("--nuisance", "colour", "--class", "kind", "--backbone", "ae"), "--backbone"),
        (("--nuisance", "kind", "--class", "other"), "other"),
    ],
)
def test_options_that_do_not_go_together_are_refused(table, tmp_path, options, said):
    result = nbam("detect", table, *options, "--out", tmp_path / "run")
    assert result.exit_code == 2
    assert said in result.output
    assert not (tmp_path / "run").exists()
