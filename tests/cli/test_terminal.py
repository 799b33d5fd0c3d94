"""What a command does beside its result: lines on a terminal, two at once, what it leaves."""

import pandas as pd
import pytest
from typer.testing import CliRunner

from benchmarks.robustness.mutated_runs import prepare
from nbam_pyro.cli import app
from nbam_pyro.storage import new_file

runner = CliRunner()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("life")
    prepare(folder, "labels")
    return folder


def test_names_with_escapes_are_shown_as_text(folder, tmp_path):
    frame = pd.read_csv(folder / "train.csv").rename(columns={"a": "\x1b[2Ja"})
    frame["y"] = frame["y"].replace({"ant": "\x1b]0;pwned\x07"})
    frame.loc[3, "\x1b[2Ja"] = None
    frame.to_csv(tmp_path / "d.csv", index=False)
    run = str(tmp_path / "run")
    fitted = runner.invoke(
        app, ["fit", str(tmp_path / "d.csv"), "--label", "y", "--epochs", "2", "--out", run]
    )
    assert fitted.exit_code == 0, fitted.output
    shown = runner.invoke(app, ["show", run])
    other = runner.invoke(
        app, ["score", run, str(folder / "labels.csv"), "--out", str(tmp_path / "s.csv")]
    )
    assert other.exit_code == 2
    for said in (fitted, shown, other):
        assert "\x1b" not in said.output
        assert "\\x1b" in said.output


def test_labels_that_are_formulas_are_quoted_in_files_and_shown_as_they_are(folder, tmp_path):
    frame = pd.read_csv(folder / "train.csv")
    frame["y"] = frame["y"].replace({"ant": "=1+1"})
    frame.to_csv(tmp_path / "d.csv", index=False)
    run = tmp_path / "run"
    fitted = runner.invoke(
        app, ["fit", str(tmp_path / "d.csv"), "--label", "y", "--epochs", "2", "--out", str(run)]
    )
    assert fitted.exit_code == 0, fitted.output
    assert "'=1+1" in set(pd.read_csv(run / "flags.csv")["label"])
    shown = runner.invoke(app, ["show", str(run)]).output
    assert " =1+1" in shown
    assert "'=1+1 " not in shown


def test_a_second_score_into_one_file_is_told(folder, tmp_path):
    out = tmp_path / "s.csv"
    score = ["score", str(folder / "labels"), str(folder / "labels.csv"), "--out", str(out)]
    with new_file(out, overwrite=False) as draft:
        second = runner.invoke(app, score)
        draft.write_text("first")
    assert second.exit_code == 2
    assert "being written by another process" in second.stderr
    assert out.read_text() == "first"
    assert "exists already" in runner.invoke(app, score).stderr
    assert runner.invoke(app, [*score, "--overwrite"]).exit_code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["s.csv"]


def test_a_refused_score_leaves_the_old_file(folder, tmp_path):
    out = tmp_path / "s.csv"
    out.write_text("old")
    (tmp_path / "d.csv").write_text("other,columns\n1,2\n")
    score = ["score", str(folder / "labels"), str(tmp_path / "d.csv"), "--out", str(out)]
    said = runner.invoke(app, [*score, "--overwrite"])
    assert said.exit_code == 2
    assert out.read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["d.csv", "s.csv"]
