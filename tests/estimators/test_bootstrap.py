"""Intervals by refits with random weights of the rows."""

import numpy as np
import pytest
from torch import nn

from nbam_pyro import NBAMClassifier, NBAMRegressor
from nbam_pyro.errors import DataError
from nbam_pyro.estimators import bootstrap as module
from nbam_pyro.estimators.bootstrap import bootstrapped
from nbam_pyro.inference import Joint, WarmUp
from nbam_pyro.outputs.share import Share

QUICK = [WarmUp(epochs=10, lr=0.05), Joint(epochs=15, lr=0.05)]
SHARE = Share(mean=0.2, low=0.19, high=0.21, probability=0.9)


class Refitted:
    """Result of a refit whose share depends on the weight of the first row."""

    def __init__(self, weights, seed):
        self.responsibility_ = np.full(100, 0.2 if weights[0] < 1 else 0.4)
        self.population_rate_ = 0.3
        self.population_rate_interval_ = 0.25, 0.35


def test_intervals_are_those_of_all_refits_and_contain_the_first():
    share, rate = bootstrapped(Refitted, SHARE, SHARE, rows=100, n_jobs=None, seed=0)
    assert share.mean == 0.2
    assert 0.1 < share.low < 0.19
    assert 0.4 < share.high < 0.5
    assert (rate.low, rate.high) == (0.19, pytest.approx(0.35, abs=0.02))


def data():
    rng = np.random.default_rng(0)
    y = np.arange(40) % 2
    return 2 * np.eye(2)[y] + rng.normal(size=(40, 2)), np.where(np.arange(40) < 6, 1 - y, y)


@pytest.mark.filterwarnings("ignore::nbam_pyro.errors.CannotTellWarning")
def test_estimators_have_wider_intervals_with_the_bootstrap(monkeypatch):
    monkeypatch.setattr(module, "_REFITS", 2)
    X, y = data()
    for one, targets, given in (
        (NBAMClassifier(network=nn.Linear, steps=QUICK, random_state=0), y, {"true_label": None}),
        (NBAMRegressor(mean="linear", random_state=0), X[:, 0] + 0.1 * y, {}),
    ):
        weights, groups = 1 + (np.arange(40) % 2), np.arange(40) // 2
        one.fit(X, targets, weights, groups=groups, **given)
        alone = one.contamination_interval_, one.population_rate_interval_
        r = one.responsibility_
        one.set_params(intervals="bootstrap").fit(X, targets, weights, groups=groups, **given)
        assert np.array_equal(one.responsibility_, r)
        both = one.contamination_interval_, one.population_rate_interval_
        for (low, high), (lower, higher) in zip(alone, both, strict=True):
            assert lower <= low <= high <= higher
        assert both != alone


def test_unknown_intervals_are_named():
    with pytest.raises(DataError, match="'posterior' or 'bootstrap'"):
        NBAMClassifier(intervals="exact").fit(*data())
