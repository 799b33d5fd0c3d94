"""`nbam detect` on small files."""

import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from typer.testing import CliRunner

from nbam_pyro.cli import app


def nbam(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def table():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(120, 2)) @ rng.normal(size=(2, 4)), columns=list("abcd"))
    frame.loc[:11] = 3 * rng.normal(size=(12, 4))
    frame["seen"] = pd.Series([1.0, 1.0, 1.0]).reindex(range(120))
    frame.loc[50:60, "seen"] = 0.0
    return frame


def test_a_run_has_scores_flags_and_a_rate(table, tmp_path):
    data, out = tmp_path / "data.csv", tmp_path / "run"
    table.to_csv(data, index=False)
    common = ("--verified", "seen", "--backbone", "ae", "--epochs", 20, "--out", out)
    result = nbam("detect", data, *common, "--contamination", 0.1)
    assert result.exit_code == 0, result.output
    flags = pd.read_csv(out / "flags.csv")
    assert set(flags) == {"row", "score", "flagged", "responsibility", "verified_anomaly"}
    assert flags["score"].is_monotonic_decreasing
    assert flags["flagged"].sum() == 12
    assert flags.set_index("row")["verified_anomaly"].value_counts().to_dict() == {
        -1: 106,
        0: 11,
        1: 3,
    }
    summary = json.loads((out / "summary.json").read_text())
    low, high = summary["contamination_low"], summary["contamination_high"]
    assert 0 <= low <= summary["contamination"] <= high <= 1
    assert summary["verdict"] in ("identified", "weak", "cannot tell")
    assert summary["features"] == 4
    assert (out / "plots" / "scores.png").exists()
    shown = nbam("show", out)
    assert shown.exit_code == 0, shown.output
    assert "How many:" in shown.output
    assert f"Verdict: {summary['verdict']}\n" in shown.output
    scored = nbam("score", out, data, "--out", tmp_path / "new.csv")
    assert scored.exit_code == 0, scored.output
    assert "120 rows scored; 12 of them are flagged" in scored.output
    new = pd.read_csv(tmp_path / "new.csv")
    assert new["responsibility"].is_monotonic_decreasing
    unseen = (flags["verified_anomaly"] == -1).to_numpy()
    pd.testing.assert_frame_equal(
        new[unseen],
        flags[unseen].drop(columns="verified_anomaly"),
        rtol=1e-6,
    )
    table[list("abc")].to_csv(tmp_path / "other.csv", index=False)
    other = nbam("score", out, tmp_path / "other.csv", "--out", tmp_path / "none.csv")
    assert other.exit_code == 2
    assert "'d'" in other.output
    again = nbam("detect", data, *common)
    assert again.exit_code == 2
    assert "exists already" in again.output


@pytest.mark.parametrize("further", [(), ("--backbone", "ntl", "--epochs", 4)])
def test_the_rate_is_estimated_where_none_is_given(further, table, tmp_path):
    np.savez(tmp_path / "data.npz", X=table[list("abcd")].to_numpy())
    result = nbam("detect", tmp_path / "data.npz", *further, "--out", tmp_path / "run")
    assert result.exit_code == 0, result.output
    scored = nbam("score", tmp_path / "run", tmp_path / "data.npz", "--out", tmp_path / "new.csv")
    assert scored.exit_code == 0, scored.output
    flags = pd.read_csv(tmp_path / "run" / "flags.csv")
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "new.csv"), flags, rtol=1e-6)
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["population_rate_low"] <= summary["population_rate_high"]


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_scores_of_any_detector_are_enough(ending, tmp_path):
    rng = np.random.default_rng(0)
    scores = np.r_[rng.normal(size=180), rng.normal(9, 1, 20)]
    frame = pd.DataFrame({"id": range(200), "score": scores, "seen": np.nan})
    frame.loc[199, "seen"] = 1.0
    path, out = tmp_path / f"scores.{ending}", tmp_path / "run"
    frame.to_csv(path, index=False) if ending == "csv" else frame.to_parquet(path)
    result = nbam("detect", "--scores", path, "--verified", "seen", "--out", out)
    assert result.exit_code == 0, result.output
    summary = json.loads((out / "summary.json").read_text())
    assert summary["contamination_low"] <= 0.1 <= summary["contamination_high"]
    assert summary["verdict"] == "identified"
    assert 17 <= summary["flagged"] <= 20
    flags = pd.read_csv(out / "flags.csv")
    assert list(flags) == ["row", "score", "responsibility", "flagged", "verified_anomaly"]
    assert flags["responsibility"].is_monotonic_decreasing
    shown = nbam("show", out)
    assert shown.exit_code == 0, shown.output
    assert "Verdict: identified\n" in shown.output


