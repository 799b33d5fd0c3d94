"""The prior of the share of wrong labels, given what can be seen of a fit."""

import dataclasses

import numpy as np
import pytest
import torch

from nbam_pyro import FlipPrior
from nbam_pyro.inference.posterior.share_prior import FITTED, Seen, SharePrior
from nbam_pyro.inference.posterior.sharpness_estimates import usual_at
from nbam_pyro.inference.steps.evidence import Evidence
from nbam_pyro.verified import NOTHING

SEEN = Seen(
    fit=-1.5,
    plain=-1.0,
    plain_right=-3.0,
    disagreement=-1.0,
    entropy=-1.5,
    unexplained=-0.5,
)
SHARES = np.array([0.0, 0.02, 0.1, 0.2, 0.3, 0.3, 0.5])


def logit(share):
    return float(np.log(share / (1 - share)))


def test_weights_are_a_distribution_around_the_centre():
    prior = SharePrior(
        centre=(logit(0.2), 0, 0, 0, 0, 0), spread=(-1.5, 0, 0, 0, 0, 0), right=(0, 0, 0, 0, 0)
    )
    weights = prior.weights(SEEN, SHARES)
    assert weights.sum() == pytest.approx(1)
    assert weights.argmax() == 3
    assert prior.right_weight(SEEN) == pytest.approx(0.5)


def test_a_share_that_cannot_be_reached_gives_the_nearest_one():
    prior = SharePrior(
        centre=(logit(0.9), 0, 0, 0, 0, 0), spread=(-3, 0, 0, 0, 0, 0), right=(9, 0, 0, 0, 0)
    )
    assert prior.weights(SEEN, SHARES)[-1] > 0.99
    assert prior.right_weight(SEEN) == pytest.approx(0.9)


def test_the_share_lies_near_both_estimates_and_is_wider_where_they_differ():
    shares = np.linspace(0, 1, 401)

    def mean_and_spread(fit, plain):
        seen = dataclasses.replace(SEEN, fit=logit(fit), plain=logit(plain))
        weights = FITTED.weights(seen, shares)
        mean = weights @ shares
        return mean, np.sqrt(weights @ (shares - mean) ** 2)

    low, high, apart = (mean_and_spread(*pair) for pair in ((0.1, 0.1), (0.3, 0.3), (0.1, 0.3)))
    assert low[0] < apart[0] < high[0]
    assert apart[1] > low[1]


def test_numbers_of_a_fit_do_not_depend_on_rows_without_weight():
    generator = torch.Generator().manual_seed(0)
    true = torch.arange(800) % 2
    x = torch.randn(800, generator=generator) + 3.0 * true
    log_probs = torch.stack([-2 * x + 3, 2 * x - 3], 1).log_softmax(1)
    labels = torch.where(torch.rand(800, generator=generator) < 0.2, 1 - true, true)
    whole = Evidence(log_probs, labels, torch.ones(800), NOTHING)
    latents = {"rate": torch.full((2,), 0.2), "flip": torch.ones(2, 1)}
    light = dataclasses.replace(whole, weights=(torch.arange(800) < 400).float())
    usual = usual_at(whole, FlipPrior(), latents, log_probs.exp().mean(0))
    half = whole[slice(400)]
    one, other = (Seen.of(half, usual, plain, None) for plain in (half, light))
    assert one == other
    assert one.fit == pytest.approx(logit(0.2), abs=0.3)
    assert one.disagreement > one.fit
