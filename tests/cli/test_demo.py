"""The main job, as a user runs it."""

import json

import pandas as pd
import pytest
import safetensors.torch
import xarray as xr
from PIL import Image
from typer.testing import CliRunner

from nbam_pyro import load
from nbam_pyro.cli import app
from nbam_pyro.data import flipped_digits

runner = CliRunner()
SUMMARY = {
    "accuracy",
    "accuracy_cross_entropy",
    "auroc",
    "auroc_resolvable",
    "brier",
    "contamination",
    "contamination_low",
    "contamination_high",
    "contamination_probability",
    "population_rate",
    "population_rate_low",
    "population_rate_high",
    "verdict",
    "verdict_lines",
    "explanations",
    "contamination_true",
    "directions_found",
    "directions_false",
    "directions_total",
    "seconds",
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("demo") / "run"
    result = runner.invoke(app, ["demo", "--seed", "7", "--out", str(out)])
    assert result.exit_code == 0, result.output
    return out, result.output


def test_demo_finds_what_was_hidden(run):
    out, printed = run
    summary = json.loads((out / "summary.json").read_text())
    assert set(summary) >= SUMMARY
    assert summary["auroc_resolvable"] >= 0.98
    assert summary["auroc"] > 0.9
    assert summary["accuracy"] > summary["accuracy_cross_entropy"]
    assert summary["contamination"] == pytest.approx(summary["contamination_true"], abs=0.05)
    assert summary["contamination_low"] <= summary["contamination"] <= summary["contamination_high"]
    assert summary["directions_found"] >= 4
    assert "How many labels are wrong?" in printed


def test_run_folder_holds_everything(run):
    out, _ = run
    names = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert names == {
        "flags.csv",
        "summary.json",
        "settings.json",
        "model.safetensors",
        "model.json",
        "run.json",
        "manifest.json",
        "posterior.nc",
        "plots/transition_matrix.png",
        "plots/responsibilities.png",
        "plots/training_curve.png",
    }
    flags = pd.read_csv(out / "flags.csv")
    assert list(flags) == [
        "row",
        "label",
        "responsibility",
        "suggested_label",
        "suggested_probability",
        "held_out",
    ]
    assert len(flags) == 1257
    assert flags["row"].is_unique
    assert flags["responsibility"].between(0, 1).all()
    assert flags["held_out"].sum() == round(1257 / 6)
    settings = json.loads((out / "settings.json").read_text())
    assert settings["seed"] == 7
    model = json.loads((out / "model.json").read_text())
    assert "torch" in model["versions"]
    tensors = safetensors.torch.load_file(out / "model.safetensors")
    assert {"copies.0.story.rate_counts", "held_out"} <= set(tensors)
    with xr.open_datatree(out / "posterior.nc", engine="h5netcdf") as tree:
        assert tree.posterior["transition_matrix"].shape == (1, 500, 10, 10)
    for plot in (out / "plots").iterdir():
        with Image.open(plot) as image:
            assert min(image.size) > 300


def test_the_run_is_read_again(run):
    out, _ = run
    said = runner.invoke(app, ["show", str(out)])
    assert said.exit_code == 0
    assert "'digits': 1257 labels in 10 classes" in said.stdout
    assert "rest on the assumption that fewer of their labels are wrong" in said.stdout
    told = [one["text"] for one in json.loads((out / "summary.json").read_text())["explanations"]]
    assert any(text.startswith("The names of 5 and 6 are exchanged: ") for text in told)
    assert "Verify the true labels of at least 2 rows of " in said.stdout
    digits = flipped_digits(seed=7)
    r = load(out).training_rows.responsibility
    flags = pd.read_csv(out / "flags.csv").set_index("row").loc[digits.rows]
    assert flags["responsibility"].to_numpy() == pytest.approx(r, abs=1e-6)


def test_an_existing_folder_is_refused(run):
    out, _ = run
    before = (out / "flags.csv").read_bytes()
    result = runner.invoke(app, ["demo", "--out", str(out)])
    assert result.exit_code == 2
    assert result.stderr.startswith("nbam: ")
    assert "--overwrite" in result.stderr
    assert result.stderr.count("\n") == 1
    assert (out / "flags.csv").read_bytes() == before


def test_a_folder_that_no_run_wrote_is_never_overwritten(tmp_path):
    (tmp_path / "letter.txt").write_text("mine")
    result = runner.invoke(app, ["demo", "--out", str(tmp_path), "--overwrite"])
    assert result.exit_code == 2
    assert (tmp_path / "letter.txt").read_text() == "mine"


def test_overwrite_replaces_a_run_folder_and_a_failed_run_leaves_none(tmp_path):
    from nbam_pyro.storage import new_folder, write_manifest

    out = tmp_path / "run"
    with new_folder(out, overwrite=False) as draft:
        (draft / "model.json").write_text("{}")
        write_manifest(draft)
    with new_folder(out, overwrite=True) as draft:
        (draft / "model.json").write_text("{2}")
        write_manifest(draft)
    assert (out / "model.json").read_text() == "{2}"

    def fail(folder, overwrite):
        with new_folder(folder, overwrite=overwrite) as draft:
            (draft / "half").write_text("written")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail(tmp_path / "other", False)
    with pytest.raises(RuntimeError):
        fail(out, True)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    assert (out / "model.json").read_text() == "{2}"


@pytest.mark.parametrize("arguments", [["demo", "--seed", "-1"], ["demo", "--seed", "x"], ["no"]])
def test_wrong_usage_exits_with_2(arguments):
    assert runner.invoke(app, arguments).exit_code == 2


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    result = runner.invoke(app, ["demo", "--out", str(tmp_path / "file" / "run")])
    assert result.exit_code == 2
    assert "cannot be written" in result.stderr
