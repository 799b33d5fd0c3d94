"""Evidence on rates and flips: sharpness, posteriors, and the comparison of attempts."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nbam_pyro.functional import off_diagonal
from nbam_pyro.inference import Anchors
from nbam_pyro.inference.steps.attempts import Attempt
from nbam_pyro.inference.steps.evidence import Evidence
from nbam_pyro.models.priors.pseudo_counts import FlipPrior
from nbam_pyro.verified import NOTHING

MODERATE = np.array([[0.7, 0.3, 0.0], [0.0, 0.8, 0.2], [0.0, 0.0, 1.0]])


def test_a_flat_pool_is_sharpened_to_what_the_labels_bear_out():
    torch.manual_seed(0)
    log_f = (2 * torch.randn(20_000, 3)).log_softmax(-1)
    matrix = torch.as_tensor(MODERATE, dtype=torch.float)
    labels = torch.multinomial(log_f.exp() @ matrix, 1).flatten()
    flat = Evidence((log_f / 2).log_softmax(-1), labels, torch.ones(20_000), NOTHING)
    latents = {"rate": 1 - matrix.diagonal(), "flip": off_diagonal(matrix + 1e-6)}
    latents["flip"] = latents["flip"] / latents["flip"].sum(-1, keepdim=True)
    latents["rate"] = latents["rate"].clamp_min(1e-6)
    sharpened = flat.sharpened(latents)
    assert torch.allclose(sharpened.log_probs.exp(), log_f.exp(), atol=0.03)
    assert sharpened.log_marginals(latents).mean() > flat.log_marginals(latents).mean()


def test_of_equally_probable_attempts_the_more_informative_one_is_preferred():
    rate, small = 0.4, 1e-6
    labels = torch.tensor([0] * 60 + [1] * 40 + [1] * 100)

    def attempt(first, matrix):
        probs = torch.tensor([[first, 1 - first]] * 100 + [[small, 1 - small]] * 100)
        matrix = torch.tensor(matrix)
        transition = SimpleNamespace(rate=1 - matrix.diagonal(), flip=torch.eye(2).flip(0))
        return Attempt(
            Anchors(), Evidence(probs.log(), labels, torch.ones(200), NOTHING), transition
        )

    unsure = attempt(1 - rate, [[1 - small, small], [small, 1 - small]])
    sure = attempt(1 - small, [[1 - rate, rate], [small, 1 - small]])
    assert sure.log_marginals() == pytest.approx(unsure.log_marginals(), abs=1e-4)
    assert sure.gain(unsure, information=0.05) > 2
    assert unsure.gain(sure, information=0.05) < -2


def test_merging_two_classes_is_no_gain_of_information():
    labels = torch.tensor([0, 1] * 50)
    apart = Evidence(
        torch.eye(2).repeat(50, 1).clamp_min(1e-6).log(), labels, torch.ones(100), NOTHING
    )
    merged = dataclasses.replace(apart, log_probs=apart.log_probs[:1].expand(100, 2))
    assert merged.entropy.sum() == pytest.approx(apart.entropy.sum())
    assert merged.occupied_entropy < 0.01 < apart.occupied_entropy


def evidence(log_probs, labels):
    labels = torch.as_tensor(labels)
    return Evidence(log_probs, labels, torch.ones(len(labels)).to(log_probs), NOTHING)


@settings(deadline=None, max_examples=20)
@given(st.floats(0.4, 2.5), st.integers(0, 2**32 - 1))
def test_sharpness_is_found_with_the_rate(exponent, seed):
    """Predictions that are too sharp or too flat by some power are brought back to it."""
    rng = np.random.default_rng(seed)
    logits = torch.as_tensor(4 * rng.normal(size=(3000, 3)))
    probs = logits.softmax(-1).numpy()
    true = (probs.cumsum(1) > rng.random((3000, 1))).argmax(1)
    y = np.where(rng.random(3000) < 0.2, (true + 1) % 3, true)
    said = evidence((logits / exponent).log_softmax(-1), y)
    rate, flip = torch.full((3,), 0.1).double(), torch.full((3, 2), 0.5).double()
    _, transition = said.calibrated(FlipPrior(), {"rate": rate, "flip": flip})
    assert transition.share == pytest.approx(0.2, abs=0.04)


def test_the_posterior_of_evidence_is_bayes():
    said = evidence(torch.tensor([[0.9, 0.1], [0.5, 0.5]]).log(), [1, 0])
    latents = {"rate": torch.tensor([0.2, 0.4]), "flip": torch.ones(2, 1)}
    joint = torch.tensor([[0.9 * 0.2, 0.1 * 0.6], [0.5 * 0.8, 0.5 * 0.4]])
    assert torch.allclose(said.posterior(latents), joint / joint.sum(1, keepdim=True))
