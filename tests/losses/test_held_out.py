"""`NBAMLoss.recount`: rates and flips from held-out rows, and labels that were memorised."""

import copy
import warnings

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from nbam_pyro import NBAMLoss
from nbam_pyro.errors import (
    CannotTellWarning,
    DataError,
    InSampleWarning,
    NothingLearnedWarning,
)
from nbam_pyro.losses.held_out import summary
from nbam_pyro.outputs.transition import estimate_transition

K = 4


def flipped(n=1200, rate=0.3, doubt=1.0):
    """Logits of true labels, and labels of which a share is the next class."""
    truth = torch.arange(n) % K
    logits = 5 * F.one_hot(truth, K) + doubt * torch.randn(n, K)
    return logits, torch.where(torch.rand(n) < rate, (truth + 1) % K, truth)


def recounted(**options):
    loss = NBAMLoss(K)
    loss.start_from(*flipped(400), held_out=True)
    loss.recount(*flipped(**options))
    return loss


def says_nothing(loss, *rows, **known):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return loss.responsibility(*rows, **known)


def trained(loss, steps=2):
    """Train a small network with the loss, without parameters of the loss."""
    network = nn.Linear(3, K)
    optimiser = torch.optim.SGD(network.parameters(), lr=0.1)
    x, target = torch.randn(20, 3), torch.arange(20) % K
    for _ in range(steps):
        optimiser.zero_grad()
        loss(network(x), target).backward()
        optimiser.step()
    return loss


def test_recount_finds_rates_and_flips():
    m = recounted().transition_matrix
    assert torch.allclose(m.diagonal(), torch.tensor(0.7), atol=0.06)
    assert torch.allclose(m.roll(-1, 1).diagonal(), 1 - m.diagonal(), atol=0.02)


def test_recount_is_a_mode_of_the_posterior():
    """With fixed predictions, an estimate from any other start has no larger objective."""
    logits, target = flipped()
    loss = recounted()
    loss.recount(logits, target)
    log_f, options = logits.log_softmax(-1), {"prior": loss.prior, "iterations": 1}
    counts = 1e6 * loss.transition_matrix.double()
    here = estimate_transition(log_f, target, start=counts, **options).objective[0]
    best = estimate_transition(log_f, target, prior=loss.prior).objective[-1]
    assert here == pytest.approx(float(best), abs=0.5)


def test_recount_counts_what_is_verified():
    logits, target = flipped(rate=0.0)
    true = (target + 1) % K
    loss = recounted(rate=0.0)
    loss.recount(logits, target, true_label=true)
    assert (loss.transition_matrix.diagonal() < 0.01).all()
    loss.recount(logits, target, contaminated=torch.ones_like(target))
    assert (loss.transition_matrix.diagonal() < 0.01).all()


@pytest.mark.parametrize("shape", [(), (3,)])
def test_labels_that_are_ignored_do_not_count(shape):
    logits, target = flipped(600)
    wanted = recounted()
    state = wanted.state_dict()
    wanted.recount(logits, target)
    loss = NBAMLoss(K)
    loss.load_state_dict(copy.deepcopy(state))
    twice = torch.cat([target, torch.full_like(target, -100)])
    logits = torch.cat([logits, torch.randn_like(logits)])
    if shape:
        logits, twice = logits.view(-1, *shape, K).movedim(-1, 1), twice.view(-1, *shape)
    loss.recount(logits, twice)
    # `wanted` has the state of its own recount; both start from nearly the same matrix.
    assert torch.allclose(loss.transition_matrix, wanted.transition_matrix, atol=0.02)
    assert loss.held_out[0].sum() == 600


@pytest.mark.parametrize("power", [0.5, 3.0])
def test_predictions_that_are_too_uncertain_or_too_certain_are_corrected(power):
    logits, target = flipped(doubt=0.3)
    loss = recounted(doubt=0.3)
    loss.recount(logits / power, target)
    assert torch.allclose(loss.transition_matrix.diagonal(), torch.tensor(0.7), atol=0.06)
    r = says_nothing(loss, logits / power, target)
    assert ((r > 0.5) == (logits.argmax(1) != target)).float().mean() > 0.98


def test_a_network_that_has_learned_nothing_is_said():
    logits, target = 0.1 * torch.randn(1200, K), torch.randint(K, (1200,))
    loss = NBAMLoss(K)
    loss.start_from(logits, target, held_out=True)
    with pytest.warns(NothingLearnedWarning, match="no better than their frequencies") as caught:
        loss.recount(logits, target)
    assert caught[-1].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loss.recount(*flipped())


def test_merged_classes_are_said():
    logits, target = flipped()
    loss = recounted()
    logits[:, 1] = -20.0  # rows of class 1 are predicted as another class
    with pytest.warns(CannotTellWarning, match="labels are class 1, but only 0 rows are") as caught:
        loss.recount(logits, target)
    assert caught[0].filename == __file__


def test_rates_from_held_out_rows_stay_fixed():
    loss = NBAMLoss(K)
    loss.start_from(*flipped(400), held_out=True)
    before = copy.deepcopy([*loss.parameters()])
    optimiser = torch.optim.AdamW(loss.parameters(), lr=0.1)
    for _ in range(3):
        logits, target = flipped(20)
        loss(logits.requires_grad_(), target).backward()
        optimiser.step()
    assert all(torch.equal(a, b) for a, b in zip(before, loss.parameters(), strict=True))
    trained(loss, steps=12)  # no OptimiserWarning