def test_a_file_of_scores_needs_no_other_column(tmp_path):
    path = tmp_path / "scores.csv"
    pd.DataFrame({"score": np.arange(30) ** 2.0}).to_csv(path, index=False)
    result = nbam("detect", "--scores", path, "--out", tmp_path / "run")
    assert result.exit_code == 0, result.output


def test_bad_scores_are_refused(tmp_path):
    path = tmp_path / "scores.csv"
    pd.DataFrame({"score": [1.0, np.nan, 2.0], "b": 0}).to_csv(path, index=False)
    for arguments, words in (
        (("--scores", path), "missing"),
        ((path, "--scores", path), "either DATA or --scores"),
        ((), "either DATA or --scores"),
    ):
        result = nbam("detect", *arguments, "--out", tmp_path / "run")
        assert result.exit_code == 2, result.output
        assert words in result.output
        assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--backbone", "magic"], "--backbone is 'magic'"),
        (["--epochs", "3"], "--epochs is for neural models"),
        (["--contamination", "much"], "--contamination is 'much'"),
        (["--contamination", "0.9"], "up to 0.5"),
        (["--verified", "a"], "not 1, true, 0 or false"),
        (["--verified", "nothing"], "no column"),
    ],
)
def test_mistakes_are_said_in_one_line(table, tmp_path, arguments, words):
    table.to_parquet(tmp_path / "data.parquet")
    out = tmp_path / "run"
    result = nbam("detect", tmp_path / "data.parquet", *arguments, "--out", out)
    assert result.exit_code == 2
    assert words in result.output
    assert len(result.stderr.strip().splitlines()) == 1
    assert not out.exists()


@pytest.fixture
def pictures():
    """Grey images of a bright square; the last four have it in another corner."""
    images = np.random.default_rng(0).integers(0, 60, (24, 1, 12, 12)).astype(np.uint8)
    images[:20, :, 2:7, 2:7] += 150
    images[20:, :, 6:11, 6:11] += 150
    return images


def test_images_are_detected_and_scored_with_cobra(pictures, tmp_path):
    folder, run = tmp_path / "images", tmp_path / "run"
    folder.mkdir()
    for number, image in enumerate(pictures):
        Image.fromarray(image[0]).save(folder / f"{number:02d}.png")
    further = ("--backbone", "cobra", "--contamination", 0.1, "--epochs", 1)
    result = nbam("detect", folder, *further, "--out", run)
    assert result.exit_code == 0, result.output
    summary = json.loads((run / "summary.json").read_text())
    assert (summary["backbone"], summary["features"], summary["flagged"]) == ("cobra", 144, 3)
    scored = nbam("score", run, folder, "--out", tmp_path / "new.csv")
    assert scored.exit_code == 0, scored.output
    new = pd.read_csv(tmp_path / "new.csv").set_index("row")["score"]
    own = pd.read_csv(run / "flags.csv").set_index("row")["score"]
    assert np.allclose(new[own.index], own)
    np.savez(tmp_path / "data.npz", X=pictures / 255)
    result = nbam("detect", tmp_path / "data.npz", *further, "--out", tmp_path / "other")
    assert result.exit_code == 0, result.output


def test_cobra_takes_images_and_the_others_tables(table, pictures, tmp_path):
    data, bytes_ = tmp_path / "data.csv", tmp_path / "bytes.npz"
    table.drop(columns="seen").to_csv(data, index=False)
    np.savez(bytes_, X=pictures)
    cobra = ("--backbone", "cobra", "--epochs", 1, "--contamination", 0.1)
    for arguments, message in (
        ((data, *cobra), "is a table of features, but --backbone cobra takes images"),
        ((bytes_, *cobra), "Divide bytes by 255"),
        ((bytes_,), "has images, but this model needs a table"),
        ((bytes_, "--backbone", "ae"), "has images, but this model needs a table"),
    ):
        result = nbam("detect", *arguments, "--out", tmp_path / "run")
        assert result.exit_code == 2
        assert message in " ".join(result.output.split())
