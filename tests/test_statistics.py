"""Test statistics, and the table of where the likelihood fails."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from nbam_pyro.detection import (
    LikelihoodRatio,
    LogLikelihood,
    Mahalanobis,
    MaxLogit,
    TestStatistic,
    Typicality,
)
from nbam_pyro.errors import DataError

ATOMS = 1_000_000
STATISTICS = [LogLikelihood, LikelihoodRatio, Typicality, MaxLogit, Mahalanobis]


def atoms(n):
    """log P_n by atom: P uniform on a million, and n others that have n millionths of the mass."""
    share = n / ATOMS

    def density(x):
        with np.errstate(divide="ignore"):
            outside = np.log(share / n if n else 0.0)
        return np.where(x < ATOMS, np.log((1 - share) / ATOMS), outside)

    return density


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
    density = atoms(n)
    normal, odd = np.arange(0, ATOMS, 100), ATOMS + np.arange(n or 100)
    assert density(normal).mean() == pytest.approx(mean, abs=1e-4)
    assert np.exp(density(normal[:1]))[0] * ATOMS == pytest.approx(support, abs=1e-4)
    truth = np.r_[np.zeros(len(normal)), np.ones(len(odd))]
    x = np.r_[normal, odd]
    assert roc_auc_score(truth, np.nan_to_num(LogLikelihood(density)(x))) == auc
    typical = np.nan_to_num(Typicality(density, normal)(x))
    assert roc_auc_score(truth, typical) == 1.0
    ratio = LikelihoodRatio(density, lambda x: np.where(x < ATOMS, -50.0, -1.0))
    assert roc_auc_score(truth, np.nan_to_num(ratio(x))) == 1.0


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
    assert (outside > 10 * inside.max()).all() or ridge == 0.1
    two = Mahalanobis(np.r_[x, x + 50], np.repeat([0, 1], 50), ridge=ridge)
    assert np.allclose(two(x + 50), two(x))


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: LogLikelihood(lambda x: 0.0)([1.0]), "density returned"),
        (lambda: MaxLogit(lambda x: x)([1.0]), "classifier returned"),
        (lambda: Mahalanobis([1.0]), "features"),
        (lambda: Mahalanobis([[1.0]], ridge=-1), "ridge"),
        (lambda: Mahalanobis([[1.0]])([[1.0, 2.0]]), "x has shape"),
    ],
)
def test_what_does_not_fit_is_refused(call, match):
    with pytest.raises(DataError, match=match):
        call()
