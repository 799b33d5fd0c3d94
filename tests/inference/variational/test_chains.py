"""Hamiltonian Monte Carlo side by side, and bridge sampling."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nbam_pyro.inference.variational.chains import bridge_evidence, hamiltonian_draws

COVARIANCE = torch.tensor([[1.0, 0.8], [0.8, 2.0]]).double()
NORMAL = torch.distributions.MultivariateNormal(torch.zeros(2).double(), COVARIANCE)


def chains(seed=0):
    roots = torch.linalg.cholesky(COVARIANCE).expand(48, 2, 2)
    starts = torch.zeros(48, 2).double()
    draws, heights = hamiltonian_draws(NORMAL.log_prob, starts, roots, seed=seed)
    assert torch.allclose(heights, NORMAL.log_prob(draws))
    return draws


def test_chains_draw_from_the_density():
    draws = chains().flatten(end_dim=1)
    assert draws.mean(0).tolist() == pytest.approx([0, 0], abs=0.15)
    assert torch.allclose(torch.cov(draws.mT), COVARIANCE, atol=0.25)


def test_the_same_seed_gives_the_same_chains_and_leaves_random_state_alone():
    before = torch.get_rng_state()
    assert torch.equal(chains(), chains())
    assert not torch.equal(chains(), chains(1))
    assert torch.equal(before, torch.get_rng_state())


@given(constant=st.floats(-50, 50), shift=st.floats(-0.5, 0.5), scale=st.floats(0.7, 1.5))
@settings(max_examples=20, deadline=None)
def test_bridge_sampling_finds_the_integral_of_a_density(constant, shift, scale):
    generator = torch.Generator().manual_seed(0)
    own, drawn = torch.randn(2, 4000, generator=generator).double()
    target = torch.distributions.Normal(0.0, 1.0)
    proposal = torch.distributions.Normal(shift, scale)
    drawn = shift + scale * drawn
    found = bridge_evidence(
        constant + target.log_prob(own),
        proposal.log_prob(own),
        constant + target.log_prob(drawn),
        proposal.log_prob(drawn),
    )
    assert found == pytest.approx(constant, abs=0.05)