def test_in_double_precision():
    logits, target = flipped(400)
    loss = NBAMLoss(K)
    loss.start_from(logits, target)
    loss.recount(logits.double(), target)
    assert loss.responsibility(logits.double(), target).dtype == torch.float64


def test_without_held_out_rows_the_loss_says_so_once():
    rows = flipped(400)
    loss = NBAMLoss(K)
    loss.start_from(*rows)
    says_nothing(loss, *rows)  # not trained yet: these predictions may be out of fold
    trained(loss)
    with pytest.warns(InSampleWarning, match="Call loss.recount") as caught:
        loss.responsibility(*rows)
    says_nothing(loss, *rows)
    assert len(caught) == 1
    assert caught[0].filename == __file__


def test_a_recount_before_the_last_step_is_too_old():
    loss = trained(recounted())
    with pytest.warns(InSampleWarning, match="after the last recount"):
        loss.responsibility(*flipped(400))
    loss.recount(*flipped())
    says_nothing(loss, *flipped(400))


def test_one_forward_pass_is_no_training():
    loss = recounted()
    logits, target = flipped(400)
    loss(logits.requires_grad_(), target).backward()
    says_nothing(loss, logits.detach(), target)


@pytest.mark.parametrize("steps", [0, 2])
def test_a_saved_loss_knows_whether_it_was_trained_later(steps):
    loss, other = trained(recounted(), steps=steps), NBAMLoss(K)
    other.load_state_dict(loss.state_dict())
    if not steps:
        says_nothing(other, *flipped(400))
        return
    with pytest.warns(InSampleWarning, match="after the last recount"):
        other.responsibility(*flipped(400))


def memorised(n=1000):
    """Logits of a network that repeats two thirds of the wrong labels."""
    logits, target = flipped(n)
    repeated = torch.rand(n) < 2 / 3
    return torch.where(repeated[:, None], 6.0 * F.one_hot(target, K), logits), target


def test_memorised_labels_are_noticed():
    with pytest.warns(InSampleWarning, match="it has memorised labels") as caught:
        recounted().responsibility(*memorised())
    assert len(caught) == 1
    assert caught[0].filename == __file__


@pytest.mark.parametrize("n", [1, 30, 2000])
def test_other_held_out_rows_are_not_reported(n):
    loss = recounted(n=300)
    for _ in range(20):
        says_nothing(loss, *flipped(n))


def test_rows_of_one_class_are_compared_with_held_out_rows_of_this_class():
    """Only labels of class 1 are wrong; rows with other labels have lower responsibilities."""

    def rows():
        logits, target = flipped(rate=0.0)
        return logits, torch.where((target == 0) & (torch.rand(len(target)) < 0.4), 1, target)

    loss = NBAMLoss(K)
    loss.start_from(*rows(), held_out=True)
    loss.recount(*rows())
    logits, target = rows()
    says_nothing(loss, logits[target == 2], target[target == 2])
    with pytest.warns(InSampleWarning):  # The network repeats all labels of class 1.
        loss.responsibility(6.0 * F.one_hot(target, K)[target == 1], target[target == 1])


def test_verified_labels_and_deviations_are_not_compared():
    loss = recounted()
    logits, target = flipped(1000)
    says_nothing(loss, logits, target, contaminated=torch.zeros_like(target))
    says_nothing(loss, logits, target, switch_logits=torch.full((1000,), -5.0))


def test_labels_without_held_out_rows_are_not_compared():
    loss = NBAMLoss(K)
    loss.start_from(*flipped(400))
    logits, target = flipped(400)
    loss.recount(logits[target == 0], target[target == 0])
    says_nothing(loss, 9.0 * F.one_hot(target, K)[target > 0], target[target > 0])


@pytest.mark.parametrize(
    ("mistake", "says"),
    [
        (lambda: NBAMLoss(K).recount(*flipped(20)), "Call start_from first"),
        (lambda: recounted().recount(torch.zeros(2, K), torch.full((2,), -100)), "labelled"),
        (lambda: recounted().recount(torch.zeros(2, 3), torch.zeros(2).long()), "logits"),
        (lambda: recounted().recount(torch.full((1, K), torch.nan), torch.zeros(1).long()), "NaN"),
    ],
)
def test_mistakes_are_named(mistake, says):
    with pytest.raises(DataError, match=says):
        mistake()


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(st.integers(0, K - 1), st.floats(0, 1)), min_size=1, max_size=30))
def test_a_summary_has_numbers_means_and_variances(rows):
    labels = torch.tensor([label for label, _ in rows])
    r = torch.tensor([value for _, value in rows], dtype=torch.float64)
    n, mean, variance = summary(r, labels, K)
    for c in range(K):
        own = r[labels == c]
        assert n[c] == len(own)
        assert mean[c] == pytest.approx(float(own.mean()) if len(own) else 0.0)
        assert variance[c] == pytest.approx(float(own.var()) if len(own) > 1 else 0.0, abs=1e-12)
