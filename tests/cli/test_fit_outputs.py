"""`nbam fit --pred-probs` and `--predictions`: runs without training."""

import json

import numpy as np
import pandas as pd
import pytest

from nbam_pyro import load_report
from tests.cli.helpers import bugs, distances, nbam, refused

NAMES = ["ant", "bee", "cat"]


def probabilities(n=360, seed=0):
    """Probabilities that are mostly right about the true species."""
    rng = np.random.default_rng(seed)
    p = rng.dirichlet([0.3, 0.3, 0.3], n) * 0.15
    p[np.arange(n), np.arange(n) % 3] += 0.85
    return pd.DataFrame(p, columns=NAMES)


def run(tmp_path, data, outputs, option, *more):
    data.to_csv(tmp_path / "data.csv", index=False)
    outputs.to_csv(tmp_path / "outputs.csv", index=False)
    return (
        *("fit", tmp_path / "data.csv", option, tmp_path / "outputs.csv"),
        *("--out", tmp_path / "run", *more),
    )


def results(tmp_path):
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    return summary, pd.read_csv(tmp_path / "run" / "flags.csv")


def test_labels_are_judged_by_probabilities(tmp_path):
    frame, wrong = bugs()
    frame.loc[0, "species"] = None
    given = probabilities()[["cat", "ant", "bee"]]  # in another order
    result = nbam(*run(tmp_path, frame, given, "--pred-probs", "--label", "species"))
    assert result.exit_code == 0, result.output
    assert "out of sample" in result.output
    summary, flags = results(tmp_path)
    assert summary["evidence"] == "out-of-sample"
    assert (summary["rows"], summary["labelled"], summary["classes"]) == (360, 359, 3)
    assert summary["contamination_low"] <= wrong.mean() <= summary["contamination_high"]
    flagged = flags.set_index("row")["responsibility"].sort_index() > 0.5
    assert (flagged.to_numpy()[1:] == wrong[1:]).mean() > 0.97
    top = flags.iloc[0]
    assert top["suggested_label"] == NAMES[top["row"] % 3]
    report = load_report(tmp_path / "run" / "report")
    assert report.labels.transition_matrix.index.tolist() == NAMES
    assert report.contamination == pytest.approx(summary["contamination"])
    shown = nbam("show", tmp_path / "run")
    assert shown.exit_code == 0, shown.output
    assert "Verdict: " in shown.output


def test_labels_may_be_numbers_alone_in_a_file(tmp_path):
    labels = pd.DataFrame({"y": np.arange(360) % 3 + 5, "checked": np.nan})
    labels.loc[3, "checked"] = 5
    given = probabilities().set_axis(["5", "6", "7"], axis=1)
    more = ("--label", "y", "--true-label", "checked")
    result = nbam(*run(tmp_path, labels, given, "--pred-probs", *more))
    assert result.exit_code == 0, result.output
    summary, _ = results(tmp_path)
    assert summary["verified"] == {"clean": 1, "contaminated": 0}
    assert summary["contamination"] < 0.05


@pytest.mark.parametrize("kind", ["mean", "quantiles", "draws"])
def test_measurements_are_judged_by_predictions(kind, tmp_path):
    frame, wrong = distances()
    mean = frame[["a", "b"]].to_numpy() @ [3.0, -2.0]
    rng = np.random.default_rng(1)
    given = {
        "mean": pd.DataFrame({"mean": mean, "scale": 0.1}),
        "quantiles": pd.DataFrame({"q0.05": mean - 0.16, "q0.5": mean, "q0.95": mean + 0.16}),
        "draws": pd.DataFrame(mean[:, None] + 0.1 * rng.normal(size=(200, 40))).rename(
            columns=lambda one: f"draw_{one}"
        ),
    }[kind]
    frame.loc[150, "far"] = np.nan
    result = nbam(*run(tmp_path, frame, given, "--predictions", "--label", "far"))
    assert result.exit_code == 0, result.output
    assert "must be out of sample" in result.output
    summary, flags = results(tmp_path)
    assert summary["verdict"] == "identified"
    assert summary["flagged"] == wrong.sum()
    assert summary["flagged_above"] == wrong.sum()
    assert list(flags) == ["row", "label", "responsibility", "prediction"]
    assert set(flags["row"][: wrong.sum()]) == set(np.flatnonzero(wrong))
    settings = json.loads((tmp_path / "run" / "settings.json").read_text())
    assert settings["command"] == "fit-outputs"
    assert nbam("show", tmp_path / "run").exit_code == 0


def test_verified_measurements_count(tmp_path):
    frame, wrong = distances()
    frame["seen"] = np.where(np.arange(200) < 5, wrong * 1.0, np.nan)
    mean = frame[["a", "b"]].to_numpy() @ [3.0, -2.0]
    given = pd.DataFrame({"mean": mean})
    more = ("--label", "far", "--contaminated", "seen", "--contamination", "0.1")
    result = nbam(*run(tmp_path, frame, given, "--predictions", *more))
    assert result.exit_code == 0, result.output
    assert results(tmp_path)[0]["verified"] == {"clean": 0, "contaminated": 5}


P = probabilities()


@pytest.mark.parametrize(
    ("given", "more", "words"),
    [
        (P[:-1], (), "has 359 rows"),
        (P.drop(columns="cat"), (), "no column for the classes 'cat'"),
        (P.assign(ant=-P["ant"]), (), "negative"),
        (P.assign(ant="much"), (), "expected numbers"),
        (P * 2, (), "do not sum to one"),
        (P, ("--epochs", 3), "nothing is trained"),
        (P, ("--task", "regression"), "Leave out --task"),
    ],
)
def test_bad_probabilities_are_refused(given, more, words, tmp_path):
    frame, _ = bugs()
    arguments = run(tmp_path, frame, given, "--pred-probs", "--label", "species", *more)
    assert words in refused(*arguments)
    assert not (tmp_path / "run").exists()


M = pd.DataFrame({"mean": np.zeros(200), "scale": np.ones(200)})


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (M[:-1], "has 199 rows"),
        (M.assign(scale=0.0), "must be positive"),
        (M.assign(mean="far"), "expected numbers"),
        (M.assign(draw_1=0.0), "only one of the three kinds"),
        (M[["scale"]], "needs the column mean"),
        (M.assign(mean=np.nan), "missing"),
    ],
)
def test_bad_predictions_are_refused(given, words, tmp_path):
    frame, _ = distances()
    assert words in refused(*run(tmp_path, frame, given, "--predictions", "--label", "far"))


def test_a_clean_error_is_a_prior_of_labels_only(tmp_path):
    frame, _ = bugs()
    few = run(tmp_path, frame, P, "--pred-probs", "--label", "species", "--clean-error", "0.9,1.0")
    nbam(*few)
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["contamination"] < 0.05
    measured, _ = distances()
    arguments = run(tmp_path, measured, M, "--predictions", "--label", "far")
    assert "for labels" in refused(*arguments, "--clean-error", "0.9,1.0", "--overwrite")


def test_labels_that_are_numbers_need_columns_that_are_numbers(tmp_path):
    labels = pd.DataFrame({"y": np.arange(360) % 3})
    arguments = run(tmp_path, labels, P, "--pred-probs", "--label", "y")
    assert "the labels are numbers" in refused(*arguments)
    assert "not both" in refused(*arguments, "--predictions", tmp_path / "outputs.csv")
