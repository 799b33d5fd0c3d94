"""Draws of densities with several modes, against densities that are known exactly."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from nbam_pyro.inference.variational.mixture import _Mixture, sample_modes

CENTRES = torch.tensor([[-3.0, 0.0], [4.0, 1.0]]).double()
COVARIANCES = torch.tensor([[[1.0, 0.6], [0.6, 1.0]], [[0.3, 0.0], [0.0, 2.0]]]).double()
WEIGHTS = torch.tensor([0.3, 0.7]).double()
SCALE = 5.0  # logarithm of the integral of the density


def two_normals(points):
    parts = torch.distributions.MultivariateNormal(CENTRES, COVARIANCES, validate_args=False)
    return SCALE + (WEIGHTS.log() + parts.log_prob(points[:, None])).logsumexp(1)


def sampled(density=two_normals, *, seed=0, spread=1.0):
    return sample_modes(density, CENTRES, spread * COVARIANCES, density(CENTRES), seed=seed)


@pytest.mark.parametrize("spread", [0.3, 1.0, 4.0])
def test_weights_moments_and_evidence_of_two_normal_distributions(spread):
    found = sampled(spread=spread)
    assert found.k_hat < 0.7
    assert found.log_evidence == pytest.approx(SCALE, abs=0.05)
    assert float(found.weights.sum()) == pytest.approx(1)
    assert torch.allclose(found.of_mode.sum(1), torch.ones(len(found.points)).double())
    shares = found.weights @ found.of_mode
    assert shares.tolist() == pytest.approx(WEIGHTS.tolist(), abs=0.03)
    mean = found.weights @ found.points
    assert mean.tolist() == pytest.approx((WEIGHTS @ CENTRES).tolist(), abs=0.2)


def test_the_same_seed_gives_the_same_draws_and_leaves_random_state_alone():
    before = torch.get_rng_state()
    first, second, other = sampled(), sampled(), sampled(seed=1)
    assert torch.equal(first.points, second.points)
    assert torch.equal(first.weights, second.weights)
    assert not torch.equal(first.points, other.points)
    assert torch.equal(before, torch.get_rng_state())


@given(seed=st.integers(0, 1000), size=st.integers(1, 4))
@settings(max_examples=15, deadline=None)
def test_the_density_of_a_part_is_that_of_scipy(seed, size):
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(size, size))
    covariance = root @ root.T + 0.5 * np.eye(size)
    centre, points = rng.normal(size=size), rng.normal(size=(6, size)) * 3
    part = _Mixture(*map(torch.tensor, ([1.0], centre[None], covariance[None])))
    found = part.log_parts(torch.tensor(points))[:, 0]
    expected = stats.multivariate_t.logpdf(points, centre, covariance * 3 / 5, df=5)
    assert found.tolist() == pytest.approx(np.atleast_1d(expected).tolist(), abs=1e-8)


def test_draws_of_a_mixture_have_its_shares_and_covariances():
    mixture = _Mixture(WEIGHTS, CENTRES, COVARIANCES)
    points = mixture.draw(20_000, torch.Generator().manual_seed(0))
    right = points[:, 0] > 0.5
    assert float(right.double().mean()) == pytest.approx(0.7, abs=0.02)
    assert torch.allclose(torch.cov(points[right].mT), COVARIANCES[1], atol=0.2)


def test_chains_replace_weights_that_are_not_reliable():
    # A thin, strongly bent crescent beside a Normal: no Student-t distribution resembles it.
    def bent(points):
        x, y = points.unbind(-1)
        crescent = -0.5 * (x / 3) ** 2 - 0.5 * ((y - 3 * x**2) / 0.02) ** 2
        return crescent - math.log(2 * math.pi * 3 * 0.02)

    centre = torch.zeros(1, 2).double()
    covariance = torch.diag(torch.tensor([1e-3, 4e-4])).double()[None]
    found = sample_modes(bent, centre, covariance, bent(centre), seed=0)
    assert found.k_hat is None or found.k_hat < 0.7
    assert float(found.weights.sum()) == pytest.approx(1)
