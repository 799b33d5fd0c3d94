import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import norm

from nbam_pyro import Verified
from nbam_pyro import functional as nf
from nbam_pyro.errors import DataError, StoryError
from nbam_pyro.models import MarkovSwitch
from nbam_pyro.outputs import draw_paths, from_scores, from_series, load_report
from nbam_pyro.outputs.series.passes import log_density, smoothed
from nbam_pyro.outputs.series.rows import SeriesRows


def simulated(count=1500, *, share=0.2, dwell=8.0, shift=2.0, seed=0):
    """Return switches of a Markov chain, and measurements that they shift."""
    rng = np.random.default_rng(seed)
    enter, leave = share / (dwell * (1 - share)), 1 / dwell
    u, z = rng.random(count), np.zeros(count, dtype=int)
    z[0] = u[0] < share
    for t in range(1, count):
        z[t] = u[t] < enter if z[t - 1] == 0 else u[t] >= leave
    return z, rng.normal(shift * z)


def densities(y, shift=2.0):
    return norm.logpdf(y), norm.logpdf(y, shift)


def sorted_rows(count=40):
    _, y = simulated(count)
    order = np.r_[np.arange(count // 2), np.linspace(0, 30, count - count // 2) ** 1.1]
    series = np.repeat(["a", "b"], [count // 2, count - count // 2])
    e0, e1 = densities(y)
    e0[3] = e1[3] = np.nan
    return SeriesRows.of(e0, e1, series=series, order=order, verified=[1, 0] + [None] * (count - 2))


def test_recursions_equal_the_tree():
    rows = sorted_rows()
    pi, dwell = np.array([0.2, 0.05]), np.array([5.0, 2.0])
    log, log_z, r, seen = log_density(rows, pi, dwell), 0.0, [], []
    for low, high in [(0, 20), (20, 40)]:
        steps = torch.from_numpy(rows.steps[low + 1 : high])
        start = nf.chain_start(torch.from_numpy(pi))
        moves = nf.chain_transitions(torch.from_numpy(pi), torch.from_numpy(dwell), steps)
        e = torch.from_numpy(rows.emissions[low:high]).expand(2, -1, -1)
        log_z = log_z + nf.chain_log_partition(start, moves, e).numpy()
        r.append(nf.chain_responsibility(start, moves, e).mean(0).numpy())
        seen.append(nf.chain_filter(start, moves, e)[..., 1].exp().mean(0).numpy())
    np.testing.assert_allclose(log, log_z, atol=1e-9)
    found = smoothed(rows, pi, dwell, rng=np.random.default_rng(0))
    np.testing.assert_allclose(found.responsibility, np.concatenate(r), atol=1e-9)
    np.testing.assert_allclose(found.filtered, np.concatenate(seen), atol=1e-9)


def test_finds_share_dwell_and_rows():
    z, y = simulated()
    report = from_series(*densities(y))
    assert report.verdict.level == "identified"
    assert report.persistence > 20
    low, high = report.contamination_interval
    assert low < z.mean() < high
    low, high = report.dwell_interval
    assert low < 8 < high
    assert ((report.rows["responsibility"] > 0.5) == z).mean() > 0.95
    assert (report.rows["path"] == z).mean() > 0.95
    assert "comes in bursts" in report.verdict.sure
    late = ((report.rows["filtered"] - z) ** 2).mean()
    assert ((report.rows["responsibility"] - z) ** 2).mean() < late


def test_independent_rows_have_no_bursts():
    z, y = simulated(3000, dwell=1 / 0.8, shift=3.0)
    report = from_series(*densities(y, 3.0))
    assert report.persistence < -3
    assert "do not come in bursts" in report.verdict.sure
    assert report.contamination == pytest.approx(z.mean(), abs=0.02)


def test_rows_may_be_in_any_order():
    _, y = simulated(300)
    e0, e1 = densities(y)
    report = from_series(e0, e1, series=[0] * 300, order=np.arange(300))
    mixed = np.random.default_rng(1).permutation(300)
    other = from_series(e0[mixed], e1[mixed], order=pd.Series(np.arange(300)[mixed]))
    for name in ("responsibility", "filtered", "path"):
        assert np.array_equal(report.rows[name].to_numpy()[mixed], other.rows[name])


def test_the_unit_of_the_order_changes_only_the_dwell():
    _, y = simulated(300)
    hours = from_series(*densities(y), order=np.arange(300))
    times = pd.date_range("2024-01-01", periods=300, freq="h")
    seconds = from_series(*densities(y), order=times)
    assert seconds.dwell == pytest.approx(3600 * hours.dwell)
    assert np.allclose(seconds.rows["responsibility"], hours.rows["responsibility"])


def test_missing_rows_equal_a_gap():
    _, y = simulated(400)
    e0, e1 = densities(y)
    e0[100:120] = e1[100:120] = np.nan
    whole = from_series(e0, e1)
    there = ~np.isnan(e0)
    gap = from_series(e0[there], e1[there], order=np.arange(400)[there])
    found = whole.rows["responsibility"][there]
    assert np.allclose(found, gap.rows["responsibility"], atol=0.02)


def test_verified_rows_are_certain_and_change_their_neighbours():
    e = np.zeros(30)
    codes = np.full(30, -1)
    codes[10] = 1
    report = from_series(e, e, verified=codes)
    r = report.rows["responsibility"]
    assert r[10] == 1
    assert r[11] > r[14] > r[25]
    assert report.verdict.level == "cannot tell"
    same = from_series(e, e, verified=Verified.of(torch.zeros(30), contaminated=codes))
    assert same.rows["responsibility"].equals(r)


def test_equal_likelihoods_cannot_tell():
    report = from_series(np.zeros(50), np.zeros(50))
    assert report.verdict.level == "cannot tell"
    low, high = report.contamination_interval
    assert low == 0
    assert high >= 0.5


def test_clean_series_have_no_contamination():
    y = np.random.default_rng(0).normal(size=1000)
    report = from_series(*densities(y, 5.0))
    assert report.verdict.level == "identified"
    assert report.contamination_interval[1] < 0.01


def test_a_single_row_and_many_short_series():
    assert len(from_series([0.0], [1.0]).rows) == 1
    _, y = simulated(60)
    report = from_series(*densities(y), series=np.arange(60) // 2)
    assert report.rows["responsibility"].between(0, 1).all()


def test_drawn_paths_agree_with_responsibilities():
    _, y = simulated(200)
    report = from_series(*densities(y), order=np.arange(200) * 0.7)
    paths = draw_paths(report, 2000)
    assert abs(paths.mean(0) - report.rows["responsibility"]).max() < 0.06
    with pytest.raises(StoryError, match="series"):
        draw_paths(from_scores(np.arange(50.0)))
    with pytest.raises(DataError, match="positive"):
        draw_paths(report, 0)


def test_reports_can_be_saved(tmp_path):
    _, y = simulated(100)
    report = from_series(*densities(y))
    report.save(tmp_path / "report")
    again = load_report(tmp_path / "report")
    assert again.dwell_interval == report.dwell_interval
    assert again.persistence == report.persistence
    assert str(again) == str(report)
    with pytest.raises(StoryError, match="dwell"):
        _ = from_scores(np.arange(50.0)).dwell


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"contaminated": [0.0]}, "3 and 1 rows"),
        ({"contaminated": [0.0, np.nan, 0.0]}, "same rows"),
        ({"clean": [0.0, np.inf, 0.0]}, "infinite in row 1"),
        ({"clean": ["a", "b", "c"]}, "not a number"),
        ({"clean": []}, "at least one"),
        ({"order": [0, 1, 1]}, "Rows 1 and 2"),
        ({"order": [0, np.nan, 1]}, "order of row 1 is 'nan'"),
        ({"order": [0, np.inf, 1]}, "order of row 1 is 'inf'"),
        ({"order": ["x", "y", "z"]}, "neither a number nor a time"),
        ({"order": ["2024-05-01T12:00Z", "2024-05-01T12:05", None]}, "row 1 .* time zone"),
        ({"order": [0, 1]}, "3 rows"),
        ({"series": ["a", None, "a"]}, "missing in row 1"),
        ({"series": ["a"]}, "3 rows"),
        ({"verified": [0, 1, 2]}, "wrong code"),
        ({"probability": 1.5}, "probability"),
        ({"clean": [0.0, -np.inf, 0.0], "verified": [-1, 0, -1]}, "Row 1 is impossible"),
    ],
)
def test_mistakes_are_named(changed, message):
    given = {"clean": np.zeros(3), "contaminated": np.zeros(3)} | changed
    with pytest.raises(DataError, match=message):
        from_series(**given)


def test_coupling_sums_and_differentiates():
    switch = MarkovSwitch(median_dwell=3.0)
    latents = {name: prior.sample() for name, prior in switch.priors().items()}
    assert latents["dwell"] > 1
    e = torch.randn(3, 7, 2).requires_grad_()
    whole = switch.log_partition(e, latents)
    (slope,) = torch.autograd.grad(whole.sum(), e)
    torch.testing.assert_close(slope[..., 1], switch.responsibility(e, latents))
    with pytest.raises(DataError, match="spread"):
        MarkovSwitch(spread=0.0)
