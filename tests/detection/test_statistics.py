"""Test statistics, and the table of where the likelihood fails."""

import numpy as np
import pytest

from benchmarks.detection.failure_table import judge
from nbam_pyro.detection import (
    LikelihoodRatio,
    LogLikelihood,
    Mahalanobis,
    MaxLogit,
    TestStatistic,
    Typicality,
)
from nbam_pyro.errors import DataError

STATISTICS = [LogLikelihood, LikelihoodRatio, Typicality, MaxLogit, Mahalanobis]


@pytest.mark.parametrize(
    ("n", "mean", "support", "auc"),
    [
        (0, -13.8155, 1.0, 1.0),
        (10_000, -13.8256, 0.99, 0.0),
        (1_000, -13.8165, 0.999, 0.0),
        (100, -13.8156, 0.9999, 0.0),
    ],
)
def test_a_nearly_perfect_density_ranks_all_outliers_as_normal(n, mean, support, auc):
    row = judge(n)
    assert row["log_likelihood"] == pytest.approx(mean, abs=1e-4)
    assert row["mass"] == pytest.approx(support, abs=1e-4)
    assert row["auc_likelihood"] == auc
    assert row["auc_typicality"] == row["auc_ratio"] == 1.0


@pytest.mark.parametrize("statistic", STATISTICS)
def test_every_statistic_says_what_it_is_for(statistic):
    assert issubclass(statistic, TestStatistic)
    assert len(statistic.against) > 20


@pytest.mark.parametrize("ridge", [0.0, 1e-6, 0.1])
def test_mahalanobis_is_robust_to_a_singular_covariance(ridge):
    rng = np.random.default_rng(0)
    plane = rng.normal(size=(50, 2))
    x = np.c_[plane, plane.sum(1)] + 1000
    statistic = Mahalanobis(x, ridge=ridge)
    inside, outside = statistic(x), statistic(np.add(x, [0, 0, 1.0]))
    assert np.isfinite(inside).all()
    assert inside.mean() == pytest.approx(2, rel=0.25)
    if ridge == 0.1:  # a tenth of the variance is added off the plane, too
        assert outside.mean() > 1.5 * inside.mean()
    else:
        assert (outside > 10 * inside.max()).all()
    two = Mahalanobis(np.r_[x, x + 50], np.repeat([0, 1], 50), ridge=ridge)
    assert np.allclose(two(x + 50), two(x))


def test_a_row_of_weight_two_counts_as_two_rows():
    rng = np.random.default_rng(0)
    x, labels = rng.normal(size=(60, 3)), np.repeat([0, 1], 30)
    counts = rng.integers(1, 4, 60)
    many = np.repeat(np.arange(60), counts)
    weighted = Mahalanobis(x, labels, weights=counts)
    repeated = Mahalanobis(x[many], labels[many])
    assert np.allclose(weighted(x), repeated(x))
    assert np.allclose(
        Mahalanobis(x, labels, weights=np.full(60, 7.0))(x), Mahalanobis(x, labels)(x)
    )


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: LogLikelihood(lambda x: 0.0)([1.0]), "density returned"),
        (lambda: MaxLogit(lambda x: x)([1.0]), "classifier returned"),
        (lambda: Mahalanobis([1.0]), "features"),
        (lambda: Mahalanobis([[1.0]], ridge=-1), "ridge"),
        (lambda: Mahalanobis([[1.0]])([[1.0, 2.0]]), "x has shape"),
        (lambda: Mahalanobis([[1.0]], weights=[1.0, 2.0]), "weights have shape"),
        (lambda: Mahalanobis([[1.0]], weights=[-1.0]), "weights has -1.0 in row 0"),
        (lambda: Mahalanobis([[1.0]], weights=[np.nan]), "weights has"),
        (lambda: Mahalanobis([[1.0], [2.0]], [0, 1], weights=[1.0, 0.0]), "class of row 1"),
    ],
)
def test_what_does_not_fit_is_refused(call, match):
    with pytest.raises(DataError, match=match):
        call()
