"""Comparison of candidate stories on rows out of fold."""

import arviz_plots
import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib import pyplot as plt
from torch import nn

from nbam_pyro import LabelFlip, LatentSwitch
from nbam_pyro.data import with_groups
from nbam_pyro.errors import DataError, StoryError
from nbam_pyro.inference import Comparison, Joint, StartFrom, compare_priors
from nbam_pyro.models import (
    BetaSwitch,
    BroadNormal,
    FixedSwitch,
    GroupSwitch,
    LinearNormal,
    LinearSwitch,
    WithoutGroups,
)
from tests.cases import ALL_STORIES
from tests.inference.small_fits import labels_given_f, line, line_story

# A fit of an epoch or two has no reason to be sound.
untrained = pytest.mark.filterwarnings("ignore::nbam_pyro.errors.CannotTellWarning")


def test_a_comparison_is_rounded_for_people():
    table = pd.DataFrame(
        {
            "rank": [0, 1],
            "elpd": [-243.4907, -243.4941],
            "se": [11.7, 11.7],
            "elpd_diff": [0.0, 0.00334],
            "dse": [0.0, 0.00138],
            "weight": [1.0, 3e-16],
        },
        index=["open", "a very long name of a candidate " * 5],
    )
    text = str(Comparison({}, table, np.zeros(0, dtype=int)))
    assert len(text.splitlines()) == 3
    for number in ("-243.49", "0.003", "0.001", "3e-16", "1.00"):
        assert number in text


def test_the_prior_that_made_the_data_predicts_best():
    rng = np.random.default_rng(3)
    group = rng.integers(4, size=240)
    x = rng.normal(size=(240, 1))
    y = 2 * x[:, 0] + 0.5 * rng.normal(size=240)
    wrong = rng.random(240) < np.array([0.01, 0.02, 0.5, 0.6])[group]
    y[wrong] = 12 * rng.normal(size=wrong.sum())
    rows, names = with_groups(x, group)
    assert list(names) == [0, 1, 2, 3]

    def story(switch):
        trunk = None if isinstance(switch, GroupSwitch) else WithoutGroups()
        anomaly = BroadNormal(0.0, 12.0)
        return LatentSwitch(switch=switch, clean=LinearNormal(1), anomaly=anomaly, trunk=trunk)

    stories = {
        "fixed": story(FixedSwitch(0.05)),
        "one rate": story(BetaSwitch(3, 7)),
        "groups": story(GroupSwitch(4)),
        "input": story(LinearSwitch(1)),
    }
    joint = Joint(epochs=150, guide_lr=0.05, spread_lr=0.05, one_cycle=True)
    steps = [StartFrom({"weight": torch.tensor([2.0]), "noise": torch.tensor(0.5)}), joint]
    comparison = compare_priors(
        stories, rows, y, folds=3, steps=steps, held_out=0, batch_size=240, num_draws=50
    )
    assert comparison.within() == ["groups"]
    assert comparison.table.index[0] == "groups"
    assert "groups" in str(comparison)
    assert sorted(np.unique(comparison.fold)) == [0, 1, 2]
    assert comparison.elpd["fixed"].elpd_i.shape == (240,)
    arviz_plots.plot_compare(comparison.table)
    plt.close("all")


@untrained
def test_candidates_start_from_the_same_weights_and_stay_as_they_are():
    x, y, _ = labels_given_f(60)
    torch.manual_seed(0)
    stories = {name: LabelFlip(nn.Linear(3, 3), 3) for name in "ab"}
    before = [p.clone() for story in stories.values() for p in story.parameters()]
    result = compare_priors(stories, x, y, folds=2, steps=[Joint(epochs=2)], num_draws=5)
    assert result.elpd["a"].elpd == result.elpd["b"].elpd
    after = [p for story in stories.values() for p in story.parameters()]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_what_cannot_be_compared_is_refused():
    x, y, _ = labels_given_f(20)
    one = {"one": LabelFlip(nn.Linear(3, 3), 3)}
    with pytest.raises(StoryError, match="at least two"):
        compare_priors(one, x, y)
    with pytest.raises(DataError, match="folds"):
        compare_priors(one | {"two": one["one"]}, x, y, folds=1)


def test_options_by_row_are_refused():
    x, y, _ = line(30)
    stories = {"a": line_story(), "b": line_story(FixedSwitch(0.1))}
    with pytest.raises(DataError, match="weights has one value for each row"):
        compare_priors(stories, x, y, weights=np.ones(30))
    with pytest.raises(DataError, match="rows"):
        compare_priors(stories, x, y[:20])


@untrained
def test_a_row_of_several_labels_is_one_datum():
    make, data = ALL_STORIES["multi_label"]
    torch.manual_seed(0)
    x, y = data(24)
    result = compare_priors(
        {"a": make(), "b": make()}, x, y, folds=2, steps=[Joint(epochs=1)], num_draws=5
    )
    assert result.elpd["a"].elpd_i.shape == (24,)
