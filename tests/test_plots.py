"""Every picture draws into the axes it is given, returns them, and shows what it should."""

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.figure import Figure
from torch import nn

from nbam_pyro import LabelFlip, fit, plots, to_datatree, transition_matrix
from nbam_pyro.errors import StoryError
from nbam_pyro.inference import Comparison, Joint
from tests.cases import ALL_STORIES


@pytest.fixture
def ax():
    return Figure().subplots()


@pytest.fixture(scope="module")
def tree():
    torch.manual_seed(0)
    x, y = torch.randn(30, 2), torch.arange(30) % 3
    story = LabelFlip(nn.Linear(2, 3), 3)
    fitted = fit(story, (x, y), steps=[Joint(epochs=1, guide_lr=0.0)], held_out=0)
    return to_datatree(fitted, x, y, num_draws=20, num_predictive=5), fitted


pytestmark = pytest.mark.filterwarnings("ignore::nbam_pyro.errors.CollapseWarning")


def test_posteriors_are_drawn_against_priors(tree, ax):
    assert plots.rate_posterior(tree[0], ax=ax) is ax
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert labels == ["rate[0]", "rate[1]", "rate[2]"]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["prior", "posterior"]
    with pytest.raises(StoryError, match="var_name"):
        plots.rate_posterior(tree[0], var_name="nothing", ax=ax)


def test_two_posteriors_are_drawn_side_by_side(tree, ax):
    assert plots.agreement(tree[0], tree[0], var_names=["flip_matrix"], ax=ax) is ax
    assert len(ax.get_yticklabels()) == 6  # not the diagonal


def test_matrices_and_curves(tree, ax):
    assert plots.transition_matrix(transition_matrix(tree[1]), ax=ax) is ax
    other = Figure().subplots()
    history = pd.DataFrame(
        {
            "step": ["warm-up", "joint", "joint", "joint", "joint"],
            "epoch": [0, 0, 1, 0, 1],
            "loss": [9.0, 3.0, 2.0, 2.5, 1.0],
            "held_out_loss": [9.0, 3.0, 2.5, 2.4, 2.6],
        }
    )
    assert plots.training_curve(history, ax=other) is other
    kept = [line.get_xdata()[0] for line in other.lines if line.get_linestyle() == ":"]
    assert kept == [1, 2]


def test_flags_are_drawn_by_group_and_against_the_truth(ax):
    rng = np.random.default_rng(0)
    r = rng.random(200)
    contaminated = rng.random(200) < r
    assert plots.reliability(r, contaminated, ax=ax) is ax
    other = Figure().subplots()
    by = np.where(r > 0.5, 1, 0)
    assert plots.responsibilities_by(r, by, names=["few", "many"], ax=other) is other
    labels = [label.get_text() for label in other.get_yticklabels()]
    assert labels[-1].startswith("many")  # the worst on top
    again = Figure().subplots()
    assert plots.responsibilities(r, contaminated=contaminated, ax=again) is again


def test_maps_and_penalties(ax):
    rng = np.random.default_rng(0)
    assert plots.contamination_map(rng.random(20), rng.normal(size=(20, 2)), ax=ax) is ax
    other = Figure().subplots()
    assert plots.occam_penalty(rng.random(20), rng.random(20), ax=other) is other


def test_a_comparison_is_drawn_behind_the_best(ax):
    table = pd.DataFrame({"elpd_diff": [0.0, 9.0], "dse": [0.0, 2.0]}, index=["a", "b"])
    comparison = Comparison({}, table, np.zeros(0, dtype=int))
    assert plots.prior_comparison(comparison, ax=ax) is ax
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "b"]


@pytest.mark.parametrize("name", ALL_STORIES)
def test_every_story_has_a_picture(name, ax):
    make, data = ALL_STORIES[name]
    assert plots.story(make(), *data(4), ax=ax) is ax
    names = {text.get_text().split("\n")[0] for text in ax.texts}
    assert names & {"y", "label"}
