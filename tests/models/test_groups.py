"""Stories with contamination rates by group."""

import numpy as np
import pytest
import torch
from torch import nn

from nbam_pyro import LabelFlip, LatentSwitch, fit, load, save
from nbam_pyro.data import with_groups
from nbam_pyro.errors import DataError
from nbam_pyro.inference import Fit, Joint, guide_draws, log_marginals, responsibilities
from nbam_pyro.models import BroadNormal, GroupSwitch, NormalLikelihood
from tests.inference.small_fits import FULL, labels_given_f, line

# A fit of an epoch or two has no reason to be sound.
untrained = pytest.mark.filterwarnings("ignore::nbam_pyro.errors.CannotTellWarning")


def test_rates_of_groups_are_found_for_a_latent_true_label():
    torch.manual_seed(0)
    x, y, _ = labels_given_f(300, seed=2)
    true = x.argmax(1)
    rng = np.random.default_rng(0)
    group = rng.choice(["good", "bad"], 300)
    flip = rng.random(300) < np.where(group == "bad", 0.5, 0.02)
    y = torch.where(torch.as_tensor(flip), (true + 1) % 3, true)
    rows, names = with_groups(x, group)
    assert list(names) == ["bad", "good"]
    story = LabelFlip(nn.Identity(), 3, groups=2)
    fitted = fit(story, (rows, y), steps=[FULL], held_out=0, batch_size=300)
    draws = guide_draws(fitted.guide, 200)
    u = draws["group_spread"][:, None] * draws["group"]
    assert (u[:, 0] > u[:, 1]).float().mean() > 0.95
    r = responsibilities(fitted, rows, y)
    assert ((r > 0.5) == flip).mean() > 0.9
    # An unknown group is between the two.
    unknown, _ = with_groups(x, ["?"] * 300, names=names)
    density = log_marginals(fitted, unknown, y)
    assert np.isfinite(density).all()


@untrained
def test_the_default_recipe_fits_groups_and_saves_them(tmp_path):
    torch.manual_seed(0)
    x, y, _ = labels_given_f(120)
    rows, _ = with_groups(x, np.arange(120) % 2)
    story = LabelFlip(nn.Sequential(nn.Linear(3, 8), nn.Linear(8, 3)), 3, groups=2)
    fitted = fit(story, (rows, y), epochs=6)
    assert isinstance(fitted, Fit)
    save(fitted, tmp_path / "run")
    again = load(tmp_path / "run")
    assert np.array_equal(responsibilities(again, rows, y), responsibilities(fitted, rows, y))


def test_groups_go_with_every_clean_likelihood():
    torch.manual_seed(0)
    x, y, _ = line(20)
    rows, _ = with_groups(x, ["a", "b"] * 10)
    clean = NormalLikelihood(nn.Linear(1, 1))
    story = LatentSwitch(switch=GroupSwitch(2), clean=clean, anomaly=BroadNormal(0.0, 12.0))
    fitted = fit(story, (rows, y), steps=[Joint(epochs=1)], held_out=0)
    assert responsibilities(fitted, rows, y).shape == (20,)
    bad, _ = with_groups(x, ["a", "b", "c", "d"] * 5)
    with pytest.raises(DataError, match="with_groups"):
        responsibilities(fitted, bad, y)
    with pytest.raises(DataError, match="with_groups"):
        fit(story, (bad, y), steps=[Joint(epochs=1)])
    with pytest.raises(DataError, match="with_groups"):  # a feature is no code
        fit(LabelFlip(nn.Linear(1, 2), 2, groups=2), (torch.rand(9, 2), torch.arange(9) % 2))
