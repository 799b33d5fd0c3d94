"""`from_predictions`: gross errors, clean shapes, quantiles, draws, missing rows, and bad input."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtri

from nbam_pyro import Beta, Verified, load_report
from nbam_pyro.errors import DataError
from nbam_pyro.outputs import from_predictions
from nbam_pyro.outputs.predictions.quantile_scores import quantile_scores
from nbam_pyro.outputs.predictions.spread import evened

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)


def gross(n=160, share=0.1, seed=0):
    """Predictions with a scale of 2, and gross errors on both sides."""
    rng = np.random.default_rng(seed)
    mean = rng.normal(5, 3, n)
    wrong = np.arange(n) < round(share * n)
    errors = rng.choice([-1, 1], n) * rng.uniform(14, 30, n)
    return mean + 2 * rng.normal(size=n) + wrong * errors, mean, wrong


@pytest.mark.parametrize("share", [0.03, 0.25])
def test_gross_errors_are_identified(share):
    y, mean, wrong = gross(share=share)
    report = from_predictions(y, mean)
    low, high = report.contamination_interval
    r = report.rows["responsibility"].to_numpy()
    assert report.verdict.level == "identified"
    assert low <= wrong.mean() <= high
    assert ((r - wrong) ** 2).mean() < 0.01


def test_all_kinds_of_predictions_give_the_same_answer():
    y, mean, _ = gross(100)
    scale = np.full(100, 2.0)
    draws = mean[:, None] + 2 * ndtri((np.arange(99) + 0.5) / 99)
    quantiles = {level: mean + 2 * ndtri(level) for level in LEVELS}
    shares = [
        from_predictions(y, mean).contamination,
        from_predictions(y, mean, scale=7 * scale).contamination,  # A common factor has no effect.
        from_predictions(y, quantiles=pd.DataFrame(quantiles)).contamination,
        from_predictions(y, draws=draws).contamination,
    ]
    np.testing.assert_allclose(shares, shares[0], atol=0.01)


CLEAN = {
    "normal": lambda rng: rng.normal(size=300),
    "student": lambda rng: rng.standard_t(3, 300),
    "skewed": lambda rng: rng.exponential(size=300),
    "changing scale": lambda rng: rng.normal(size=300) * rng.uniform(0.2, 2, 300),
}


@pytest.mark.parametrize("kind", CLEAN)
def test_clean_residuals_have_no_contamination_or_it_is_not_identified(kind):
    report = from_predictions(CLEAN[kind](np.random.default_rng(5)), np.zeros(300))
    low, high = report.contamination_interval
    assert low == 0
    assert report.contamination < 0.08
    assert report.verdict.level != "identified" or high < 0.03
    assert (report.rows["responsibility"] > 0.5).mean() < 0.01


def test_a_scale_that_grows_with_the_prediction_is_no_contamination():
    rng = np.random.default_rng(0)
    mean = np.linspace(0, 4, 400)
    report = from_predictions(mean + rng.normal(size=400) * np.exp(mean / 2), mean)
    assert report.contamination < 0.02
    assert "scatter depends on the prediction" in report.note


def test_few_or_equal_residuals_cannot_tell():
    rng = np.random.default_rng(0)
    few = from_predictions(rng.normal(size=8), np.zeros(8))
    tied = from_predictions(np.r_[np.zeros(60), rng.normal(size=40)], np.zeros(100))
    assert few.verdict.level == tied.verdict.level == "cannot tell"
    assert "out of sample" in str(tied.verdict)


def test_a_huge_residual_is_contaminated():
    y, mean, _ = gross(share=0)
    y[7] = 1e300
    report = from_predictions(y, mean)
    r = report.rows["responsibility"]
    assert r.argmax() == 7
    assert (r > 0.5).sum() <= 3  # The huge residual does not hide the shape of the others.


def test_missing_measurements_have_the_population_rate():
    y, mean, _ = gross(200)
    y[150:] = np.nan
    report = from_predictions(y, mean)
    assert report.rows["responsibility"][150:].to_numpy() == pytest.approx(report.population_rate)
    assert "50 rows have no measurement" in report.note


def test_verified_rows_decide_what_a_tail_cannot():
    rng = np.random.default_rng(3)
    y = rng.standard_t(3, 150)
    codes = np.full(150, -1)
    codes[np.argsort(-abs(y))[:20]] = 0
    report = from_predictions(y, np.zeros(150), verified=codes)
    assert report.contamination <= from_predictions(y, np.zeros(150)).contamination
    assert (report.rows["responsibility"][codes == 0] == 0).all()
    assert "20 verified rows count as observations" in report.verdict.assumed
    told = from_predictions(y, np.zeros(150), verified=Verified.of(y, contaminated=codes))
    pd.testing.assert_frame_equal(told.rows, report.rows)


def test_the_report_is_saved_and_has_the_index(tmp_path):
    y, mean, _ = gross(100)
    index = [f"row {i}" for i in range(100)]
    report = from_predictions(pd.Series(y, index), pd.Series(mean, index), prior=Beta(2, 8))
    assert report.kind == "measurements"
    assert list(report.rows.index) == index
    assert list(report.rows) == ["measurement", "prediction", "residual", "responsibility"]
    assert "posterior" in report.to_datatree()
    report.save(tmp_path / "report")
    pd.testing.assert_frame_equal(load_report(tmp_path / "report").rows, report.rows)


@settings(max_examples=4, deadline=None)
@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=40), st.integers(0, 2**32 - 1))
def test_rows_may_be_in_any_order(y, seed):
    y = np.array(y)
    report = from_predictions(y, np.zeros(len(y)))
    r = report.rows["responsibility"].to_numpy()
    assert ((r >= 0) & (r <= 1)).all()
    order = np.random.default_rng(seed).permutation(len(y))
    again = from_predictions(y[order], np.zeros(len(y))).rows["responsibility"].to_numpy()
    np.testing.assert_allclose(again, r[order], atol=1e-9)


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 6))
def test_normal_scores_of_quantiles_rise_and_meet_the_levels(seed, count):
    rng = np.random.default_rng(seed)
    levels = np.sort(rng.uniform(0.01, 0.99, count))
    q = np.sort(rng.normal(size=count))
    y = np.sort(np.r_[q, rng.normal(0, 5, 30)])
    found = quantile_scores(y, np.tile(q, (len(y), 1)), levels).scores
    assert (np.diff(found) >= -1e-9).all()
    np.testing.assert_allclose(found[np.searchsorted(y, q)], ndtri(levels), atol=1e-9)


def test_a_constant_scale_is_left_alone():
    rng = np.random.default_rng(0)
    residual = rng.normal(size=200)
    out, uneven = evened(residual, rng.normal(size=(200, 1)))
    assert not uneven
    np.testing.assert_allclose(out, residual - np.median(residual))


ONE = np.ones(3)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "not clear"),
        ({"mean": ONE, "draws": np.ones((3, 30))}, "only one of the three"),
        ({"quantiles": {0.1: ONE, 0.9: 2 * ONE}, "scale": ONE}, "without mean"),
        ({"mean": ONE[:2]}, "3 rows"),
        ({"mean": [1.0, np.nan, 1.0]}, "missing or infinite"),
        ({"mean": ["a", "b", "c"]}, "mean"),
        ({"mean": ONE, "scale": [1.0, 0.0, 1.0]}, "must be positive"),
        ({"quantiles": {0.5: ONE}}, "at least two"),
        ({"quantiles": {0.5: ONE, 1.5: ONE}}, "between 0 and 1"),
        ({"quantiles": {"low": ONE, "high": ONE}}, "expected numbers"),
        ({"quantiles": np.ones((3, 2))}, "dictionary"),
        ({"quantiles": {0.1: ONE, 0.9: ONE}}, "all equal"),
        ({"draws": np.ones((3, 5))}, "at least S = 20"),
        ({"mean": ONE, "probability": 1.0}, "probability"),
        ({"mean": ONE, "verified": [1]}, "3 rows"),
    ],
)
def test_bad_predictions_are_refused(arguments, words):
    with pytest.raises(DataError, match=words):
        from_predictions([1.0, 2.0, 3.0], **arguments)


@pytest.mark.parametrize(
    ("y", "words"),
    [([np.nan], "missing"), ([np.inf], "infinite"), ([], "at least one"), ([[1.0]], "shape")],
)
def test_bad_measurements_are_refused(y, words):
    with pytest.raises(DataError, match=words):
        from_predictions(y, np.zeros(len(y)))


def test_a_verified_row_needs_a_measurement_and_rows_belong_together():
    with pytest.raises(DataError, match="have no measurement"):
        from_predictions([1.0, np.nan], [1.0, 1.0], verified=[0, 1])
    with pytest.raises(DataError, match="different indices"):
        from_predictions(pd.Series([1.0, 2.0]), pd.Series([1.0, 2.0], index=[1, 0]))
