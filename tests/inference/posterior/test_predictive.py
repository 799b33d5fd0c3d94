"""Draws from the prior and of targets."""

import numpy as np
import pytest
import torch

from nbam_pyro.inference.posterior.draws import Scored
from nbam_pyro.inference.posterior.predictive import log_priors, predictive_draws, prior_draws
from tests.cases import ALL_STORIES


@pytest.mark.parametrize("name", ALL_STORIES)
def test_every_story_has_draws_from_its_prior_and_of_its_targets(name):
    make, data = ALL_STORIES[name]
    x, y = data()
    story, rows = make(), Scored(x, y)
    state = torch.get_rng_state()
    draws = prior_draws(story, rows, 4, seed=1)
    assert all(len(value) == 4 for value in draws.values())
    again = predictive_draws(story, rows, draws, 4, seed=1)
    assert again.shape == (1, 4, *y.shape)
    assert np.array_equal(again, predictive_draws(story, rows, draws, 4, seed=1))
    if draws:
        terms = log_priors(story, rows, {name: value[None] for name, value in draws.items()})
        assert terms.keys() == draws.keys()
        assert all(term.shape == (1, 4) and np.isfinite(term).all() for term in terms.values())
    assert torch.equal(state, torch.get_rng_state())
