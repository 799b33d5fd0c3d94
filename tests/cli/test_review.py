"""`nbam review`: tables to fill in, and runs that are corrected by the answers."""

import json

import numpy as np
import pandas as pd
import pytest

from nbam_pyro.cli.runs.answers import Answers
from nbam_pyro.cli.runs.corrected import _Review
from nbam_pyro.decisions import review_queue
from tests.cli.helpers import nbam, refused

N = 900


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    """A run without training whose share is too small, and which labels are wrong."""
    folder = tmp_path_factory.mktemp("judged")
    rng = np.random.default_rng(0)
    truth = rng.integers(3, size=N)
    names = np.array(["01", "1", "x"])
    wrong = rng.random(N) < 0.2
    codes = np.where(wrong, (truth + 1) % 3, truth)
    easy = rng.random(N) < 0.7  # in the other rows the classifier believes the label
    p = np.full((N, 3), 0.03)
    p[np.arange(N), np.where(easy, truth, codes)] = 0.94
    frame = pd.DataFrame({"species": names[codes]})
    frame.loc[:19, "species"] = None
    known = (np.arange(N) >= 20) & (truth == 0)
    frame["checked"] = pd.Series(names[truth]).where(known)
    frame.to_csv(folder / "data.csv", index=False)
    pd.DataFrame(p, columns=names).to_csv(folder / "p.csv", index=False)
    arguments = ["fit", folder / "data.csv", "--label", "species"]
    arguments += ["--pred-probs", folder / "p.csv"]
    for name, more in (("run", []), ("known", ["--true-label", "checked"])):
        result = nbam(*arguments, *more, "--out", folder / name)
        assert result.exit_code == 0, result.output
    return folder, wrong, known


def drawn(run, out, *more):
    result = nbam("review", run, "--budget", 200, "--out", out, *more)
    assert result.exit_code == 0, result.output
    return pd.read_csv(out, dtype={"label": str, "suggested_label": str})


def filled(table, wrong, path):
    answers = table.assign(wrong=wrong[table["row"]].astype(int))
    answers.to_csv(path, index=False)
    return answers


def corrected(run, answers, out, *more):
    result = nbam("review", run, "--answers", answers, "--out", out, *more)
    assert result.exit_code == 0, result.output
    return json.loads((out / "reviewed.json").read_text()), result.stdout


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_random_review_corrects_share_and_rows(judged, tmp_path):
    folder, wrong, _ = judged
    run, before = folder / "run", contents(folder / "run")
    table = drawn(run, tmp_path / "review.csv")
    assert list(table) == [
        *("order", "row", "label", "suggested_label", "suggested_probability", "responsibility"),
        *("inclusion_probability", "wrong"),
    ]
    assert table["wrong"].isna().all()
    assert (table["row"] >= 20).all()  # the others have no label
    assert set(table["label"]) == {"01", "1", "x"}
    assert (drawn(run, tmp_path / "again.csv")["row"] == table["row"]).all()
    other = drawn(run, tmp_path / "other.csv", "--seed", 1)
    assert set(other["row"]) != set(table["row"])
    filled(table, wrong, tmp_path / "a.csv")
    summary, said = corrected(run, tmp_path / "a.csv", tmp_path / "out")
    share = wrong[20:].mean()
    assert summary["contamination_before"] < summary["contamination_low"]
    assert summary["contamination_low"] < share < summary["contamination_high"]
    assert (summary["rows"], summary["reviewed"], summary["skipped"]) == (N - 20, 200, 0)
    found = wrong[table["row"]].sum()
    assert summary["contaminated"] == found
    assert f"200 rows of a random sample; {found} of them are wrong." in said
    assert f"The run said {summary['contamination_before']:.1%}" in said
    assert summary["note"] in said
    rows = pd.read_csv(tmp_path / "out" / "reviewed.csv", dtype={"label": str}).set_index("row")
    assert sorted(rows.index) == [*range(20, N)]
    assert rows["responsibility"].is_monotonic_decreasing
    assert rows["responsibility"].mean() == pytest.approx(summary["contamination"])
    seen = rows.loc[table["row"]]
    assert (seen["responsibility"] == wrong[seen.index]).all()
    assert rows["verified"].sum() == seen["verified"].sum() == 200
    flags = pd.read_csv(run / "flags.csv").set_index("row").loc[rows.index]
    assert rows["responsibility_before"].to_numpy() == pytest.approx(flags["responsibility"])
    assert contents(run) == before


