"""How far a network can be trusted: sharpness, "no label is wrong", and averages over them."""

import dataclasses

import numpy as np
import pytest
import torch

from nbam_pyro import FlipPrior, Verified
from nbam_pyro.inference.posterior.network_readings import NetworkReadings
from nbam_pyro.inference.posterior.sharpness_estimates import clean_error_of, evidence_at
from nbam_pyro.inference.steps.evidence import Evidence
from nbam_pyro.models import CleanError
from nbam_pyro.verified import NOTHING

N = 600
LATENTS = {"rate": torch.full((2,), 0.2), "flip": torch.ones(2, 1)}


def evidence(*, apart=1.5, rate=0.2, verified=NOTHING, seed=0):
    """Predictions of two overlapping classes, exact ones, and labels that are flipped at a rate."""
    generator = torch.Generator().manual_seed(seed)
    true = torch.arange(N) % 2
    x = torch.randn(N, generator=generator) + apart * (2 * true - 1)
    log_probs = torch.stack([-apart * x, apart * x], 1).log_softmax(1)
    labels = torch.where(torch.rand(N, generator=generator) < rate, 1 - true, true)
    return Evidence(log_probs, labels, torch.ones(N), verified), true


def readings(given, *, learned=True, plain=None, clean_error=None):
    return NetworkReadings.of(
        given, FlipPrior(), LATENTS, learned=learned, plain=plain, clean_error=clean_error
    )


def mean_share(found):
    return float(found.trust.weight @ np.array([one.share for one in found.transitions]))


def test_weights_are_a_distribution_and_shares_rise_with_the_sharpness():
    found = readings(evidence()[0])
    assert found.trust.weight.sum() + found.trust.all_right == pytest.approx(1)
    assert (np.diff(found.trust.sharpness) > 0).all()
    shares = [one.share for one in found.transitions]
    assert shares[0] < shares[-1]
    assert found.usual.share == pytest.approx(0.2, abs=0.05)


def test_plain_predictions_that_contradict_more_labels_raise_the_share():
    given, _ = evidence()
    agreeing = dataclasses.replace(
        given, log_probs=(4.0 * torch.nn.functional.one_hot(given.labels, 2)).log_softmax(1)
    )
    assert mean_share(readings(given, plain=agreeing)) < mean_share(readings(given, plain=given))


@pytest.mark.parametrize("limits", [(0.2, 0.3), (0.5, 0.6), (0.9, 1.0)])
def test_a_given_clean_error_is_that_of_the_explanations(limits):
    rows, _ = evidence()
    low, high = limits
    found = readings(rows, clean_error=CleanError(low=low, high=high))
    assert found.trust.weight.sum() + found.trust.all_right == pytest.approx(1)
    errors = [
        clean_error_of(evidence_at(rows, float(a), found.trust.mean), one)
        for a, one in zip(found.trust.sharpness, found.transitions, strict=True)
    ]
    mean = found.trust.all_right + float(found.trust.weight @ np.array(errors))
    assert mean == pytest.approx((low + high) / 2, abs=0.05)


def test_the_share_falls_with_the_clean_error_and_is_right_at_the_true_one():
    rows, true = evidence()
    disagree = rows.log_probs.argmax(1) != rows.labels
    truth = float(((rows.labels == true) & disagree).sum() / disagree.sum())
    at = {e: readings(rows, clean_error=CleanError(low=e, high=e + 0.02)) for e in (0.1, 0.8)}
    assert mean_share(at[0.1]) > mean_share(at[0.8])
    found = readings(rows, clean_error=CleanError(low=truth - 0.01, high=truth + 0.01))
    assert mean_share(found) == pytest.approx(
        float((rows.labels != true).double().mean()), abs=0.02
    )


def test_without_disagreement_the_clean_error_is_one():
    rows, _ = evidence(apart=9.0, rate=0.0)
    found = readings(rows, clean_error=CleanError(low=0.1, high=0.3))
    assert mean_share(found) < 0.001
    assert clean_error_of(rows, found.usual) == 1


