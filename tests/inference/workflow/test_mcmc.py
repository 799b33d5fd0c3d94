"""Markov chains of fitted stories."""

import numpy as np
import pytest
import torch

from benchmarks.calibration.sbc import ranks, uniformity
from nbam_pyro import fit, to_datatree
from nbam_pyro.errors import DataError, StoryError
from nbam_pyro.inference import Joint, loo, nuts
from tests.cases import ALL_STORIES, ThreeStates

# A fit of an epoch or two has no reason to be sound.
untrained = pytest.mark.filterwarnings("ignore::nbam_pyro.errors.CannotTellWarning")


@untrained
def test_a_story_without_closed_form_is_sampled_by_enumeration():
    torch.manual_seed(0)
    x, y = ALL_STORIES["three_states"][1](12)
    fitted = fit(ThreeStates(), (x, y), steps=[Joint(epochs=1)], held_out=0)
    tree = nuts(fitted, x, y, num_samples=5, num_warmup=5, chains=1)
    assert tree.posterior["shares"].shape == (1, 5, 3)
    assert all(p.requires_grad for p in fitted.story.parameters())


def test_chains_in_processes_are_those_of_one_process(flip_fit):
    fitted, x, y, _ = flip_fit
    trees = [
        nuts(fitted, x, y, num_samples=4, num_warmup=4, chains=2, workers=workers)
        for workers in (1, 2)
    ]
    assert trees[0].posterior.equals(trees[1].posterior)


def test_what_has_no_global_latent_is_not_sampled():
    make, data = ALL_STORIES["uniform_labels"]
    fitted = fit(make(), data(20), steps=[Joint(epochs=1)], held_out=0)
    with pytest.raises(StoryError, match="nothing to sample"):
        nuts(fitted, *data(20))
    with pytest.raises(DataError, match="four samples"):
        nuts(fitted, *data(20), num_samples=2)
    tree = to_datatree(fitted, *data(20), num_predictive=3)
    assert tree.posterior_predictive["y"].shape == (1, 3, 20)
    assert tree.log_likelihood_in_sample["y"].shape == (1, 3, 20)
    assert dict(tree.posterior.sizes) == {"chain": 1, "draw": 3}
    assert "log_prior" not in tree.children
    fitted.story.requires_grad_(False)
    with pytest.raises(StoryError, match="no global latents"):
        loo(fitted, *data(20))


# The prior may draw a rate above one half, of which a fit warns.
@untrained
def test_ranks_of_chains_are_uniform():
    """Simulation-based calibration on few simulations of short chains; the benchmark has more."""
    rows = [ranks(seed, count=31) for seed in range(1000, 1020)]
    p = uniformity(np.array([row["nuts"] for row in rows]), bins=4, count=31)
    assert len(p) == 6
    assert min(p) > 0.01 / 6