def test_rows_that_were_verified_before_count_as_they_are(judged, tmp_path):
    folder, wrong, known = judged
    run = folder / "known"
    table = drawn(run, tmp_path / "review.csv")
    assert not known[table["row"]].any()
    filled(table, wrong, tmp_path / "a.csv")
    summary, _ = corrected(run, tmp_path / "a.csv", tmp_path / "out")
    assert summary["verified_before"] == known.sum()
    assert summary["contamination_low"] < wrong[20:].mean() < summary["contamination_high"]
    assert "They count as they are" in summary["note"]
    rows = pd.read_csv(tmp_path / "out" / "reviewed.csv").set_index("row")
    assert (rows["responsibility"].loc[np.flatnonzero(known)] == wrong[known]).all()
    assert rows["verified"].sum() == known.sum() + 200
    # All other rows are drawn if the budget is large, and the share is then known.
    result = nbam("review", run, "--budget", 10_000, "--out", tmp_path / "all.csv")
    assert result.exit_code == 0, result.output
    filled(pd.read_csv(tmp_path / "all.csv"), wrong, tmp_path / "a.csv")
    summary, _ = corrected(run, tmp_path / "a.csv", tmp_path / "all")
    ends = [summary["contamination"], summary["contamination_low"], summary["contamination_high"]]
    assert ends == pytest.approx([wrong[20:].mean()] * 3)


def test_a_spreadsheet_may_sort_and_round(judged, tmp_path):
    folder, wrong, _ = judged
    answers = filled(drawn(folder / "run", tmp_path / "r.csv"), wrong, tmp_path / "a.csv")
    answers["wrong"] = answers["wrong"].map({1: "TRUE", 0: "FALSE"})
    answers = answers.sort_values("responsibility").drop(columns=["label", "suggested_label"])
    answers.to_csv(tmp_path / "b.csv", index=False, float_format="%.6g")
    answers.to_parquet(tmp_path / "b.parquet")
    one, _ = corrected(folder / "run", tmp_path / "a.csv", tmp_path / "one")
    for name in ("b.csv", "b.parquet"):
        other, _ = corrected(folder / "run", tmp_path / name, tmp_path / name.replace(".", "-"))
        assert {**other, "answers": None} == {**one, "answers": None}


def test_a_review_that_stops_early_is_a_smaller_sample(judged, tmp_path):
    folder, wrong, _ = judged
    answers = filled(drawn(folder / "run", tmp_path / "r.csv"), wrong, tmp_path / "a.csv")
    whole, _ = corrected(folder / "run", tmp_path / "a.csv", tmp_path / "whole")
    answers.loc[120:, "wrong"] = np.nan
    answers.to_csv(tmp_path / "b.csv", index=False)
    part, _ = corrected(folder / "run", tmp_path / "b.csv", tmp_path / "part")
    assert (part["drawn"], part["reviewed"], part["skipped"]) == (200, 120, 0)
    assert "end with row 120 of 200" in part["note"]
    assert "unless the review stopped because of the answers" in part["note"]
    assert part["contamination_low"] < wrong[20:].mean() < part["contamination_high"]
    assert _width(part) > _width(whole)


def test_skipped_rows_widen_the_interval_by_both_answers(judged, tmp_path):
    folder, wrong, _ = judged
    answers = filled(drawn(folder / "run", tmp_path / "r.csv"), wrong, tmp_path / "a.csv")
    skipped = answers["order"] % 7 == 0
    answers["wrong"] = answers["wrong"].astype(float).mask(skipped)
    answers.to_csv(tmp_path / "b.csv", index=False)
    found, said = corrected(folder / "run", tmp_path / "b.csv", tmp_path / "out")
    assert found["skipped"] == skipped.sum() == 28
    assert "28 rows were skipped" in said
    for code in (0, 1):
        answers["wrong"] = answers["wrong"].mask(skipped, code)
        answers.to_csv(tmp_path / "c.csv", index=False)
        end, _ = corrected(folder / "run", tmp_path / "c.csv", tmp_path / f"out{code}")
        assert found["contamination_low"] <= end["contamination_low"]
        assert found["contamination_high"] >= end["contamination_high"]


def _width(summary):
    return summary["contamination_high"] - summary["contamination_low"]


def test_the_share_is_right_on_average_if_the_review_stops_early():
    rng = np.random.default_rng(0)
    r = rng.beta(0.5, 1.5, 400)
    wrong = rng.random(400) < r**0.6
    shares, inside = [], []
    for seed in range(60):
        queue = review_queue(r, budget=100, design="random", seed=seed)
        place = queue["row"].to_numpy()
        code = np.where(np.arange(100) < 60, wrong[place], -1)
        answers = Answers(
            place=place, code=code, inclusion=queue["inclusion_probability"].to_numpy()
        )
        found = _Review.of(answers, r)
        shares.append(found.main.contamination)
        inside.append(found.low <= wrong.mean() <= found.high)
    error = np.std(shares) / np.sqrt(len(shares))
    assert abs(np.mean(shares) - wrong.mean()) < 3 * error
    assert np.mean(inside) > 0.8


