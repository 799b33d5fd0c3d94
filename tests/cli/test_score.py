"""`nbam score`: new rows, and runs that are not as they were written."""

import shutil

import pandas as pd
import pytest

from tests.cli.helpers import nbam, refused


def test_score_judges_the_training_rows_much_as_the_fit_did(fitted_bugs, tmp_path):
    folder, frame, *_ = fitted_bugs
    out = tmp_path / "new" / "scores.csv"
    result = nbam("score", folder / "run", folder / "bugs.csv", "--out", out)
    assert result.exit_code == 0, result.output
    assert f"{len(frame)} rows scored" in result.stdout
    flags = pd.read_csv(folder / "run" / "flags.csv").drop(columns="held_out").set_index("row")
    scored = pd.read_csv(out).set_index("row").loc[flags.index]
    assert list(scored) == list(flags)
    assert scored["label"].equals(flags["label"])
    # The fit also has predictions by networks that did not see the row's label.
    same = (scored["responsibility"] > 0.5) == (flags["responsibility"] > 0.5)
    assert same.mean() > 0.97
    # Columns in another order, one row, one label missing.
    one = frame[["colour", "species", "width", "length"]].iloc[:1].assign(species=None)
    one.to_csv(tmp_path / "one.csv", index=False)
    result = nbam("score", folder / "run", tmp_path / "one.csv", "--out", tmp_path / "o.csv")
    assert result.exit_code == 0, result.output
    assert 0 < pd.read_csv(tmp_path / "o.csv")["responsibility"].item() < 0.5


def test_score_keeps_a_file_unless_told(fitted_bugs, tmp_path):
    folder, *_ = fitted_bugs
    out = tmp_path / "scores.csv"
    out.write_text("mine")
    assert "--overwrite" in refused("score", folder / "run", folder / "bugs.csv", "--out", out)
    assert out.read_text() == "mine"
    result = nbam("score", folder / "run", folder / "bugs.csv", "--out", out, "--overwrite")
    assert result.exit_code == 0
    assert out.read_text() != "mine"
    assert "is a folder" in refused(
        "score", folder / "run", folder / "bugs.csv", "--out", tmp_path, "--overwrite"
    )


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda f: f.drop(columns="width"), "'width' missing"),
        (lambda f: f.assign(height=1.0), "'height' unknown"),
        (lambda f: f.assign(width="broad"), "width"),
        (lambda f: f.assign(species="dog"), "'dog'"),
    ],
)
def test_other_data_than_in_training_are_named(fitted_bugs, tmp_path, change, says):
    folder, frame, *_ = fitted_bugs
    change(frame).to_csv(tmp_path / "d.csv", index=False)
    out = tmp_path / "scores.csv"
    assert says in refused("score", folder / "run", tmp_path / "d.csv", "--out", out)
    assert not out.exists()


@pytest.mark.parametrize(
    "name",
    ["flags.csv", "manifest.json", "model.json", "model.safetensors", "posterior.nc", "run.json"],
)
@pytest.mark.parametrize("tampered", [False, True])
def test_a_damaged_run_is_named(fitted_bugs, tmp_path, name, tampered):
    folder, *_ = fitted_bugs
    shutil.copytree(folder / "run", tmp_path / "run")
    if tampered:
        (tmp_path / "run" / name).write_bytes(b"{}")
    else:
        (tmp_path / "run" / name).unlink()
    said = refused("score", tmp_path / "run", folder / "bugs.csv", "--out", tmp_path / "s.csv")
    assert name in said
    assert name in refused("show", tmp_path / "run")


def test_a_folder_that_is_no_run_is_named(tmp_path):
    assert "not a run folder" in refused("show", tmp_path)
    assert "not a run folder" in refused("show", tmp_path / "none")
