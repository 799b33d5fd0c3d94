"""`nbam fit` on every kind of data, with every option."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.cli.helpers import bugs, distances, nbam, refused


def test_a_csv_with_swapped_labels_is_seen_through(fitted_bugs):
    folder, _, wrong, result = fitted_bugs
    flags = pd.read_csv(folder / "run" / "flags.csv").sort_values("row")
    assert ((flags["responsibility"] > 0.5) == wrong).mean() > 0.97
    assert set(flags["suggested_label"]) == {"ant", "bee", "cat"}
    assert "'ant' is labelled 'bee'" in result.stdout
    assert "'bee' is labelled 'ant'" in result.stdout
    assert "'cat' is labelled" not in result.stdout
    summary = json.loads((folder / "run" / "summary.json").read_text())
    assert summary["contamination_low"] <= summary["contamination"] <= summary["contamination_high"]
    assert summary["contamination"] == pytest.approx(wrong.mean(), abs=0.03)
    assert summary["population_rate_low"] <= wrong.mean() <= summary["population_rate_high"]
    assert summary["verdict_lines"][0] == f"Verdict: {summary['verdict']}"
    names = {p.relative_to(folder / "run").as_posix() for p in (folder / "run").rglob("*.*")}
    assert names == {
        "flags.csv",
        "manifest.json",
        "model.json",
        "model.safetensors",
        "plots/responsibilities.png",
        "plots/training_curve.png",
        "plots/transition_matrix.png",
        "posterior.nc",
        "run.json",
        "settings.json",
        "summary.json",
    }


def test_show_says_it_in_words(fitted_bugs):
    folder, _, wrong, _ = fitted_bugs
    said = nbam("show", folder / "run").stdout
    for word in ("How much", "Which directions", "How sure", "Verdict: ", "20 most susp"):
        assert word in said
    flagged = [int(line.split()[0]) for line in said.splitlines()[-20:]]
    assert wrong[flagged].all()


def test_fit_keeps_a_run_unless_told(fitted_bugs, quick, tmp_path):
    folder, *_ = fitted_bugs
    shutil.copytree(folder / "run", tmp_path / "run")
    arguments = ["fit", folder / "bugs.csv", "--label", "species", "--out", tmp_path / "run"]
    assert "--overwrite" in refused(*arguments)
    before = (tmp_path / "run" / "flags.csv").read_text()
    assert nbam(*arguments, "--overwrite").exit_code == 0
    assert (tmp_path / "run" / "flags.csv").read_text() != before


def test_measurements_in_parquet(tmp_path):
    frame, wrong = distances(180)
    frame.to_parquet(tmp_path / "far.parquet")
    result = nbam("fit", tmp_path / "far.parquet", "--label", "far", "--out", tmp_path / "run")
    assert result.exit_code == 0, result.output
    assert "18 flagged rows, 18 lie above" in result.stdout
    flags = pd.read_csv(tmp_path / "run" / "flags.csv").sort_values("row")
    assert ((flags["responsibility"] > 0.5) == wrong).all()
    assert "prediction" in flags
    said = nbam("show", tmp_path / "run").stdout
    assert "scatter around the prediction" in said
    out = tmp_path / "s.csv"
    assert nbam("score", tmp_path / "run", tmp_path / "far.parquet", "--out", out).exit_code == 0


def test_arrays_in_npz(quick, tmp_path):
    frame, _ = bugs(90)
    x, y = frame[["length", "width"]].to_numpy(), frame["species"].to_numpy(str)
    np.savez(tmp_path / "bugs.npz", X=x, kind=y)
    result = nbam("fit", tmp_path / "bugs.npz", "--label", "kind", "--out", tmp_path / "run")
    assert result.exit_code == 0, result.output
    out = tmp_path / "s.csv"
    assert nbam("score", tmp_path / "run", tmp_path / "bugs.npz", "--out", out).exit_code == 0
    assert set(pd.read_csv(out)["label"]) == {"ant", "bee", "cat"}
    np.savez(tmp_path / "wide.npz", X=np.zeros((3, 5)), kind=y[:3])
    assert "(5" in refused(
        "score", tmp_path / "run", tmp_path / "wide.npz", "--out", tmp_path / "w"
    )


def test_an_image_folder(quick, tmp_path):
    rng = np.random.default_rng(0)
    for name, level in (("dark", 40), ("light", 200)):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        for i in range(12):
            pixels = rng.integers(level, level + 30, (12, 12), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "pictures" / name / f"{i}.png")
    result = nbam("fit", tmp_path / "pictures", "--out", tmp_path / "run")
    assert result.exit_code == 0, result.output
    flags = pd.read_csv(tmp_path / "run" / "flags.csv")
    assert set(flags["row"].str.split("/").str[0]) == {"dark", "light"}
    out = tmp_path / "s.csv"
    assert nbam("score", tmp_path / "run", tmp_path / "pictures", "--out", out).exit_code == 0
    assert "Leave out the label" in refused(
        "fit", tmp_path / "pictures", "--label", "x", "--out", tmp_path / "other"
    )


@pytest.mark.parametrize(
    ("text", "prior"),
    [("0.05", [5.0, 95.0]), ("beta:2,8", [2.0, 8.0])],
)
def test_contamination_is_a_prior(quick, tmp_path, text, prior):
    bugs(90)[0].to_csv(tmp_path / "bugs.csv", index=False)
    arguments = ["fit", tmp_path / "bugs.csv", "--label", "species", "--out", tmp_path / "run"]
    assert nbam(*arguments, "--contamination", text).exit_code == 0
    model = json.loads((tmp_path / "run" / "model.json").read_text())
    described = model["copies"][0]["story"]["description"]
    assert described["arguments"]["prior"]["arguments"]["rate"] == pytest.approx(prior)


@pytest.mark.parametrize("text", ["much", "beta:2", "beta:0,1", "1.5", "0"])
def test_a_contamination_that_is_none_is_named(tmp_path, text):
    bugs(90)[0].to_csv(tmp_path / "bugs.csv", index=False)
    arguments = ["fit", tmp_path / "bugs.csv", "--label", "species", "--out", tmp_path / "run"]
    said = refused(*arguments, "--contamination", text)
    assert "contamination" in said or "positive" in said
    assert not (tmp_path / "run").exists()


def test_the_task_can_be_said(quick, tmp_path):
    frame, _ = distances(60)
    frame["grade"] = np.arange(60) % 3
    frame["year"] = 1950 + np.arange(60)
    frame.to_csv(tmp_path / "d.csv", index=False)

    def task(label, *more):
        out = tmp_path / "run"
        arguments = ["fit", tmp_path / "d.csv", "--label", label, "--out", out, "--overwrite"]
        result = nbam(*arguments, *more)
        assert result.exit_code == 0, result.output
        return json.loads((out / "summary.json").read_text())["task"]

    assert task("grade") == "classification"
    assert task("grade", "--task", "regression") == "regression"
    assert task("year") == "regression"
    assert task("far", "--task", "auto") == "regression"
    assert "NBAMRegressor" in refused(
        "fit", tmp_path / "d.csv", "--label", "far", "--task", "classification", "--out", "x"
    )
    assert "Give auto" in refused(
        "fit", tmp_path / "d.csv", "--label", "far", "--task", "guess", "--out", "x"
    )


def test_the_seed_decides(quick, tmp_path):
    bugs(90)[0].to_csv(tmp_path / "bugs.csv", index=False)
    flags = []
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        arguments = ["fit", tmp_path / "bugs.csv", "--label", "species", "--out", tmp_path / name]
        assert nbam(*arguments, "--seed", seed).exit_code == 0
        flags.append((tmp_path / name / "flags.csv").read_bytes())
    assert flags[0] == flags[1] != flags[2]


def test_missing_cells_and_labels_are_said(quick, tmp_path):
    frame, _ = bugs(90)
    frame.loc[3, "length"] = np.nan
    frame.loc[[5, 6], "species"] = None
    frame.to_csv(tmp_path / "bugs.csv", index=False)
    result = nbam("fit", tmp_path / "bugs.csv", "--label", "species", "--out", tmp_path / "run")
    assert result.exit_code == 0, result.output
    assert "1 missing cell was filled" in result.stdout
    assert "88 labels in 3 classes, and 2 rows without one" in result.stdout
    flags = pd.read_csv(tmp_path / "run" / "flags.csv")
    assert len(flags) == 90
    assert flags["label"].isna().sum() == 2
    assert "1 missing cell" in nbam("show", tmp_path / "run").stdout


def test_labels_that_look_like_numbers_are_still_texts(quick, tmp_path):
    frame = bugs(90)[0].assign(species=np.array(["0", "1", "a"])[np.arange(90) % 3])
    frame.to_csv(tmp_path / "d.csv", index=False)
    frame[frame["species"] != "a"].to_csv(tmp_path / "new.csv", index=False)
    run, out = tmp_path / "run", tmp_path / "s.csv"
    assert nbam("fit", tmp_path / "d.csv", "--label", "species", "--out", run).exit_code == 0
    result = nbam("score", run, tmp_path / "new.csv", "--out", out)
    assert result.exit_code == 0, result.output
    assert len(pd.read_csv(out)) == 60


def test_odd_class_names_and_five_rows_are_no_obstacle(quick, tmp_path):
    frame = bugs(90)[0].assign(species=np.array(["$a_$", "日本", "c d"])[np.arange(90) % 3])
    frame.to_csv(tmp_path / "d.csv", index=False)
    arguments = ["fit", tmp_path / "d.csv", "--label", "species", "--out", tmp_path / "run"]
    result = nbam(*arguments)
    assert result.exit_code == 0, result.output
    assert result.stderr.count("Glyph") == 0


@pytest.mark.filterwarnings("ignore::nbam_pyro.errors.CannotTellWarning")
def test_four_rows_are_few_but_enough(tmp_path):
    bugs(6)[0].assign(species=["a", "b"] * 3).iloc[:4].to_csv(tmp_path / "d.csv", index=False)
    result = nbam("fit", tmp_path / "d.csv", "--label", "species", "--out", tmp_path / "run")
    assert result.exit_code == 0, result.output
