"""Markov chains of fitted stories."""

import numpy as np
import pytest
import torch

from benchmarks.calibration.sbc import chain_ranks, uniformity
from nbam_pyro import fit, to_datatree
from nbam_pyro.errors import ConvergenceWarning, DataError, StoryError
from nbam_pyro.inference import Joint, guide_and_chains, guide_median, loo, nuts
from tests.cases import ALL_STORIES, ThreeStates
from tests.inference.exact import two_lines, two_slopes

# A fit of an epoch or two has no reason to be sound.
untrained = pytest.mark.filterwarnings("ignore::nbam_pyro.errors.CannotTellWarning")
few = pytest.mark.filterwarnings("ignore::nbam_pyro.errors.ConvergenceWarning")


@untrained
@few
def test_a_story_without_closed_form_is_sampled_by_enumeration():
    torch.manual_seed(0)
    x, y = ALL_STORIES["three_states"][1](12)
    fitted = fit(ThreeStates(), (x, y), steps=[Joint(epochs=1)], held_out=0)
    tree = nuts(fitted, x, y, num_samples=5, num_warmup=5, chains=1)
    assert tree.posterior["shares"].shape == (1, 5, 3)
    assert all(p.requires_grad for p in fitted.story.parameters())


@few
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


@untrained
@few
@pytest.mark.parametrize("name", sorted(ALL_STORIES))
def test_every_story_is_sampled(name):
    make, data = ALL_STORIES[name]
    x, y = data(12)
    fitted = fit(make(), (x, y), steps=[Joint(epochs=1)], held_out=0)
    if not guide_median(fitted.guide):
        pytest.skip("nothing to sample")
    tree = nuts(fitted, x, y, num_samples=4, num_warmup=4, chains=2)
    assert all(np.isfinite(values).all() for values in tree.posterior.values())


@untrained
@pytest.mark.parametrize("make", [two_slopes, two_lines])
def test_groups_of_chains_have_the_weights_of_their_modes(make, tmp_path):
    case = make()
    fitted = fit(case.story, (case.x, case.y))
    # Three chains, so two of them start in the same mode: as they fell, they are not the posterior.
    tree = nuts(fitted, case.x, case.y, num_samples=250, num_warmup=100, chains=3)
    above = tree.posterior[case.site] > case.between
    assert float(above.mean()) == pytest.approx(case.above, abs=0.1)
    sides = (tree["chains"][case.site] > case.between).mean("draw")
    assert sorted(sides.values.round().tolist()) in ([0, 0, 1], [0, 1, 1])
    convergence = tree["convergence"]
    assert sorted(convergence["chains"].values) == [1, 2]
    assert float(convergence["weight"].sum()) == pytest.approx(1)
    assert float(convergence["r_hat"].max()) < 1.05  # among chains of one group
    assert convergence.attrs["sentence"] == "The chains have converged."
    assert guide_and_chains(to_datatree(fitted, case.x, case.y), tree)["r_hat"].max() < 1.05
    tree.to_netcdf(tmp_path / "tree.nc", engine="h5netcdf")


def test_chains_that_have_not_converged_are_named(line_fit):
    fitted, x, y, _ = line_fit
    with pytest.warns(ConvergenceWarning, match="effective draws"):
        tree = nuts(fitted, x, y, num_samples=8, num_warmup=2, chains=2)
    assert tree["convergence"].attrs["sentence"].startswith("The chains have not converged: ")
    assert tree["convergence"].attrs["converged"] == 0
    assert "chains" not in tree.children  # there is one mode, so the posterior is these chains


def test_ranks_of_chains_are_uniform():
    """Simulation-based calibration on few simulations of short chains; the benchmark has more."""
    rows = [chain_ranks(seed, count=15)[0] for seed in range(1000, 1012)]
    p = uniformity(np.array(rows), bins=4, count=15)
    assert len(p) == 6
    assert min(p) > 0.01 / 6
