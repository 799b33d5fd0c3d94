"""`NBAMLoss`: its value, its start, and verified labels."""

import math
import subprocess
import sys
import warnings

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from nbam_pyro import FlipPrior, NBAMLoss
from nbam_pyro.errors import DataError, OptimiserWarning
from nbam_pyro.losses import nbam_loss
from nbam_pyro.verified import Verified

K = 4


def batch(n=12, *shape, dtype=torch.float32):
    logits = torch.randn(n, K, *shape, dtype=dtype)
    return logits, torch.randint(K, (n, *shape))


def started(reduction="mean", **options):
    loss = NBAMLoss(K, reduction=reduction, **options)
    loss.start_from(*batch(200))
    return loss


def test_importing_losses_pulls_in_neither_pyro_nor_lightning():
    code = (
        "import sys, nbam_pyro.losses, nbam_pyro.functional;"
        "heavy = {'pyro', 'lightning', 'sklearn', 'torchvision', 'matplotlib', 'pandas'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("shape", [(), (3,), (3, 2)])
def test_is_cross_entropy_until_started(reduction, shape):
    logits, target = batch(5, *shape)
    loss = NBAMLoss(K, reduction=reduction)
    assert torch.equal(loss(logits, target), F.cross_entropy(logits, target, reduction=reduction))


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_equals_cross_entropy_in_the_limit_of_no_contamination(reduction, dtype):
    logits, target = batch(dtype=dtype)
    rare = torch.full((K,), -60.0, dtype=dtype)
    flips = torch.zeros(K, K - 1, dtype=dtype)
    ours = nbam_loss(logits, target, rare, flips, reduction=reduction)
    assert torch.allclose(ours, F.cross_entropy(logits, target, reduction=reduction))


@pytest.mark.parametrize("shape", [(), (3,), (3, 2)])
def test_reductions_agree(shape):
    logits, target = batch(6, *shape)
    target.view(-1)[0] = -100
    state = started().state_dict()
    values = {}
    for reduction in ["mean", "sum", "none"]:
        loss = NBAMLoss(K, reduction=reduction)
        loss.load_state_dict(state)
        values[reduction] = loss(logits, target)
    labelled = (target != -100).sum()
    assert values["none"].shape == target.shape
    assert values["none"].view(-1)[0] == 0
    assert torch.allclose(values["none"].sum(), values["sum"])
    assert torch.allclose(values["mean"] * labelled, values["sum"])


def test_pixels_are_scored_as_rows():
    logits, target = batch(2, 3, 5)
    loss = started()
    rows = logits.movedim(1, -1).reshape(-1, K), target.reshape(-1)
    assert torch.allclose(loss(logits, target), loss(*rows))
    r = loss.responsibility(logits, target)
    assert r.shape == target.shape
    assert torch.allclose(r.view(-1), loss.responsibility(*rows))


def test_gradcheck():
    logits, target = batch(3, dtype=torch.float64)
    arguments = (
        logits.requires_grad_(),
        torch.randn(K, dtype=torch.float64, requires_grad=True),
        torch.randn(K, K - 1, dtype=torch.float64, requires_grad=True),
        torch.randn(3, dtype=torch.float64, requires_grad=True),
    )

    def loss(logits, rates, flips, g):
        return nbam_loss(logits, target, rates, flips, switch_logits=g)

    assert torch.autograd.gradcheck(loss, arguments)


def test_a_head_for_the_prior_moves_responsibilities():
    logits, target = batch(6)
    loss = started()
    plain = loss.responsibility(logits, target)
    more = loss.responsibility(logits, target, switch_logits=torch.full((6,), 2.0))
    zero = loss.responsibility(logits, target, switch_logits=torch.zeros(6))
    assert (more > plain).all()
    assert torch.allclose(zero, plain)


def test_ignored_elements_keep_their_prior_and_inform_nothing():
    logits, target = batch(6)
    loss = started()
    target[2] = -100
    logits.requires_grad_()
    loss(logits, target).backward()
    assert (logits.grad[2] == 0).all()
    r = loss.responsibility(logits.detach(), target)
    prior = (logits[2].softmax(-1) * loss.rate_logits.sigmoid()).sum()
    assert r[2].item() == pytest.approx(prior.item())


def test_starting_reads_rates_off_anchors():
    truth = torch.arange(K).repeat_interleave(500)
    target = truth.clone()
    target[:150] = 1  # 30 % of class 0 are labelled 1
    loss = NBAMLoss(K)
    loss.start_from(6.0 * F.one_hot(truth, K).float(), target)
    m = loss.transition_matrix
    assert m[0, 1].item() == pytest.approx(0.3, abs=0.05)
    assert m.sum(1).numpy() == pytest.approx(1.0)


def test_the_prior_counts_once_per_data_set():
    """Summed over batches that make up the data, the prior enters exactly once."""
    logits, target = batch(200)
    loss = NBAMLoss(K, reduction="sum", prior=FlipPrior(rate=(2.0, 8.0), flip=0.5))
    loss.start_from(logits, target)
    parts = sum(loss(*part) for part in zip(logits.split(50), target.split(50), strict=True))
    plain = nbam_loss(logits, target, loss.rate_logits, loss.flip_logits, reduction="sum")
    log_rate, log_keep = F.logsigmoid(loss.rate_logits), F.logsigmoid(-loss.rate_logits)
    prior = (2 * log_rate + 8 * log_keep).sum() + 0.5 * loss.flip_logits.log_softmax(-1).sum()
    even = torch.tensor(0.2)  # the loss counts the log prior from its maximum
    prior -= K * (2 * even.log() + 8 * (1 - even).log()) - 0.5 * K * (K - 1) * math.log(K - 1)
    assert parts.item() == pytest.approx((plain - prior).item(), rel=1e-5)


def train(loss, parameters, steps=30):
    network = nn.Linear(3, K)
    optimiser = torch.optim.AdamW([*network.parameters(), *parameters(loss)], lr=1e-2)
    x, target = torch.randn(20, 3), torch.randint(K, (20,))
    for _ in range(steps):
        optimiser.zero_grad()
        loss(network(x), target).backward()
        optimiser.step()


def test_forgetting_the_optimiser_is_said_once():
    with pytest.warns(OptimiserWarning, match="Give them to the optimiser") as caught:
        train(started(), lambda loss: [])
    assert len(caught) == 1


def test_nothing_is_said_when_the_parameters_move():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train(started(), lambda loss: loss.parameters())


def test_state_survives_a_state_dict():
    loss, other = started(), NBAMLoss(K)
    other.load_state_dict(loss.state_dict())
    pair = batch()
    assert torch.equal(loss(*pair), other(*pair))


def verified_loss(**known):
    codes = {name: torch.tensor(values) for name, values in known.items()}
    return NBAMLoss(K)(torch.zeros(2, K), torch.tensor([0, 1]), **codes)


@pytest.mark.parametrize(
    ("mistake", "says"),
    [
        (lambda: NBAMLoss(1), "at least 2"),
        (lambda: NBAMLoss(K, reduction="average"), "average"),
        (lambda: FlipPrior(flip=0.0), "positive"),
        (lambda: NBAMLoss(K)(torch.zeros(2, 3), torch.zeros(2).long()), "logits"),
        (lambda: NBAMLoss(K)(torch.zeros(2, K), torch.zeros(3).long()), "target"),
        (lambda: NBAMLoss(K).responsibility(*batch()), "start_from"),
        (lambda: NBAMLoss(K).start_from(torch.zeros(2, K), torch.full((2,), -100)), "labelled"),
        (lambda: started()(*batch(6), switch_logits=torch.zeros(6, 1)), "switch_logits"),
        (lambda: verified_loss(true_label=[0, 1], contaminated=[-1, 1]), "the same in 1 .* row 1"),
        (lambda: verified_loss(true_label=[1, -1], contaminated=[0, 0]), "different .* row 0"),
        (lambda: verified_loss(true_label=[K, -1]), "not one of the 4 classes"),
        (lambda: verified_loss(true_label=[0, -2]), "not one of the 4 classes .* row 1"),
        (lambda: verified_loss(contaminated=[0, 2]), "not 1, 0 or -1"),
        (lambda: verified_loss(contaminated=[0]), r"contaminated has shape \(1,\)"),
    ],
)
def test_mistakes_are_named(mistake, says):
    with pytest.raises(DataError, match=says):
        mistake()


def looked_at(target):
    """Some elements verified, by their true label or by their switch."""
    true = torch.randint(-K, K, target.shape).clamp_min(-1)
    contaminated = torch.where(true < 0, torch.randint(-1, 2, target.shape), -1)
    return {"true_label": true, "contaminated": contaminated}


@pytest.mark.parametrize("shape", [(), (3, 2)])
def test_verified_elements_are_respected(shape):
    logits, target = batch(40, *shape)
    known = looked_at(target)
    target.view(-1)[0] = -100
    loss = started()
    r = loss.responsibility(logits, target, **known)
    unaided = loss.responsibility(logits, target)
    switch = Verified.of(target, **known).switch(target)
    switch.view(-1)[0] = -1  # ignored, whatever is verified
    assert torch.equal(r[switch >= 0], switch[switch >= 0].float())
    assert torch.equal(r[switch < 0], unaided[switch < 0])
    alone = loss(logits, target, **dict.fromkeys(known, torch.full_like(target, -1)))
    assert torch.equal(alone, loss(logits, target))
    assert loss(logits, target, **known) > alone  # more was observed


@pytest.mark.parametrize("started_already", [False, True])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_verified_elements_have_finite_gradients(reduction, started_already):
    logits, target = batch(64)
    loss = started(reduction) if started_already else NBAMLoss(K, reduction=reduction)
    logits.requires_grad_()
    loss(logits, target, **looked_at(target)).sum().backward()
    assert logits.grad.isfinite().all()
    everything_wrong = torch.ones_like(target)
    value = loss(logits, target, contaminated=everything_wrong)
    assert value.isfinite().all()
    assert (value == 0).all() == (not started_already)  # cross-entropy has no use for them


def test_verified_gradcheck():
    logits, target = batch(6, dtype=torch.float64)
    arguments = (
        logits.requires_grad_(),
        torch.randn(K, dtype=torch.float64, requires_grad=True),
        torch.randn(K, K - 1, dtype=torch.float64, requires_grad=True),
    )
    known = looked_at(target)
    assert torch.autograd.gradcheck(lambda *a: nbam_loss(a[0], target, *a[1:], **known), arguments)


def test_cross_entropy_trains_on_verified_true_labels():
    logits, target = batch(4)
    true = torch.tensor([-1, int(target[1] + 1) % K, -1, -1])
    wrong = torch.tensor([-1, -1, 1, 0])
    supposed = torch.where(true >= 0, true, target)
    supposed[2] = -100
    ours = NBAMLoss(K)(logits, target, contaminated=wrong, true_label=true)
    assert torch.allclose(ours, F.cross_entropy(logits, supposed))


def test_starting_counts_what_is_verified():
    truth = torch.arange(K).repeat_interleave(100)
    target = torch.where(torch.arange(4 * 100) % 100 < 30, (truth + 1) % K, truth)
    loss = NBAMLoss(K)
    loss.start_from(torch.zeros(400, K), target, true_label=truth)
    assert torch.allclose(loss.transition_matrix.diagonal(), torch.tensor(0.7), atol=0.02)
