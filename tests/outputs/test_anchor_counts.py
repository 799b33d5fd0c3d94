"""Anchor counts and the start of rates and flips that follows from them."""

import pytest
import torch

from nbam_pyro import functional as nf
from nbam_pyro.models import FlipPrior
from nbam_pyro.outputs.anchors import anchor_counts, anchor_start
from nbam_pyro.verified import Verified


def test_anchors_recover_a_transition_matrix():
    generator = torch.Generator().manual_seed(0)
    m = torch.tensor([[0.7, 0.3, 0.0], [0.0, 1.0, 0.0], [0.1, 0.1, 0.8]])
    truth = torch.arange(3).repeat_interleave(2000)
    observed = torch.multinomial(m[truth], 1, generator=generator)[:, 0]
    f = torch.full((6000, 3), 0.05).scatter(1, truth[:, None], 0.9)
    counts = anchor_counts(f.log(), observed)
    assert torch.allclose(counts / counts.sum(1, keepdim=True), m, atol=0.03)
    rate, rows = anchor_start(counts, FlipPrior())
    estimate = nf.transition_matrix(rate, nf.zero_diagonal(rows))
    assert torch.allclose(estimate, m, atol=0.03)


def mutual(rate, per_class):
    """Return two classes mistaken for each other, predicted as most of their labels."""
    truth = torch.arange(2).repeat_interleave(200)
    observed = torch.where(torch.arange(400) % 100 < 100 * rate, 1 - truth, truth)
    predicted = 1 - truth if rate > 0.5 else truth
    f = torch.full((400, 2), 0.3).scatter(1, predicted[:, None], 0.7)
    seen = torch.arange(400) % 200 % (200 // per_class) == 0
    verified = Verified.of(observed, true_label=torch.where(seen, truth, -1))
    return f.log(), observed, verified


@pytest.mark.parametrize("rate", [0.3, 0.7])
def test_verified_rows_give_a_mutual_pair_its_names(rate):
    log_probs, observed, verified = mutual(rate, 10)
    counts = anchor_counts(log_probs, observed, confident=1.0, verified=verified)
    assert torch.allclose(counts.diagonal() / counts.sum(1), torch.tensor(1 - rate), atol=0.01)
    unaided = anchor_counts(log_probs, observed)
    assert (unaided.diagonal() / unaided.sum(1) > 0.5).all()


def test_a_flip_in_one_direction_exchanges_no_names():
    log_probs, observed, verified = mutual(0.7, 10)
    one_way = torch.where(torch.arange(400) < 200, verified.true_label, -1)
    of_one_class = Verified.of(observed, true_label=one_way)
    counts = anchor_counts(log_probs, observed, verified=of_one_class)
    assert (counts.diagonal() / counts.sum(1) > 0.5).all()


def test_verified_rows_are_anchors_of_their_true_class():
    # Earlier rows are slightly more certain, since equally certain rows would all be anchors.
    f = torch.tensor([[0.6, 0.3, 0.1]] * 20) + 1e-4 * torch.arange(20.0)[:, None].neg()
    y = torch.tensor([0] * 18 + [1, 2])
    contaminated = torch.tensor([0] * 2 + [1] * 3 + [-1] * 15)
    true = torch.tensor([-1] * 18 + [2, 2])
    verified = Verified.of(y, contaminated=contaminated, true_label=true)
    weights = torch.full((20,), 2.0)
    for weight in (None, weights):
        counts = anchor_counts(f.log(), y, confident=1.0, weights=weight, verified=verified)
        counts = counts / (1 if weight is None else 2)
        assert counts[2].tolist() == [5, 1, 1]  # its verified row and the minimum number of anchors
        assert counts[0, 0] == 2 + 13  # clean rows, and rows that may be clean
        assert counts[1, 0] == 5  # class 1 is the most probable class of the wrong rows
    everything = Verified.of(y, contaminated=torch.zeros(20).long())
    exact = anchor_counts(f.log(), y, verified=everything)
    assert torch.equal(exact, torch.diag(torch.tensor([18.0, 1.0, 1.0])))


def test_anchors_exist_for_a_class_that_is_never_predicted():
    f = torch.tensor([[0.9, 0.1]]).repeat(20, 1)
    counts = anchor_counts(f.log(), torch.zeros(20, dtype=torch.long))
    assert (counts.sum(1) >= 5).all()
    rate, rows = anchor_start(counts, FlipPrior())
    assert ((rate > 0) & (rate < 1)).all()
    assert torch.allclose(rows.sum(1), torch.ones(2))
