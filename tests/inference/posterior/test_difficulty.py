"""Wrong labels that depend on difficulty: the formulas, the estimate, and who decides."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from nbam_pyro import FlipPrior, LabelFlip, Verified, fit
from nbam_pyro.errors import DataError, StoryError
from nbam_pyro.functional import label_flip_log_joint, zero_diagonal
from nbam_pyro.inference import Joint
from nbam_pyro.inference.posterior.difficulty import (
    DIFFICULTY,
    estimate_at_difficulty,
    flips_at,
    hesitation,
    rate_change,
)
from nbam_pyro.inference.posterior.network_readings import NetworkReadings
from nbam_pyro.inference.posterior.other_difficulty import other_share
from nbam_pyro.inference.steps.evidence import Evidence
from nbam_pyro.verified import NOTHING

K, N = 4, 3000
RATE = torch.full((K,), 0.1, dtype=torch.float64)
FLIP = zero_diagonal(torch.full((K, K - 1), 1 / (K - 1), dtype=torch.float64))
LATENTS = {"rate": RATE, "flip": torch.full((K, K - 1), 1 / (K - 1), dtype=torch.float64)}


def simulated(difficulty, *, seed=0):
    """Calibrated predictions, true labels, and labels that are wrong at a difficulty."""
    generator = torch.Generator().manual_seed(seed)
    logits = 2.5 * torch.randn(N, K, generator=generator, dtype=torch.float64)
    log_f = logits.log_softmax(-1)
    true = torch.multinomial(log_f.exp(), 1, generator=generator)[:, 0]
    rate = (RATE.logit()[true] + rate_change(log_f, difficulty)).sigmoid()
    wrong = torch.rand(N, generator=generator, dtype=torch.float64) < rate
    rows = torch.arange(N)
    every = torch.stack(
        [flips_at(log_f, torch.full((N,), y), FLIP.log(), difficulty)[rows, true] for y in range(K)]
    )
    other = torch.multinomial(every.T.exp(), 1, generator=generator)[:, 0]
    labels = torch.where(wrong, other, true)
    return Evidence(log_f, labels, torch.ones(N, dtype=torch.float64), NOTHING), true


@given(st.integers(0, 10_000), st.sampled_from([0.0, 0.5, 1.0, 4.0]))
def test_the_probabilities_of_all_observed_labels_sum_to_one(seed, difficulty):
    generator = torch.Generator().manual_seed(seed)
    log_f = (3 * torch.randn(5, K, generator=generator, dtype=torch.float64)).log_softmax(-1)
    total = torch.zeros(5, dtype=torch.float64)
    for y in range(K):
        labels = torch.full((5,), y)
        pair = label_flip_log_joint(
            log_f,
            labels,
            RATE.logit(),
            FLIP.log(),
            rate_change(log_f, difficulty),
            row_flip=flips_at(log_f, labels, FLIP.log(), difficulty),
        )
        total += torch.stack(pair).exp().sum(0)
    torch.testing.assert_close(total, torch.ones_like(total))


def test_difficulty_0_is_the_story_without_it():
    rows, _ = simulated(0.0)
    story = rows.log_probs, rows.labels, RATE.logit(), FLIP.log()
    plain = label_flip_log_joint(*story)
    row_flip = flips_at(rows.log_probs, rows.labels, FLIP.log(), 0.0)
    change = rate_change(rows.log_probs, 0.0)
    torch.testing.assert_close(label_flip_log_joint(*story, change, row_flip=row_flip), plain)
    start = rows.updated_transition(FlipPrior(), LATENTS)
    found = estimate_at_difficulty(rows, FlipPrior(), start, 0.0)
    torch.testing.assert_close(found.rate, start.rate, atol=2e-3, rtol=0)
    torch.testing.assert_close(found.flip, start.flip, atol=1e-2, rtol=0)


def test_the_estimate_at_the_true_difficulty_finds_rates_and_share():
    rows, true = simulated(2.0)
    share = float((rows.labels != true).double().mean())
    start = rows.updated_transition(FlipPrior(), LATENTS)
    found = estimate_at_difficulty(rows, FlipPrior(), start, 2.0)
    assert found.share == pytest.approx(share, abs=0.02)
    assert start.share < share - 0.03
    assert float((found.rate - RATE).abs().max()) < 0.05


def test_hesitation_lies_between_a_certain_and_a_tied_prediction():
    tied = torch.tensor([[0.4, 0.4, 0.2]]).log()
    assert float(hesitation(tied)) == pytest.approx(1)
    assert float(hesitation(torch.tensor([[0.0, -math.inf, -math.inf]]))) == 0


@pytest.mark.parametrize("true_difficulty", [0.0, 2.0])
def test_verified_rows_decide_whether_labels_depend_on_difficulty(true_difficulty):
    rows, true = simulated(true_difficulty)
    chosen = torch.randperm(N, generator=torch.Generator().manual_seed(1))[:600]
    known = torch.full((N,), -1).scatter(0, chosen, true[chosen])
    verified = Verified(torch.full((N,), -1), known)
    rows = dataclasses.replace(rows, verified=verified)
    found = NetworkReadings.of(rows, FlipPrior(), LATENTS, learned=True)
    assert (found.trust.hesitant > 0.5) == (true_difficulty > 0)
    assert set(found.trust.difficulty) == {0.0, DIFFICULTY}
    assert found.trust.weight.sum() + found.trust.all_right == pytest.approx(1)


def test_without_verified_rows_the_difficulty_is_0_and_the_other_share_is_larger():
    rows, _ = simulated(1.0)
    plain = NetworkReadings.of(rows, FlipPrior(), LATENTS, learned=True)
    assert not plain.trust.difficulty.any()
    assert plain.trust.hesitant == 0
    factor = other_share(plain, rows, FlipPrior())
    assert factor > 1.05
    asked = NetworkReadings.of(rows, FlipPrior(), LATENTS, learned=True, difficulty=1.0)
    np.testing.assert_allclose(asked.trust.weight, plain.trust.weight)
    assert asked.trust.hesitant == 1
    assert other_share(asked, rows, FlipPrior()) == pytest.approx(1 / factor, abs=0.05)


def test_another_difficulty_is_compared_with_0():
    rows, _ = simulated(1.0)
    factors = {}
    for d in (0.5, 3.0):
        asked = NetworkReadings.of(rows, FlipPrior(), LATENTS, learned=True, difficulty=d)
        factors[d] = other_share(asked, rows, FlipPrior())
    assert 0 < factors[3.0] < factors[0.5] < 1


def test_a_difficulty_is_refused_if_the_steps_do_not_predict_out_of_fold():
    x, y = torch.randn(40, 2), torch.arange(40) % 2
    story = LabelFlip(nn.Linear(2, 2), 2, difficulty=1.0)
    with pytest.raises(StoryError, match="CrossFit"):
        fit(story, (x, y), steps=[Joint(epochs=1)], seed=0)


@pytest.mark.parametrize("difficulty", [-1.0, math.inf, math.nan])
def test_a_difficulty_that_is_no_number_from_0_is_refused(difficulty):
    with pytest.raises(DataError, match="difficulty"):
        LabelFlip(nn.Linear(2, 2), 2, difficulty=difficulty)


def test_a_difficulty_without_predictions_out_of_fold_is_refused():
    with pytest.raises(StoryError, match="difficulty"):
        LabelFlip(nn.Sequential(nn.Linear(2, 2)), 2, difficulty=1.0, last_layer=1.0)