def test_draws_follow_the_weights_and_move_rates_to_each_estimate():
    found = readings(evidence()[0])
    latents = {name: value.expand(400, *value.shape) for name, value in LATENTS.items()}
    drawn = found.trust.draws(latents)
    assert float(drawn.right.double().mean()) == pytest.approx(found.trust.all_right, abs=0.01)
    wrong = drawn.sharpness[~drawn.right].numpy()
    for a, weight in zip(found.trust.sharpness, found.trust.weight, strict=True):
        share = np.isclose(wrong, a).mean() * (1 - found.trust.all_right)
        assert share == pytest.approx(weight, abs=0.01)
    low = drawn.latents["rate"][~drawn.right][wrong == wrong.min()][0]
    high = drawn.latents["rate"][~drawn.right][wrong == wrong.max()][0]
    assert bool((low < high).all())
    assert torch.equal(drawn.latents["flip"], latents["flip"])


def test_a_draw_without_wrong_labels_contains_the_labels():
    found = readings(evidence()[0])
    drawn = found.trust.draws({name: v.expand(100, *v.shape) for name, v in LATENTS.items()})
    labels = torch.tensor([0, 1, 1])
    posterior, prior = drawn.with_right(torch.full((100, 3, 2), 0.5), torch.ones(100, 3), labels)
    assert torch.equal(
        posterior[drawn.right], torch.eye(2)[labels].expand(*posterior[drawn.right].shape)
    )
    assert not prior[drawn.right].any()
    assert (posterior[~drawn.right] == 0.5).all()


def test_a_network_that_learned_nothing_leaves_both_explanations_open():
    given = evidence(apart=0.0)[0]
    assert readings(given, learned=False).trust.all_right >= 0.5


def test_verified_rows_decide():
    given, true = evidence()
    wrong = (given.labels != true).nonzero()[:1, 0]
    codes = torch.full((N,), -1)
    codes[wrong] = true[wrong]
    one_wrong = evidence(verified=Verified.of(given.labels, true_label=codes))[0]
    assert readings(one_wrong).trust.all_right == 0
    every = evidence(verified=Verified.of(given.labels, true_label=true))[0]
    found = readings(every)
    centre = float(np.exp(found.trust.weight @ np.log(found.trust.sharpness)))
    assert 0.6 < centre < 1.6  # the predictions are exact
    spread = readings(given).trust.weight @ np.log(readings(given).trust.sharpness) ** 2
    assert found.trust.weight @ np.log(found.trust.sharpness) ** 2 < spread
    switch = torch.full((N,), -1)
    switch[wrong] = 1
    known = evidence(verified=Verified.of(given.labels, contaminated=switch))[0]
    assert readings(known).trust.all_right == 0


def test_predictions_stay_distributions():
    given, _ = evidence()
    for a in (0.1, 1.0, 20.0):
        powered = evidence_at(given, a, given.log_probs.exp().mean(0))
        assert torch.allclose(powered.log_probs.exp().sum(1), torch.ones(N), atol=1e-5)


def test_a_class_without_rows_or_weight_stops_nothing():
    given, _ = evidence()
    same = dataclasses.replace(given, labels=torch.zeros(N, dtype=torch.long))
    light = dataclasses.replace(given, weights=(given.labels == 0).float())
    for one in (same, light):
        found = readings(one)
        assert np.isfinite(found.trust.weight).all()
        assert 0 <= found.trust.all_right <= 1


def test_many_rows_are_sampled_at_random():
    """Rows in a fixed rhythm, such as the pixels of pictures, or every second weight 0."""
    given, _ = evidence()
    times = 100
    many = Evidence(
        given.log_probs.repeat(times, 1),
        given.labels.repeat(times),
        (torch.arange(N * times) % 2).float(),
        NOTHING,
    )
    odd = given[slice(1, None, 2)]
    assert readings(many).usual.share == pytest.approx(readings(odd).usual.share, abs=0.02)


def test_verified_rows_without_weight_do_not_count():
    given, true = evidence()
    codes = torch.full((N,), -1)
    codes[:100] = true[:100]
    known = evidence(verified=Verified.of(given.labels, true_label=codes))[0]
    light = dataclasses.replace(known, weights=torch.where(torch.arange(N) < 100, 0.0, 1.0))
    spread = [
        one.trust.weight @ np.log(one.trust.sharpness) ** 2 for one in map(readings, (known, light))
    ]
    assert spread[0] < spread[1]
