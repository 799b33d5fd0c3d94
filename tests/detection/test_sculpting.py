"""Figures of sculpting against exact values, and their floors."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure
from scipy.stats import norm, wasserstein_distance

from nbam_pyro.detection.sculpting import (
    jensen_shannon,
    sculpting_table,
    significance_improvement,
    wasserstein,
)
from nbam_pyro.errors import DataError
from nbam_pyro.plots import sculpting

# JSD of rows that pass against rows that fail, for scores with a given correlation with the
# nuisance, from integrals of P(pass | nuisance) over 50 bins of equal counts.
ORACLE = {
    0.01: (0.0, 0.0130, 0.1134, 0.2988, 0.6796),
    0.05: (0.0, 0.0085, 0.0761, 0.2113, 0.5477),
    0.10: (0.0, 0.0068, 0.0622, 0.1765, 0.4865),
    0.50: (0.0, 0.0046, 0.0424, 0.1248, 0.3844),
}
CORRELATIONS = (0.0, 0.1, 0.3, 0.5, 0.8)


@pytest.mark.parametrize("place", range(len(CORRELATIONS)))
def test_divergences_are_those_of_the_oracle(place):
    rho = CORRELATIONS[place]
    rng = np.random.default_rng(place)
    hidden, noise = rng.normal(size=(2, 400_000))
    mass = np.exp(hidden)  # any increasing function of the hidden variable
    scores = rho * hidden + np.sqrt(1 - rho**2) * noise
    for efficiency, row in ORACLE.items():
        passed = scores > np.quantile(scores, 1 - efficiency)
        found = jensen_shannon(mass, passed)
        assert found.value - found.floor == pytest.approx(row[place], abs=0.005)
    if rho == 0.3:
        passed = scores > np.quantile(scores, 0.95)
        found = jensen_shannon(mass, passed, against="all")
        assert found.value - found.floor == pytest.approx(0.0687, abs=0.005)


def test_floors_are_the_means_of_random_selections():
    rng = np.random.default_rng(0)
    mass = rng.exponential(size=5000)
    draws = [rng.permutation(5000) < 500 for _ in range(100)]
    floor = 49 / (8 * np.log(2)) * (1 / 500 + 1 / 4500)
    found = [jensen_shannon(mass, passed) for passed in draws]
    assert found[0].floor == pytest.approx(floor)
    assert np.mean([one.value for one in found]) == pytest.approx(floor, rel=0.08)
    against = [jensen_shannon(mass, passed, against="all") for passed in draws]
    assert np.mean([one.value for one in against]) == pytest.approx(against[0].floor, rel=0.08)
    distances = [wasserstein(mass, passed) for passed in draws[:40]]
    assert np.mean([one.value for one in distances]) == pytest.approx(
        np.mean([one.floor for one in distances]), rel=0.15
    )


@settings(max_examples=40, deadline=None)
@given(
    values=st.lists(st.integers(-50, 50), min_size=4, max_size=40),
    seed=st.integers(0, 1000),
    shift=st.floats(-100, 100),
)
def test_distances_are_bounded_and_do_not_depend_on_where_zero_is(values, seed, shift):
    u = np.array(values, dtype=float)
    passed = np.arange(len(u)) < len(u) // 2
    passed = np.random.default_rng(seed).permutation(passed)
    distance = wasserstein(u, passed).value
    assert distance >= wasserstein_distance(u[passed], u) - 1e-6  # W1 <= W2
    assert wasserstein(u + shift, passed).value == pytest.approx(distance, abs=1e-5)
    assert wasserstein(3 * u, passed).value == pytest.approx(3 * distance, abs=1e-5)
    if len(set(values)) > 1:
        assert -1e-12 <= jensen_shannon(u, passed).value <= 1 + 1e-12


def test_a_row_of_weight_two_counts_as_two_rows():
    rng = np.random.default_rng(0)
    u, scores = rng.normal(size=(2, 300))
    counts = rng.integers(1, 4, 300)
    u, many = u + 1e-9, np.repeat(np.arange(300), counts)
    passed = scores > 0.5
    assert wasserstein(u, passed, weights=counts).value == pytest.approx(
        wasserstein(u[many], passed[many]).value
    )
    edges = {"spacing": "width", "bins": 7}
    assert jensen_shannon(u, passed, weights=counts, **edges).value == pytest.approx(
        jensen_shannon(u[many], passed[many], **edges).value
    )
    one = significance_improvement(scores, scores + 1, efficiency=0.1, weights=counts)
    assert one.value == pytest.approx(
        significance_improvement(scores[many], scores + 1, efficiency=0.1).value
    )


def test_significance_of_two_normal_laws():
    rng = np.random.default_rng(0)
    background, signal = rng.normal(size=200_000), rng.normal(2, 1, 200_000)
    for efficiency in (0.01, 0.1):
        t = norm.isf(efficiency)
        exact = norm.sf(t - 2) / np.sqrt(efficiency)
        found = significance_improvement(background, signal, efficiency=efficiency)
        assert found.value == pytest.approx(exact, rel=0.03)
        assert found.floor == pytest.approx(np.sqrt(efficiency), rel=0.01)
    grid = np.linspace(-3, norm.isf(1e-3), 1000)
    best = (norm.sf(grid - 2) / np.sqrt(norm.sf(grid))).max()
    assert significance_improvement(background, signal).value == pytest.approx(best, rel=0.05)


def test_the_table_and_the_plot_have_every_efficiency():
    rng = np.random.default_rng(0)
    mass = rng.exponential(100, 4000)
    scores, signal = rng.normal(size=4000) + mass / 200, rng.normal(1, 1, 500)
    table = sculpting_table(scores, mass, signal=signal, efficiencies=(0.05, 0.5))
    assert table.index.tolist() == [0.05, 0.5]
    assert table["passed"].tolist() == [200, 2000]
    assert (table["jsd"] > table["jsd_floor"]).all()
    assert (table["wasserstein"] > 2 * table["wasserstein_floor"]).all()
    assert "significance" not in sculpting_table(scores, mass)
    ax = sculpting(scores, mass, efficiencies=(0.1,), name="mass", ax=Figure().subplots())
    assert len(ax.get_legend().get_texts()) == 2
    assert ax.get_xlabel() == "mass"


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda u, p: jensen_shannon(u, p & False), "0 of 50 rows pass"),
        (lambda u, p: jensen_shannon(u, p | True), "50 of 50 rows pass"),
        (lambda u, p: jensen_shannon(u, p.astype(int)), "boolean"),
        (lambda u, p: jensen_shannon(u, p[1:]), "passed has shape"),
        (lambda u, p: jensen_shannon(0 * u, p), "same value"),
        (lambda u, p: jensen_shannon(np.r_[np.nan, u[1:]], p), "nuisance has"),
        (lambda u, p: jensen_shannon(u, p, bins=1), "bins"),
        (lambda u, p: jensen_shannon(u, p, against="none"), "against"),
        (lambda u, p: jensen_shannon(u, p, spacing="none"), "spacing"),
        (lambda u, p: wasserstein(u, p, weights=-np.ones(50)), "weights has -1.0 in row 0"),
        (lambda u, p: significance_improvement(u, u, efficiency=1.5), "efficiency is 1.5"),
        (lambda u, p: sculpting_table(np.zeros(50), u), "No row passes"),
        (lambda u, p: sculpting_table(u[1:], u), "49 scores"),
        (lambda u, p: sculpting(u[1:], u), "49 scores"),
    ],
)
def test_what_has_no_figure_is_refused(call, match):
    with pytest.raises(DataError, match=match):
        call(np.arange(50.0), np.arange(50) < 20)


@pytest.mark.parametrize("seed", range(20))
def test_equal_weighted_distributions_have_a_divergence_of_0(seed):
    rng = np.random.default_rng(seed)
    u, w = rng.normal(size=200), rng.uniform(size=200)
    found = jensen_shannon(np.r_[u, u], np.arange(400) < 200, bins=10, weights=np.r_[w, 3 * w])
    assert 0 <= found.value < 1e-12
