"""Few rows and any network: as many steps as it takes to learn, or a sentence that says so."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_iris
from torch import nn

from nbam_pyro import LabelFlip, NBAMClassifier, NBAMRegressor, fit
from nbam_pyro.errors import CollapseWarning, StoryError
from nbam_pyro.inference import Joint, Pace
from nbam_pyro.inference.recipes import default_steps
from nbam_pyro.models import (
    BroadNormal,
    FixedSwitch,
    LatentSwitch,
    LinearNormal,
    mlp,
    robust_regression,
)


def linear(inputs, classes):
    return nn.Linear(inputs, classes)


def test_a_linear_layer_learns_from_few_rows():
    x, y = load_iris(return_X_y=True)
    model = NBAMClassifier(network=linear, random_state=0).fit(x, y)
    assert model.score(x, y) > 0.94
    assert model.contamination_ < 0.05
    assert model.verdict_.level != "cannot tell"


@pytest.mark.filterwarnings("ignore::nbam_pyro.errors.CannotTellWarning")
def test_the_usual_pace_changes_nothing():
    rng = np.random.default_rng(0)
    true = np.arange(60) % 2
    x = 6 * true[:, None] + rng.normal(size=(60, 2))
    paces = []

    def seen(run):
        paces.append((run.speed, run.passes))

    def responsibilities(*before):
        steps = [*before, seen, *default_steps(LabelFlip(mlp(2, 2), 2), epochs=3)]
        model = NBAMClassifier(network=mlp, random_state=0, steps=steps)
        return model.fit(x, true).responsibility_

    # One epoch of a trial, of which no pace has learned more than another.
    usual = responsibilities()
    tried = responsibilities(Pace(epochs=1, lr=1e-12))
    assert paces[0] == paces[1] == (1.0, 1)
    np.testing.assert_array_equal(usual, tried)


@pytest.mark.parametrize("epochs", [None, 5])
def test_random_labels_teach_nothing_and_it_says_so(epochs):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(90, 3)), rng.integers(0, 3, 90)
    with pytest.warns(CollapseWarning, match="no better than their frequencies"):
        model = NBAMClassifier(random_state=0, epochs=epochs).fit(x, y)
    report = model.verdict_
    assert report.level == "cannot tell"
    assert "The fit has learned nothing" in str(report)
    assert model.fit_.collapse.learned_nothing


@pytest.mark.filterwarnings("ignore::nbam_pyro.errors.CannotTellWarning")
def test_targets_that_no_trial_predicts_are_not_fitted_for_too_short_a_time():
    x = torch.linspace(-1, 1, 120)[:, None]
    y = x[:, 0] + 4 * (torch.arange(120) % 5 < 3)  # most are contaminated
    paces = []
    steps = [Pace(), lambda run: paces.append(run.speed * run.passes), Joint(epochs=1)]
    torch.manual_seed(0)
    fit(robust_regression(nn.Linear(1, 1), y), (x, y), steps=steps)
    assert paces[0] > 1


def test_pace_is_for_stories_with_a_predictor():
    clean = LinearNormal(1)
    story = LatentSwitch(switch=FixedSwitch(0.1), clean=clean, anomaly=BroadNormal(0, 9))
    with pytest.raises(StoryError, match="Pace is for"):
        fit(story, (np.zeros((9, 1)), np.arange(9.0)), steps=[Pace()])


@pytest.mark.parametrize("seed", [0, 1])
def test_a_perfect_line_has_nothing_wrong(seed):
    x = np.arange(100.0)[:, None]
    model = NBAMRegressor(random_state=seed).fit(x, 10 * x[:, 0])
    share = model.fit_.training_rows.share
    assert share.low <= 0.01
    assert share.mean < 0.05
    assert (model.responsibility_ > 0.5).sum() == 0


@pytest.mark.parametrize("constant", [False, True])
def test_gross_errors_and_a_constant_column(constant):
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (120, 2))
    y = x @ [3.0, -2.0] + 0.1 * rng.normal(size=120)
    y[:10] += 6
    features = np.c_[x, np.ones(120)] if constant else x
    model = NBAMRegressor(random_state=0).fit(features, y)
    assert ((model.responsibility_ > 0.5) == (np.arange(120) < 10)).all()
    share = model.fit_.training_rows.share
    assert share.low - 0.01 <= 10 / 120 <= share.high + 0.01