def test_rows_chosen_by_suspicion_do_not_correct_the_share(judged, tmp_path):
    folder, wrong, _ = judged
    table = drawn(folder / "run", tmp_path / "r.csv", "--design", "sorted")
    assert "inclusion_probability" not in table
    assert table["responsibility"].is_monotonic_decreasing
    filled(table, wrong, tmp_path / "a.csv")
    arguments = ["review", folder / "run", "--answers", tmp_path / "a.csv"]
    said = refused(*arguments, "--out", tmp_path / "out")
    assert "Draw rows with --design random" in said
    assert "--contaminated" in said
    assert not (tmp_path / "out").exists()


def _with(name, value):
    def change(table):
        table[name] = table[name].astype(object)
        table.loc[3, name] = value
        return table

    return change


MISTAKES = {
    "no answer": (lambda t: t.assign(wrong=None), "has no answer"),
    "another answer": (_with("wrong", "perhaps"), "'perhaps' is not 1, true, 0 or false"),
    "no answers": (lambda t: t.drop(columns="wrong"), "no column 'wrong'"),
    "no rows": (lambda t: t.drop(columns="row"), "no column 'row'"),
    "no order": (lambda t: t.drop(columns="order"), "no column 'order'"),
    "no responsibilities": (lambda t: t.drop(columns="responsibility"), "'responsibility'"),
    "a line twice": (lambda t: pd.concat([t, t[:1]]), "more than once"),
    "a strange row": (_with("row", 5000), "row '5000'"),
    "a row without a label": (_with("row", 3), "row '3'"),
    "a row removed": (lambda t: t.drop(index=5), "number its 199 rows from 1 to 199"),
    "the end removed": (lambda t: t[:150], "in a sample of 150 rows"),
    "another responsibility": (_with("responsibility", 0.123), "drawn from another run"),
    "a responsibility missing": (_with("responsibility", None), "drawn from another run"),
    "another probability": (_with("inclusion_probability", 0.5), "inclusion_probability 0.5"),
    "a large probability": (_with("inclusion_probability", 1.5), "inclusion_probability 1.5"),
    "no probability": (_with("inclusion_probability", None), "inclusion_probability nan"),
    "a probability in words": (_with("inclusion_probability", "half"), "not a number"),
    "an order that is none": (_with("order", 7), "is not the table as it was drawn"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_in_answers_are_named_and_leave_nothing(mistake, judged, tmp_path):
    folder, wrong, _ = judged
    change, says = MISTAKES[mistake]
    table = filled(drawn(folder / "run", tmp_path / "r.csv"), wrong, tmp_path / "a.csv")
    change(table).to_csv(tmp_path / "a.csv", index=False)
    arguments = ["review", folder / "run", "--answers", tmp_path / "a.csv"]
    assert says in refused(*arguments, "--out", tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "r.csv"]


def test_answers_of_another_run_are_refused(judged, tmp_path):
    folder, wrong, _ = judged
    filled(drawn(folder / "run", tmp_path / "r.csv"), wrong, tmp_path / "a.csv")
    arguments = ["review", folder / "known", "--answers", tmp_path / "a.csv"]
    assert "from which the rows were drawn" in refused(*arguments, "--out", tmp_path / "out")


def test_options_that_do_not_go_together_are_named(judged, tmp_path):
    folder, *_ = judged
    run, out = folder / "run", tmp_path / "r.csv"
    assert "--budget to draw" in refused("review", run, "--out", out)
    both = ("--budget", 3, "--answers", out)
    assert "Leave out --budget" in refused("review", run, *both, "--out", out)
    budget = ("review", run, "--budget", 3)
    assert "--design is 'best'" in refused(*budget, "--design", "best", "--out", out)
    assert "in the run folder" in refused(*budget, "--out", run / "r.csv")
    answers = ("--answers", out, "--out", run, "--overwrite")
    assert "in the run folder" in refused("review", run, *answers)
    out.write_text("mine")
    assert "--overwrite" in refused(*budget, "--out", out)
    assert out.read_text() == "mine"
    assert "not a run folder" in refused("review", tmp_path, "--budget", 3, "--out", folder / "r")


def test_anomalies_are_reviewed_too(tmp_path):
    rng = np.random.default_rng(0)
    odd = np.arange(500) < 40
    scores = pd.DataFrame({"score": rng.normal(size=500) + 6 * odd})
    scores["seen"] = pd.Series([1.0, 1.0]).reindex(range(500))
    scores.to_csv(tmp_path / "s.csv", index=False)
    run = tmp_path / "run"
    result = nbam("detect", "--scores", tmp_path / "s.csv", "--verified", "seen", "--out", run)
    assert result.exit_code == 0, result.output
    table = drawn(run, tmp_path / "r.csv")
    assert list(table)[-1] == "anomaly"
    assert table["row"].min() >= 2
    table.assign(anomaly=odd[table["row"]]).to_csv(tmp_path / "a.csv", index=False)
    summary, said = corrected(run, tmp_path / "a.csv", tmp_path / "out")
    assert summary["verified_before"] == 2
    assert summary["contamination_low"] <= 0.08 <= summary["contamination_high"]
    assert "of the rows are anomalies" in said
