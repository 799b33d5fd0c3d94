"""`nbam compare` on small files."""

from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from nbam_pyro import NBAMClassifier, NBAMRegressor
from nbam_pyro.cli import app
from nbam_pyro.inference import compare_priors

# A fit of a few epochs has no reason to be sound.
pytestmark = pytest.mark.filterwarnings("ignore::nbam_pyro.errors.CannotTellWarning")


def nbam(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compare")
    rng = np.random.default_rng(0)
    true = rng.integers(3, size=90)
    table = pd.DataFrame(4 * np.eye(3)[true] + rng.normal(size=(90, 3)), columns=list("abc"))
    wrong = rng.random(90) < 0.3
    table["species"] = np.array(["x", "y", "z"])[np.where(wrong, (true + 1) % 3, true)]
    table.loc[:3, "species"] = None
    table["truth"] = pd.Series(np.array(["x", "y", "z"])[true]).where(rng.random(90) < 0.1)
    table.to_csv(folder / "data.csv", index=False)
    for name, prior in (("low", "0.02"), ("open", "beta:1,1")):
        result = nbam(
            "fit",
            folder / "data.csv",
            *("--label", "species", "--true-label", "truth", "--epochs", 3),
            *("--contamination", prior, "--out", folder / name),
        )
        assert result.exit_code == 0, result.output
    return folder


def test_runs_are_ranked(folder):
    out = folder / "table.csv"
    result = nbam("compare", folder / "low", folder / "open", "--folds", 2, "--out", out)
    assert result.exit_code == 0, result.output
    assert "2 folds of 86 rows" in result.output
    table = pd.read_csv(out, index_col="run")
    assert set(table.index) == {str(folder / "low"), str(folder / "open")}
    assert table["elpd"].is_monotonic_decreasing
    again = nbam("compare", folder / "low", folder / "open", "--out", out)
    assert again.exit_code == 2
    assert "exists already" in again.output


def test_what_cannot_be_compared_is_said_in_one_line(folder):
    for runs, words in (
        ([folder / "low"], "at least two"),
        ([folder / "low", folder / "low"], "at least two"),
        ([folder / "low", folder / "nothing"], "nothing"),
    ):
        result = nbam("compare", *runs)
        assert result.exit_code == 2
        assert words in result.output
        assert len(result.output.strip().splitlines()) == 1
    other = folder / "other"
    fitted = nbam(
        "fit",
        folder / "data.csv",
        *("--label", "species", "--epochs", 2, "--out", other),
    )
    assert fitted.exit_code == 0
    result = nbam("compare", folder / "low", other)
    assert result.exit_code == 2
    assert "same data and settings" in result.output


@pytest.mark.parametrize("estimator", [NBAMClassifier, NBAMRegressor])
def test_estimators_prepare_what_they_would_fit(estimator):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 2))
    y = x[:, 0] + 0.1 * rng.normal(size=60)
    y = np.where(y > 0, "up", "down").astype(object) if estimator is NBAMClassifier else y
    y[3] = None if estimator is NBAMClassifier else np.nan
    stories = {}
    for name, contamination in (("low", 0.02), ("high", 0.4)):
        prepared = estimator(contamination=contamination, random_state=0).prepared(x, y)
        stories[name], rows, targets = prepared
    assert rows.shape == (59, 2)
    comparison = compare_priors(stories, rows, targets, folds=2, epochs=2, num_draws=5)
    assert len(comparison.table) == 2


def test_runs_with_a_file_of_verified_rows_are_compared(folder, tmp_path):
    table = pd.read_csv(folder / "data.csv").drop(columns="truth")
    table.to_csv(tmp_path / "data.csv", index=False)
    answers = pd.DataFrame({"row": [10, 11, 12], "verdict": ["right", "wrong", "unsure"]})
    answers.to_csv(tmp_path / "answers.csv", index=False)
    verified, runs = tmp_path / "v.csv", [tmp_path / "low", tmp_path / "open"]
    fit = ["fit", tmp_path / "data.csv", "--label", "species", "--epochs", 3, "--out"]
    assert nbam(*fit, tmp_path / "first").exit_code == 0
    done = nbam("verify", tmp_path / "first", tmp_path / "answers.csv", "--out", verified)
    assert done.exit_code == 0, done.output
    for run, prior in zip(runs, ("0.02", "beta:1,1"), strict=True):
        fitted = nbam(*fit, run, "--verified", verified, "--contamination", prior)
        assert fitted.exit_code == 0, fitted.output
    with patch("nbam_pyro.cli.runs.comparing.compare_priors", wraps=compare_priors) as compared:
        result = nbam("compare", *runs, "--folds", 2)
    assert result.exit_code == 0, result.output
    assert "2 folds of 86 rows" in result.output
    known = compared.call_args.kwargs["verified"]
    assert np.flatnonzero(known.known.numpy()).tolist() == [6, 7]  # rows 0 to 3 have no label
    assert known.contaminated[6:8].tolist() == [0, 1]
    other = nbam("compare", runs[0], tmp_path / "first")
    assert other.exit_code == 2
    assert "has verified" in other.output
    verified.unlink()
    gone = nbam("compare", *runs, "--folds", 2)
    assert gone.exit_code == 2
    assert "v.csv" in gone.output
    assert len(gone.output.strip().splitlines()) == 1
