"""`estimate_transition`: rates and flips by EM."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from nbam_pyro import functional as nf
from nbam_pyro.models.priors.pseudo_counts import FlipPrior
from nbam_pyro.outputs.anchors import anchor_counts, anchor_start
from nbam_pyro.outputs.transition import RowsByLabel, estimate_transition
from tests.outputs.cases import MATRIX, ONE_WAY, balanced, evidence, log_prior, logits_of, objective

priors = st.builds(
    FlipPrior,
    rate=st.tuples(st.floats(0.2, 5.0), st.floats(0.2, 9.0)),
    flip=st.floats(0.05, 2.0),
)


@settings(deadline=None, max_examples=30)
@given(
    n=st.integers(1, 60),
    k=st.integers(2, 5),
    sharpness=st.floats(0.0, 20.0),
    prior=priors,
    class_prior=st.none() | st.floats(0.01, 1e4),
    verified=st.booleans(),
    seed=st.integers(0, 10**6),
)
def test_em_never_lowers_its_objective(n, k, sharpness, prior, class_prior, verified, seed):
    log_f, true, y = evidence(n, k, seed, sharpness=sharpness)
    true_labels = torch.where(torch.arange(n) % 3 == 0, true, -1) if verified else None
    weights = torch.rand(n) + 0.1
    fitted = estimate_transition(
        log_f,
        y,
        prior=prior,
        weights=weights,
        true_labels=true_labels,
        class_prior=class_prior,
        iterations=40,
    )
    assert (fitted.objective.diff() > -1e-9 * max(1, abs(fitted.objective[0].item()))).all()
    assert fitted.class_frequency.sum().item() == pytest.approx(1)
    expected = torch.zeros(k).double().index_add(0, y, weights.double())
    assert torch.allclose(fitted.counts.sum(0), expected)
    assert ((fitted.rate > 0) & (fitted.rate < 1)).all()
    assert torch.allclose(fitted.matrix.sum(1), torch.ones(k).double())


@pytest.mark.parametrize("k", [2, 4])
def test_the_estimate_is_the_mode_of_the_closed_form(k):
    log_f, _, y = evidence(300, k, 0)
    prior, weights = FlipPrior(rate=(1.0, 4.0)), torch.rand(300).double()
    fitted = estimate_transition(log_f, y, prior=prior, weights=weights, tolerance=1e-12)
    rate, flips = (value.requires_grad_() for value in logits_of(fitted))
    value = objective(log_f, y, rate, flips, prior, weights)
    assert value.item() == pytest.approx(fitted.objective[-1].item())
    for gradient in torch.autograd.grad(value, [rate, flips]):
        assert gradient.abs().max() < 1e-3
    pair = nf.label_flip_log_joint(
        log_f, y, fitted.rate.logit(), nf.zero_diagonal(flips.detach(), fill=-torch.inf)
    )
    assert fitted.log_marginal == pytest.approx((weights * nf.log_marginal(*pair)).sum().item())
    r = (weights * nf.responsibility(*pair)).sum() / weights.sum()
    assert fitted.share == pytest.approx(r.item())


@pytest.mark.parametrize("verified", [False, True])
def test_with_a_class_prior_the_estimate_is_the_mode_of_the_joint_model(verified):
    log_f, true, y = evidence(300, 3, 0, sharpness=1.0)
    prior, weights = FlipPrior(rate=(1.0, 4.0)), torch.rand(300).double()
    known = torch.where(torch.arange(300) % 4 == 0, true, -1) if verified else None
    fitted = estimate_transition(
        log_f,
        y,
        prior=prior,
        weights=weights,
        true_labels=known,
        class_prior=40.0,
        tolerance=1e-14,
    )
    mean = weights @ log_f.exp() / weights.sum()
    assert torch.allclose(fitted.log_shift, fitted.class_frequency.log() - mean.log())

    def log_marginal(rate, flips, logits):
        matrix = nf.transition_matrix(rate.sigmoid(), nf.zero_diagonal(flips.softmax(-1)))
        joint = (log_f.exp() / mean * logits.softmax(-1)) * matrix[:, y].mT
        if verified:
            others = nn.functional.one_hot(true, 3) == 0
            joint = joint.masked_fill((known >= 0)[:, None] & others, 0.0)
        return (weights * joint.sum(-1).log()).sum()

    at = [x.requires_grad_() for x in (*logits_of(fitted), fitted.class_frequency.log())]
    value = log_marginal(*at)
    assert value.item() == pytest.approx(fitted.log_marginal)
    value = value + log_prior(*at[:2], prior) + 40 * at[2].log_softmax(-1).sum()
    for gradient in torch.autograd.grad(value, at):
        assert gradient.abs().max() < 1e-3
    own = fitted.shifted(log_f).exp() * fitted.matrix[:, y].mT
    if verified:
        own[known >= 0] = nn.functional.one_hot(true, 3)[known >= 0].double()
    n = weights @ (own / own.sum(-1, keepdim=True))
    assert torch.allclose(n, fitted.counts.sum(1))
    assert torch.allclose(fitted.class_frequency, (n + 40) / (n.sum() + 120), atol=1e-6)


def test_without_a_class_prior_frequencies_are_those_of_the_predictions():
    """Bit for bit what EM on M alone says."""
    log_f, true, y = evidence(9000, 4, 5, sharpness=1.5)
    log_f, known = log_f.float(), torch.where(torch.arange(9000) % 9 == 0, true, -1)
    fitted = estimate_transition(log_f, y, prior=FlipPrior(), true_labels=known)
    rows = RowsByLabel.of(log_f, y, weights=None, true_labels=known)
    counts, objective = rows.predicted_counts(), []
    for _ in fitted.objective:
        rate, flips = anchor_start(counts, FlipPrior())
        matrix = nf.transition_matrix(rate, nf.zero_diagonal(flips))
        counts, log_marginal = rows.expected_counts(matrix)
        value = log_prior(rate.logit(), flips.log(), FlipPrior()).item()
        objective.append(log_marginal + value)
    assert torch.equal(fitted.rate, rate)
    assert torch.equal(fitted.matrix, matrix)
    assert torch.equal(fitted.counts, counts)
    assert fitted.log_marginal == log_marginal + rows.verified_log_f
    assert fitted.objective.tolist() == pytest.approx(objective, rel=1e-12)
    assert torch.equal(fitted.log_shift, torch.zeros(4).double())
    assert fitted.shifted(log_f) is log_f
    assert torch.equal(fitted.class_frequency, counts.sum(1) / counts.sum())


@settings(deadline=None, max_examples=20)
@given(
    k=st.integers(2, 5),
    tilt=st.floats(0.0, 3.0),
    sharpness=st.floats(0.0, 0.5),
    seed=st.integers(0, 10**6),
)
def test_a_strong_class_prior_makes_soft_predictions_even(k, tilt, sharpness, seed):
    log_f, _, y = evidence(400, k, seed, sharpness=sharpness)
    log_f = (log_f + tilt * nn.functional.one_hot(torch.tensor(0), k)).log_softmax(-1)
    fitted = estimate_transition(log_f, y, prior=FlipPrior(), class_prior=1e6)
    even = torch.full((k,), 1 / k).double()
    assert torch.allclose(fitted.class_frequency, even, atol=1e-3)
    assert torch.allclose(fitted.counts.sum(1) / 400, even, atol=0.05)


@pytest.mark.parametrize("seed", range(3))
def test_where_classes_are_even_a_prior_that_says_so_helps(seed):
    log_f, true, y = balanced(3000, seed)
    of = {h: estimate_transition(log_f, y, prior=FlipPrior(), class_prior=h) for h in (None, 300.0)}
    error = {h: (one.matrix - ONE_WAY).abs().max().item() for h, one in of.items()}
    assert error[300.0] < 0.7 * error[None]
    uneven = {h: (one.counts.sum(1) / 3000 - 1 / 3).abs().max() for h, one in of.items()}
    assert uneven[300.0] < 0.7 * uneven[None]
    share = (true != y).float().mean().item()
    assert abs(of[300.0].share - share) < abs(of[None].share - share)


def test_a_class_that_no_row_can_be_of_stays_empty():
    log_f, _, y = evidence(50, 2, 0)
    log_f = nn.functional.pad(log_f, (0, 1), value=-torch.inf)
    fitted = estimate_transition(log_f, y, prior=FlipPrior(), class_prior=10.0)
    assert fitted.counts[2].sum() == 0
    assert fitted.shifted(log_f).exp().sum(1).allclose(torch.ones(50).double())
    assert fitted.objective.isfinite().all()


def test_a_matrix_is_recovered():
    log_f, true, y = evidence(30_000, 3, 0, matrix=MATRIX)
    fitted = estimate_transition(log_f.float(), y, prior=FlipPrior())
    assert torch.allclose(fitted.matrix.float(), MATRIX, atol=0.02)
    assert fitted.share == pytest.approx((true != y).float().mean().item(), abs=0.01)


def test_where_em_starts_makes_no_difference():
    log_f, _, y = evidence(500, 3, 0)
    prior = FlipPrior()
    own = estimate_transition(log_f, y, prior=prior, tolerance=1e-9)
    for start in (anchor_counts(log_f, y), torch.ones(3, 3), own.counts):
        other = estimate_transition(log_f, y, prior=prior, start=start, tolerance=1e-9)
        assert torch.allclose(own.matrix, other.matrix, atol=1e-4)
    assert len(other.objective) < 5


def test_weights_count_rows():
    log_f, true, y = evidence(100, 3, 1)
    known = torch.where(torch.arange(100) < 20, true, -1)
    times = torch.randint(0, 3, (100,))
    weighted = estimate_transition(
        log_f, y, prior=FlipPrior(), weights=times.float(), true_labels=known
    )
    again = torch.arange(100).repeat_interleave(times)
    repeated = estimate_transition(
        log_f[again], y[again], prior=FlipPrior(), true_labels=known[again]
    )
    assert torch.allclose(weighted.matrix, repeated.matrix)
    assert weighted.log_marginal == pytest.approx(repeated.log_marginal)


def test_verified_rows_are_counted_where_they_are():
    log_f, true, y = evidence(400, 3, 2, sharpness=0.0, matrix=MATRIX)
    fitted = estimate_transition(log_f, y, prior=FlipPrior(), true_labels=true)
    counts = torch.zeros(3, 3).double()
    counts.index_put_((true, y), torch.ones(400).double(), accumulate=True)
    assert torch.allclose(fitted.counts, counts, rtol=1e-12)
    joint = log_f.gather(1, true[:, None])[:, 0] + fitted.matrix[true, y].log()
    assert fitted.log_marginal == pytest.approx(joint.sum().item())
