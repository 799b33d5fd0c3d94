"""Every fit has a verdict, and one warning if it is "cannot tell"."""

import dataclasses
import warnings

import numpy as np
import pytest
import torch
from torch import nn

from nbam_pyro import LabelFlip, NBAMClassifier, fit
from nbam_pyro.errors import CannotTellWarning, CollapseWarning
from nbam_pyro.inference import CollapseReport, Joint, WarmUp, prior_contamination
from nbam_pyro.inference.diagnostics.held_out_verdict import held_out_verdict
from nbam_pyro.inference.diagnostics.verdicts import verdict_of
from nbam_pyro.models import robust_regression
from tests.cases import ALL_STORIES

FEW = [Joint(epochs=2)]
QUICK = [WarmUp(epochs=15, lr=0.05), Joint(epochs=30, lr=0.05)]


def given_by(action):
    """Warnings of the library that a call gives, and its result."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = action()
    return [one for one in caught if issubclass(one.category, CannotTellWarning)], result


def test_a_collapsed_fit_without_true_labels_cannot_tell():
    collapsed = CollapseReport(contamination=0.0, disagreement=0.4)
    verdict = verdict_of(collapsed, None)
    assert verdict.level == "cannot tell"
    assert verdict.sure == f"The fit has {collapsed}, so its responsibilities mean nothing."
    assert "verify rows that are chosen at random" in verdict.decides
    assert verdict_of(dataclasses.replace(collapsed, disagreement=0.01), None).level == "identified"


@pytest.mark.parametrize(
    ("draw", "levels"),
    [
        (lambda rng, n: rng.normal(size=n), {"identified"}),
        (lambda rng, n: rng.normal(size=n) + 12 * (np.arange(n) < n // 10), {"identified"}),
        (lambda rng, n: rng.standard_t(2, n), {"weak", "cannot tell"}),
    ],
)
def test_a_trained_mean_is_judged_by_held_out_residuals(draw, levels):
    rng = np.random.default_rng(0)
    mean = rng.normal(size=300)
    verdict = held_out_verdict(mean + draw(rng, 300), mean, np.ones(300))
    assert verdict.level in levels
    if verdict.level != "identified":
        assert verdict.sure.endswith("; the residuals of 300 held-out rows were judged.")
        assert len(verdict.explanations) == 2


def test_a_trained_mean_without_held_out_rows_is_weak():
    x = torch.linspace(-1, 1, 60)[:, None]
    y = x[:, 0] + 0.1 * torch.randn(60)
    for held_out, count in ((0, 0), (0.2, 12)):
        fitted = fit(robust_regression(nn.Linear(1, 1), y), (x, y), held_out=held_out, epochs=20)
        assert fitted.verdict.level == "weak"
        assert f": {count} rows were held out" in fitted.verdict.assumed


@pytest.mark.parametrize("name", ALL_STORIES)
def test_every_story_has_a_verdict_and_a_population_rate(name):
    make, data = ALL_STORIES[name]
    x, y = data(20)
    given, fitted = given_by(lambda: fit(make(), (x, y), steps=FEW))
    assert len(given) == (fitted.verdict.level == "cannot tell")
    if given:
        assert issubclass(given[0].category, CollapseWarning) == fitted.collapse.collapsed
    rate, share = fitted.training_rows.population_rate, fitted.training_rows.share
    assert rate.low <= rate.high
    assert rate.mean == pytest.approx(prior_contamination(fitted, x).mean(), abs=0.01)
    assert share.mean == pytest.approx(fitted.training_rows.responsibility.mean(), abs=1e-5)
    for interval in (rate, share):
        assert all(interval.low <= value <= interval.high for value in fitted.verdict.band)
        assert interval.low == 0 or not fitted.collapse.learned_nothing


def test_a_fit_that_cannot_tell_warns_once_without_a_collapse():
    """A class of two rows, which the fit assigns to others, is no collapse."""
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1, 2], [30, 30, 2])
    x = 6 * np.eye(2)[np.minimum(y, 1)] + rng.normal(size=(62, 2))
    classifier = NBAMClassifier(network=nn.Linear, steps=QUICK, random_state=0)
    given, model = given_by(lambda: classifier.fit(x, np.array(["a", "b", "c"])[y]))
    assert not model.fit_.collapse.collapsed
    assert model.verdict_.level == "cannot tell"
    assert [one.category for one in given] == [CannotTellWarning]
    assert "{" not in str(model.verdict_)
    assert "to the class c, because" in str(model.verdict_)


def test_a_weak_verdict_does_not_warn():
    torch.manual_seed(0)
    y = torch.arange(400) % 2
    x = 6.0 * y[:, None] + torch.randn(400, 1)
    flipped = torch.where(torch.rand(400) < 0.25, 1 - y, y)
    given, fitted = given_by(lambda: fit(LabelFlip(nn.Linear(1, 2), 2), (x, flipped), steps=QUICK))
    assert given == []
    assert fitted.verdict.level == "weak"
    assert len(fitted.verdict.explanations) == 2
    used, exchanged = (one.contamination for one in fitted.verdict.explanations)
    assert used == pytest.approx(0.25, abs=0.1)
    assert exchanged == pytest.approx(1 - used, abs=1e-5)
