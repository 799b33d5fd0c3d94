"""The default recipes, and fits that find wrong measurements and counts."""

import numpy as np
import pytest
import torch
from torch import nn

from nbam_pyro import fit, responsibilities
from nbam_pyro.errors import CollapseWarning
from nbam_pyro.inference import Joint
from nbam_pyro.models import (
    BetaSwitch,
    BroadCounts,
    BroadNormal,
    BroadStudentT,
    LaplaceLikelihood,
    LatentSwitch,
    NegativeBinomialLikelihood,
    PoissonLikelihood,
    StudentTLikelihood,
    robust_regression,
    three_heads,
)


@pytest.mark.parametrize(
    ("clean", "anomaly", "noise"),
    [
        (LaplaceLikelihood, BroadNormal, lambda n: torch.randn(n) * 0.1),
        (StudentTLikelihood, BroadStudentT, lambda n: torch.randn(n) * 0.1),
    ],
)
def test_other_families_find_outliers_too(clean, anomaly, noise):
    torch.manual_seed(0)
    x = torch.linspace(-1, 1, 80)[:, None]
    y = 2 * x[:, 0] + noise(80)
    y[::10] += 7
    story = LatentSwitch(switch=BetaSwitch(), clean=clean(nn.Linear(1, 1)), anomaly=anomaly(0, 6))
    fitted = fit(story, (x, y), held_out=0)
    assert ((responsibilities(fitted, x, y) > 0.5) == (np.arange(80) % 10 == 0)).all()


@pytest.mark.parametrize("clean", [PoissonLikelihood, NegativeBinomialLikelihood])
def test_counts_that_went_wrong_are_found(clean):
    torch.manual_seed(0)
    x = torch.linspace(-1, 1, 120)[:, None]
    y = torch.poisson((1.5 + x[:, 0]).exp())
    y[::12] = 90
    story = LatentSwitch(
        switch=BetaSwitch(), clean=clean(nn.Linear(1, 1)), anomaly=BroadCounts(60.0)
    )
    fitted = fit(story, (x, y), steps=[Joint(epochs=150, lr=0.05)], held_out=0)
    assert ((responsibilities(fitted, x, y) > 0.5) == (np.arange(120) % 12 == 0)).all()


def test_the_default_recipe_takes_the_side_on_which_errors_lie():
    """Errors of both signs, upwards and downwards; more than half cannot be wrong."""
    torch.manual_seed(0)
    x = torch.linspace(-1, 1, 120)[:, None]
    wrong = torch.arange(120) % 3 == 0
    for shift in (5.0, -5.0):
        y = 2 * x[:, 0] + 0.2 * torch.randn(120) + shift * wrong
        fitted = fit(robust_regression(nn.Linear(1, 1), y), (x, y))
        assert (torch.as_tensor(responsibilities(fitted, x, y) > 0.5) == wrong).all()
        assert fitted.story.anomaly.delta.item() == pytest.approx(shift, abs=0.5)


def test_the_literal_story_collapses_and_says_so():
    from nbam_pyro.data import flipped_digits

    digits = flipped_digits(seed=50)
    torch.manual_seed(0)
    trunk = nn.Sequential(nn.Linear(64, 64), nn.ReLU())
    with pytest.warns(CollapseWarning, match="LabelFlip"):
        fitted = fit(
            three_heads(trunk, 64, 10), (digits.x, digits.labels.observed), steps=[Joint(epochs=30)]
        )
    assert fitted.collapse.collapsed
    assert fitted.collapse.contamination < 0.02
