"""Intervals of contamination rates."""

import dataclasses

import numpy as np
import pytest
import torch

from nbam_pyro import FlipPrior, from_pred_probs
from nbam_pyro import functional as nf
from nbam_pyro.errors import DataError
from nbam_pyro.outputs.intervals import transition_intervals
from nbam_pyro.outputs.transition import RowsByLabel, estimate_transition
from nbam_pyro.outputs.transition_variances import transition_variances
from tests.outputs.cases import (
    MATRIX,
    balanced,
    evidence,
    logits_of,
    objective,
    simulated,
)

F = torch.full((4, 2), 0.5).log()

Y = torch.tensor([0, 1, 0, 1])


def test_intervals_are_those_at_the_class_frequencies_found():
    log_f, _, y = balanced(600, 0)
    fitted = estimate_transition(log_f, y, prior=FlipPrior(), class_prior=50.0)
    found = transition_intervals(log_f, y, fitted, prior=FlipPrior())
    plain = dataclasses.replace(fitted, log_shift=torch.zeros(3).double())
    same = transition_intervals(fitted.shifted(log_f), y, plain, prior=FlipPrior())
    assert torch.equal(found.rate_low, same.rate_low)
    assert torch.equal(found.rate_high, same.rate_high)
    assert found.share_low == same.share_low < fitted.share < found.share_high


@pytest.mark.parametrize(("n", "sharpness"), [(400, 1.0), (400, 4.0), (7, 2.0)])
@pytest.mark.parametrize("prior", [FlipPrior(), FlipPrior(rate=(0.1, 2.0), flip=0.5)])
def test_intervals_are_laplace_in_logits(n, sharpness, prior):
    """Against the Hessian of the objective in all K + K (K - 1) logits, by brute force."""
    log_f, _, y = evidence(n, 3, 3, sharpness=sharpness)
    fitted = estimate_transition(log_f, y, prior=prior, tolerance=1e-14, iterations=100_000)
    rate, flips = logits_of(fitted)
    base = torch.cat([rate, flips.flatten()])
    # One logit of each row of T is redundant: it stays where it is.
    free = torch.tensor([0, 1, 2, 3, 5, 7])

    def of(values):
        every = base.index_put((free,), values)
        return every[:3], every[3:].view(3, 2)

    def value(values):
        return objective(log_f, y, *of(values), prior)

    def share(values):
        rates, rows = of(values)
        log_flip = nf.zero_diagonal(rows.log_softmax(-1), fill=-torch.inf)
        return nf.responsibility(*nf.label_flip_log_joint(log_f, y, rates, log_flip))

    def matrix(values):
        rates, rows = of(values)
        return nf.transition_matrix(rates.sigmoid(), nf.zero_diagonal(rows.softmax(-1)))

    covariance = torch.linalg.inv(-torch.autograd.functional.hessian(value, base[free]))
    change = torch.autograd.functional.jacobian(matrix, base[free])
    rows = RowsByLabel.of(log_f, y, weights=None, true_labels=None)
    entries = transition_variances(rows, fitted, prior).matrix
    assert torch.allclose(entries, ((change @ covariance) * change).sum(-1), rtol=1e-3)
    found = transition_intervals(log_f, y, fitted, prior=prior, probability=0.95)
    width = found.rate_high.logit() - found.rate_low.logit()
    assert torch.allclose(width / 2 / 1.959964, covariance.diagonal()[:3].sqrt(), rtol=1e-3)
    slope = torch.autograd.functional.jacobian(lambda v: share(v).mean(), base[free])
    r = share(base[free])
    spread = (slope @ covariance @ slope + (r * (1 - r)).sum() / n**2).sqrt()
    s = torch.tensor([found.share_low, found.share_high]).double().logit()
    unit = fitted.share * (1 - fitted.share)
    assert (s[1] - s[0]).item() / 2 / 1.959964 * unit == pytest.approx(spread.item(), rel=1e-3)


