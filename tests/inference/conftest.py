"""Fits that several test files share."""

import pytest
import torch
from pyro.infer.autoguide import AutoMultivariateNormal
from torch import nn

from nbam_pyro import FlipPrior, LabelFlip, fit, to_datatree
from nbam_pyro.inference import StartFrom, nuts
from tests.inference.small_fits import FULL, labels_given_f, line, line_story


@pytest.fixture(scope="session")
def line_fit():
    torch.manual_seed(0)
    x, y, wrong = line()
    start = StartFrom({"weight": torch.tensor([2.0]), "noise": torch.tensor(0.5)})
    fitted = fit(
        line_story(),
        (x, y),
        steps=[start, FULL],
        guide=AutoMultivariateNormal,
        held_out=0,
        batch_size=60,
    )
    return fitted, x, y, wrong


@pytest.fixture(scope="session")
def line_trees(line_fit):
    fitted, x, y, _ = line_fit
    chains = nuts(fitted, x, y, num_samples=300, num_warmup=150, chains=2, seed=1)
    return to_datatree(fitted, x, y, num_draws=2000), chains


@pytest.fixture(scope="session")
def flip_fit():
    torch.manual_seed(0)
    x, y, flip = labels_given_f()
    story = LabelFlip(nn.Identity(), 3, prior=FlipPrior(rate=(1, 4), flip=1.0))
    return fit(story, (x, y), steps=[FULL], held_out=0, batch_size=200), x, y, flip
