"""`from_scores`: order, scale, clean scores, two clear parts, verified rows, and bad input."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nbam_pyro import Verified
from nbam_pyro.errors import DataError
from nbam_pyro.outputs import ScoreCurve, from_scores
from nbam_pyro.outputs.scores.lone import lone_scores

FEW = settings(max_examples=5, deadline=None)


def two_parts(seed=0, count=500, share=0.1, at=9.0):
    rng = np.random.default_rng(seed)
    odd = round(count * share)
    return np.r_[rng.normal(size=count - odd), rng.normal(at, 1, odd)]


@FEW
@given(
    st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=60),
    st.integers(0, 2**32 - 1),
)
def test_responsibilities_rise_with_the_score_and_follow_the_rows(scores, seed):
    scores = np.array(scores)
    report = from_scores(scores)
    r = report.rows["responsibility"].to_numpy()
    assert ((r >= 0) & (r <= 1)).all()
    assert (np.diff(r[np.argsort(scores, kind="stable")]) >= 0).all()
    order = np.random.default_rng(seed).permutation(len(scores))
    again = from_scores(scores[order])
    np.testing.assert_array_equal(again.rows["responsibility"], r[order])
    assert again.contamination_interval == report.contamination_interval


@FEW
@given(
    st.lists(st.floats(-1e300, 1e300), min_size=1, max_size=60),
    st.lists(st.floats(-1e300, 1e300), min_size=2, max_size=20),
)
def test_new_scores_have_the_responsibilities_of_these_rows(scores, new):
    report = from_scores(np.array(scores))
    np.testing.assert_array_equal(report.responsibility_of(scores), report.rows["responsibility"])
    r = report.responsibility_of(np.sort(new))
    assert (np.diff(r) >= 0).all()
    ends = report.rows["responsibility"].agg(["min", "max"])
    assert ((r >= ends["min"]) & (r <= ends["max"])).all()


def test_a_curve_divides_neighbouring_numbers():
    below, upper = 1.0, np.nextafter(1.0, 2.0)
    curve = ScoreCurve.through(np.array([upper, below]), np.array([0.9, 0.1]))
    assert curve(np.array([below, upper])).tolist() == [0.1, 0.9]


def test_verified_rows_do_not_lend_their_answers_to_their_neighbours():
    scores = two_parts()
    codes = np.where(np.arange(500) == 3, 1, -1)
    report = from_scores(scores, verified=codes)
    assert report.rows["responsibility"].iloc[3] == 1
    assert report.responsibility_of(scores[3:4])[0] < 0.2
    with pytest.raises(DataError, match="missing or infinite"):
        report.responsibility_of([np.nan])


@pytest.mark.parametrize(("stretch", "shift"), [(2.0**-20, 0.0), (1e5, 7.0), (3.0, -1e3)])
def test_shifted_and_stretched_scores_give_the_same_result(stretch, shift):
    scores = two_parts(count=80)
    first, second = from_scores(scores), from_scores(scores * stretch + shift)
    assert second.contamination == pytest.approx(first.contamination, abs=0.02)


def test_equal_scores_have_equal_responsibilities():
    scores = np.random.default_rng(0).poisson(2, 400).astype(float)
    rows = from_scores(scores).rows
    assert (rows.groupby("score")["responsibility"].nunique() == 1).all()


CLEAN = {
    "normal": lambda rng, n: rng.normal(size=n),
    "gamma": lambda rng, n: rng.gamma(2, size=n),
    "lognormal": lambda rng, n: rng.lognormal(0, 0.7, n),
    "ranks": lambda rng, n: rng.permutation(n) / n,
    "constant": lambda rng, n: np.ones(n),
    "five levels": lambda rng, n: rng.choice(5, n, p=[0.5, 0.3, 0.1, 0.05, 0.05]),
}


@pytest.mark.parametrize("count", [20, 1000])
@pytest.mark.parametrize("kind", CLEAN)
def test_scores_without_a_second_part_cannot_tell(kind, count):
    report = from_scores(CLEAN[kind](np.random.default_rng(1), count))
    assert report.verdict.level == "cannot tell"
    assert report.contamination < 0.05


@pytest.mark.parametrize(("count", "share"), [(100, 0.1), (500, 0.25), (100_000, 0.2)])
def test_the_interval_of_two_clear_parts_contains_the_share(count, share):
    report = from_scores(two_parts(2, count, share))
    low, high = report.contamination_interval
    assert low <= share <= high
    assert high - low < 0.15
    assert report.verdict.level == "identified"
    assert "shape of the scores alone" in report.verdict.assumed
    r = report.rows["responsibility"].to_numpy()
    odd = np.arange(count) >= count - round(count * share)
    assert ((r - odd) ** 2).mean() < 0.01


@pytest.mark.parametrize("zeros", [0.25, 0.7])
def test_equal_lowest_scores_are_not_the_normal_rows(zeros):
    rng = np.random.default_rng(0)
    scores = np.where(rng.random(1000) < zeros, 0.0, 1 + rng.random(1000))
    report = from_scores(scores)
    assert report.contamination < 0.5
    assert report.verdict.level != "identified"


def test_a_large_second_part_may_be_a_group_of_normal_rows():
    report = from_scores(two_parts(count=500, share=0.45))
    assert report.verdict.level == "weak"
    assert "second group of normal rows" in str(report.verdict)


def test_one_enormous_score_is_an_anomaly():
    report = from_scores(np.r_[two_parts(count=200), 1e300])
    assert report.rows["responsibility"].iloc[-1] > 0.5


@pytest.mark.parametrize(("count", "far"), [(300, [60.0]), (2000, [60.0]), (500, [50, 50.5, 51])])
def test_a_few_scores_far_above_all_others_are_anomalies(count, far):
    normal = np.random.default_rng(1).normal(size=count - len(far))
    report = from_scores(np.r_[normal, far])
    r = report.rows["responsibility"].to_numpy()
    low, high = report.contamination_interval
    assert (r[-len(far) :] > 0.5).all()
    assert (r[: -len(far)] < 0.5).all()
    assert low <= len(far) / count <= high
    assert report.verdict.level == "weak"
    assert "far above all others" in report.verdict.sure
    assert "have the scores of normal rows" not in report.verdict.sure
    assert sum(one.weight for one in report.verdict.explanations) == pytest.approx(1)


def test_a_doubtful_gap_is_named_and_cannot_tell():
    normal = np.random.default_rng(1).exponential(size=299)
    report = from_scores(np.r_[normal, 30.0])
    assert report.rows["responsibility"].iloc[-1] < 0.5
    assert report.verdict.level == "cannot tell"
    assert "the scores cannot tell whether it is an anomaly" in report.verdict.sure
    assert "anomalies, if there are any" not in report.verdict.sure


def test_a_far_score_that_is_verified_as_normal_is_not_alone():
    scores = np.r_[np.random.default_rng(1).normal(size=297), 60.0, 60.5, 61.0]
    codes = np.where(np.arange(300) == 298, 0, -1)
    report = from_scores(scores, verified=codes)
    assert report.rows["responsibility"].iloc[-1] < 0.5
    assert "far above" not in report.verdict.sure


@pytest.mark.parametrize("kind", ["normal", "exponential", "heavy", "lognormal"])
@pytest.mark.parametrize("count", [100, 1000])
def test_the_gap_of_lone_scores_holds_its_false_alarms(kind, count):
    draw = {
        "normal": lambda rng: rng.normal(size=count),
        "exponential": lambda rng: rng.exponential(size=count),
        "heavy": lambda rng: rng.standard_t(3, count),
        "lognormal": lambda rng: rng.lognormal(size=count),
    }[kind]
    found = [lone_scores(draw(np.random.default_rng(seed))) for seed in range(100)]
    assert np.mean([one.probability > 0.5 for one in found]) <= 0.03


@pytest.mark.parametrize("share", [0.05, 0.2])
def test_a_second_part_is_assumed_not_to_be_normal_rows(share):
    report = from_scores(two_parts(share=share))
    assert report.verdict.level == "identified"
    assert "may be a second group of normal rows" in report.verdict.assumed


def test_a_small_table_is_asked_for_no_more_rows_than_it_has():
    verdict = from_scores([1.0, 1.0, 1.0]).verdict
    assert "only 1 different score, too few" in verdict.sure
    assert "50" not in verdict.decides
    assert "3 rows" in verdict.decides
    assert from_scores([1.0, 2.0], verified=[0, 1]).verdict.decides == ""


def test_random_verified_rows_show_anomalies_that_score_like_normal_rows():
    rng = np.random.default_rng(3)
    scores, anomaly = rng.normal(size=2000), rng.random(2000) < 0.2
    codes = np.full(2000, -1)
    chosen = rng.choice(2000, 300, replace=False)
    codes[chosen] = anomaly[chosen]
    alone, told = from_scores(scores), from_scores(scores, verified=codes)
    low, high = told.contamination_interval
    assert alone.contamination < 0.05
    assert low < anomaly.mean() < high
    assert "300 verified rows" in told.verdict.assumed
    np.testing.assert_array_equal(told.rows["responsibility"].iloc[chosen], anomaly[chosen])


def test_verified_takes_codes_and_objects():
    scores = two_parts(count=60)
    codes = [1.0 if row == 59 else np.nan for row in range(60)]
    known = torch.full((60,), -1)
    known[59] = 1
    verified = Verified.of(torch.zeros(60), contaminated=known)
    first, second = from_scores(scores, verified=codes), from_scores(scores, verified=verified)
    pd.testing.assert_frame_equal(first.rows, second.rows)


def test_the_report_has_the_index_and_consistent_numbers():
    scores = pd.Series(two_parts(count=100), index=[f"row {i}" for i in range(100)])
    report = from_scores(scores, probability=0.5)
    assert list(report.rows.index) == list(scores.index)
    assert list(report.rows.columns) == ["score", "responsibility"]
    assert report.kind == "scores"
    assert float(report.posterior["contamination"].mean()) == pytest.approx(
        report.contamination, abs=0.02
    )
    assert report.to_datatree()["posterior"]["contamination"].dims == ("chain", "draw")


@pytest.mark.parametrize(
    ("scores", "words"),
    [
        ([1.0, np.nan, 2.0], "missing or infinite"),
        ([1.0, np.inf, 2.0], "missing or infinite"),
        ([], "at least one row"),
        ([[1.0, 2.0]], "one score for each row"),
        (["a", "b"], "scores"),
    ],
)
def test_bad_scores_are_refused(scores, words):
    with pytest.raises(DataError, match=words):
        from_scores(scores)


def test_bad_verified_rows_and_probabilities_are_refused():
    with pytest.raises(DataError, match="3 rows"):
        from_scores([1.0, 2.0, 3.0], verified=[1, 0])
    with pytest.raises(DataError, match="probability"):
        from_scores([1.0, 2.0, 3.0], probability=1.0)