@pytest.mark.parametrize("sharpness", [2.0, 20.0])
def test_intervals_cover(sharpness):
    covered, times = torch.zeros(3), 120
    shares = 0
    for seed in range(times):
        log_f, true, y = evidence(500, 3, seed, sharpness=sharpness, matrix=MATRIX)
        fitted = estimate_transition(log_f, y, prior=FlipPrior())
        found = transition_intervals(log_f, y, fitted, prior=FlipPrior())
        rate = 1 - MATRIX.diagonal()
        covered += (found.rate_low <= rate) & (rate <= found.rate_high)
        shares += found.share_low <= (true != y).double().mean() <= found.share_high
    assert 0.86 < covered.mean() / times < 0.95
    assert 0.82 < shares / times < 0.97


def test_intervals_of_the_matrix_cover():
    """Rates and flips are drawn from their priors, and predictions are right."""
    inside, large = [], []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        f = rng.dirichlet([0.2] * 4, 400)
        true = (f.cumsum(1) > rng.random((400, 1))).argmax(1)
        rate, flips = (
            rng.beta(2, 6, 4),
            nf.zero_diagonal(torch.as_tensor(rng.dirichlet([0.1] * 3, 4))),
        )
        matrix = nf.transition_matrix(torch.as_tensor(rate), flips).numpy()
        y = (matrix[true].cumsum(1) > rng.random((400, 1))).argmax(1)
        tables = from_pred_probs(y, f, sharpness=1.0, prior=FlipPrior(rate=(2.0, 6.0))).labels
        low, high = tables.transition_low.to_numpy(), tables.transition_high.to_numpy()
        covered, off = (low <= matrix) & (matrix <= high), ~np.eye(4, dtype=bool)
        inside += covered[off].tolist()
        large += covered[off & (matrix > 0.02)].tolist()
    assert 0.82 < np.mean(inside) < 0.97
    assert 0.82 < np.mean(large) < 0.97


def test_intervals_of_the_matrix_agree_with_those_of_the_rates():
    y, p, _ = simulated(200, 2)
    tables = from_pred_probs(y, p).labels
    low, high = tables.transition_low.to_numpy(), tables.transition_high.to_numpy()
    rates = tables.rates
    assert np.allclose(rates["low"], [low[0, 1], low[1, 0]], atol=1e-6)
    assert np.allclose(rates["high"], 1 - low.diagonal())
    mean = tables.transition_matrix.to_numpy()
    assert ((low <= mean) & (mean <= high) & (low >= 0) & (high <= 1)).all()


def test_a_share_known_to_be_zero_has_no_width():
    log_f, _, y = evidence(50, 3, 0)
    fitted = estimate_transition(log_f, y, prior=FlipPrior(), true_labels=y)
    found = transition_intervals(log_f, y, fitted, prior=FlipPrior(), true_labels=y)
    assert found.share_low == fitted.share == found.share_high == 0
    assert ((found.rate_low < fitted.rate) & (fitted.rate < found.rate_high)).all()


@pytest.mark.parametrize("probability", [0.0, 1.0, torch.nan])
def test_a_probability_outside_the_unit_interval_is_refused(probability):
    fitted = estimate_transition(F, Y, prior=FlipPrior())
    with pytest.raises(DataError, match="probability"):
        transition_intervals(F, Y, fitted, prior=FlipPrior(), probability=probability)


@pytest.mark.parametrize("classes", [21, 1000])
def test_a_class_without_rows_has_an_interval(classes):
    """With the default prior and 21 classes its prior information is exactly zero."""
    y = torch.arange(2 * classes) % (classes - 1)
    log_f = torch.nn.functional.one_hot(y, classes).double().log()
    transition = estimate_transition(log_f, y, prior=FlipPrior())
    found = transition_intervals(log_f, y, transition, prior=FlipPrior())
    assert (found.rate_low < transition.rate).all()
    assert (transition.rate < found.rate_high).all()
    assert found.share_low <= transition.share <= found.share_high


def test_a_class_whose_rows_weigh_nothing_keeps_its_prior():
    y = torch.arange(300) % 3
    log_f = torch.nn.functional.one_hot(y, 3).float().log()
    prior, weights = FlipPrior(rate=(1.0, 9.0)), (y != 2).float()
    transition = estimate_transition(log_f, y, prior=prior, weights=weights)
    found = transition_intervals(log_f, y, transition, prior=prior, weights=weights)
    assert transition.rate[2].item() == pytest.approx(0.1)
    assert found.rate_low[2] < 0.1 < found.rate_high[2]
