"""Threads of one process: scoring changes nothing, and fits at once are those one by one."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch import nn

from nbam_pyro import (
    LabelFlip,
    LatentSwitch,
    NBAMClassifier,
    NBAMRegressor,
    fit,
    load,
    responsibilities,
    save,
    to_datatree,
    transition_matrix,
)
from nbam_pyro.inference import Joint, occam_penalties, predict, prior_contamination, switch_draws
from nbam_pyro.models import BetaSwitch, BroadNormal, LinearNormal, NormalLikelihood, mlp

CALLS = 60


@pytest.fixture(autouse=True)
def _one_thread_for_torch():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def at_once(call, calls=CALLS, workers=4):
    def worker(number):
        torch.set_num_threads(1)
        return call(number)

    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(worker, range(calls)))


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 2))
    return x, (x[:, 0] > 0).astype(int), 2 * x[:, 0] + 0.1 * rng.normal(size=60)


def labels(rows):
    """With dropout and batch statistics, which training mode would change."""
    torch.manual_seed(0)
    body = nn.Sequential(nn.Linear(2, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.5))
    story = LabelFlip(nn.Sequential(body, nn.Linear(8, 2)), 2)
    return fit(story, rows[:2], steps=[Joint(epochs=2)]), rows[0], rows[1]


def measurements(rows):
    torch.manual_seed(0)
    clean = NormalLikelihood(mlp(2, 1, widths=(8,)))
    story = LatentSwitch(switch=BetaSwitch(), clean=clean, anomaly=BroadNormal(0.0, 9.0))
    return fit(story, (rows[0], rows[2]), steps=[Joint(epochs=2)]), rows[0], rows[2]


def bayesian(rows):
    story = LatentSwitch(switch=BetaSwitch(), clean=LinearNormal(2), anomaly=BroadNormal(0.0, 9.0))
    return fit(story, (rows[0], rows[2]), steps=[Joint(epochs=2)]), rows[0], rows[2]


@pytest.mark.parametrize("kind", [labels, measurements, bayesian])
@pytest.mark.parametrize("mode", ["as it is", "put in training mode", "loaded"])
@pytest.mark.filterwarnings("ignore::nbam_pyro.errors.CannotTellWarning")
def test_scoring_one_fit_from_four_threads(rows, kind, mode, tmp_path):
    fitted, x, y = kind(rows)
    if mode == "loaded":
        save(fitted, tmp_path / "fit")
        fitted = load(tmp_path / "fit")
    if mode == "put in training mode":
        fitted.story.train()
    modes = [part.training for part in fitted.story.modules()]

    def call(_):
        return [
            responsibilities(fitted, x, y, num_draws=5),
            predict(fitted, x),
            occam_penalties(fitted, x, y),
            prior_contamination(fitted, x, num_draws=5),
            switch_draws(fitted, x[:4], y[:4], num_draws=2),
        ]

    before = torch.get_rng_state()
    alone = call(0)
    for found in at_once(call):
        for one, expected in zip(found, alone, strict=True):
            np.testing.assert_array_equal(one, expected)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.distributions.Distribution._validate_args
    assert [part.training for part in fitted.story.modules()] == modes


@pytest.mark.filterwarnings("ignore::nbam_pyro.errors.CannotTellWarning")
def test_scoring_estimators_from_four_threads(rows):
    x, y, target = rows
    classifier = NBAMClassifier(random_state=0, steps=[Joint(epochs=2)]).fit(x, y)
    regressor = NBAMRegressor(random_state=0, steps=[Joint(epochs=2)]).fit(x, target)

    def call(_):
        return [
            classifier.predict_proba(x),
            classifier.responsibility(x, y),
            regressor.predict(x),
            regressor.responsibility(x, target),
            transition_matrix(classifier.fit_, num_draws=5).mean,
        ]

    alone = call(0)
    for found in at_once(call):
        for one, expected in zip(found, alone, strict=True):
            np.testing.assert_array_equal(one, expected)


@pytest.mark.filterwarnings("ignore::nbam_pyro.errors.CannotTellWarning")
def test_fits_at_once_are_those_one_after_the_other(rows):
    x, y, target = rows

    def call(seed):
        if seed % 2:
            one = NBAMRegressor(random_state=seed, epochs=3).fit(x, target)
        else:
            one = NBAMClassifier(random_state=seed, epochs=3).fit(x, y)
        return one.responsibility_

    before = torch.get_rng_state()
    one_by_one = [call(seed) for seed in range(8)]
    for found, expected in zip(at_once(call, calls=8), one_by_one, strict=True):
        np.testing.assert_array_equal(found, expected)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.filterwarnings("ignore::nbam_pyro.errors.CannotTellWarning")
def test_scoring_goes_on_while_another_fit_runs(rows):
    fitted, x, y = labels(rows)
    alone = responsibilities(fitted, x, y)

    def call(number):
        if number % 10 == 0:
            return NBAMClassifier(random_state=number, epochs=1).fit(x, y) and alone
        return responsibilities(fitted, x, y)

    for found in at_once(call, calls=30):
        np.testing.assert_array_equal(found, alone)


@pytest.mark.filterwarnings("ignore::nbam_pyro.errors.CannotTellWarning")
def test_trees_from_four_threads(rows):
    fitted, x, y = labels(rows)

    def call(_):
        return to_datatree(fitted, x[:5], y[:5], num_draws=5, num_predictive=5)

    alone = call(0)
    for tree in at_once(call, calls=8):
        for group in ("posterior", "prior", "posterior_predictive", "log_likelihood_in_sample"):
            assert tree[group].to_dataset().equals(alone[group].to_dataset())
