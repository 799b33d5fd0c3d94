import itertools
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nbam_pyro import functional as nf
from nbam_pyro.models.priors.pseudo_counts import FlipPrior
from nbam_pyro.outputs.anchors import anchor_counts, anchor_start
from nbam_pyro.verified import Verified

logit = st.floats(-30, 30)
log_density = st.floats(-1e4, 50)


def tensor(value):
    return torch.tensor(value, dtype=torch.float64, requires_grad=True)


@given(logit, log_density, log_density)
def test_gradients_are_responsibilities(switch, clean, anomaly):
    l, p, q = tensor(switch), tensor(clean), tensor(anomaly)
    pair = nf.switch_log_joint(l, p, q)
    r = nf.responsibility(*pair).item()
    nf.log_marginal(*pair).backward()
    assert l.grad == pytest.approx(r - torch.sigmoid(l).item(), abs=1e-9)
    assert p.grad == pytest.approx(1 - r, abs=1e-9)  # the robustness
    assert q.grad == pytest.approx(r, abs=1e-9)


@given(logit, log_density, log_density)
def test_occam_identity(switch, clean, anomaly):
    l, p, q = tensor(switch), tensor(clean), tensor(anomaly)
    pair = nf.switch_log_joint(l, p, q)
    r = nf.responsibility(*pair)
    occam = nf.occam_penalty(l, *pair)
    expected = (1 - r) * p + r * q - occam
    assert occam >= -1e-12
    assert nf.log_marginal(*pair).item() == pytest.approx(expected.item(), rel=1e-9, abs=1e-6)


def test_limit_without_contamination_is_the_plain_likelihood():
    p, q = torch.tensor(-3.0), torch.tensor(-1e8)
    assert nf.log_marginal(*nf.switch_log_joint(torch.tensor(-200.0), p, q)) == p


def test_far_log_densities_keep_their_precision():
    p = torch.tensor(-1e8, dtype=torch.float32)
    pair = nf.switch_log_joint(torch.tensor(0.0), p, torch.tensor(-2e8))
    assert nf.log_marginal(*pair) == p  # log 2 is below float32's resolution here


@pytest.mark.parametrize("k", [2, 3, 7])
def test_off_diagonal_inverts_zero_diagonal(k):
    rows = torch.rand(k, k - 1)
    matrix = nf.zero_diagonal(rows)
    assert (matrix.diagonal() == 0).all()
    assert torch.equal(nf.off_diagonal(matrix), rows)


def flips(k, generator):
    rows = torch.rand(k, k - 1, generator=generator, dtype=torch.float64) + 0.01
    return nf.zero_diagonal((rows / rows.sum(1, keepdim=True)).log(), fill=-torch.inf)


@settings(deadline=None)
@given(st.integers(2, 5), st.integers(1, 4), st.booleans(), st.integers(0, 10**6))
def test_label_flip_sums_out_the_true_label(k, n, local, seed):
    generator = torch.Generator().manual_seed(seed)
    log_f = torch.randn(n, k, generator=generator, dtype=torch.float64).log_softmax(-1)
    alpha = 3 * torch.randn(k, generator=generator, dtype=torch.float64)
    log_flip = flips(k, generator)
    g = torch.randn(n, generator=generator, dtype=torch.float64) if local else None
    y = torch.randint(k, (n,), generator=generator)
    a, b = nf.label_flip_log_joint(log_f, y, alpha, log_flip, g)
    posterior = nf.label_flip_log_posterior(log_f, y, alpha, log_flip, g).exp()
    switch = nf.label_flip_switch_logits(log_f, alpha, g).sigmoid()
    for i, (f, label) in enumerate(zip(log_f.exp(), y.tolist(), strict=True)):
        rate = torch.sigmoid(alpha if g is None else alpha + g[i])
        clean = f[label] * (1 - rate[label])
        flipped = sum(f[c] * rate[c] * log_flip[c, label].exp() for c in range(k))
        assert a[i].exp().item() == pytest.approx(clean.item())
        assert b[i].exp().item() == pytest.approx(flipped.item())
        assert switch[i].item() == pytest.approx((f * rate).sum().item())
        r = nf.responsibility(a[i], b[i]).item()
        assert 1 - posterior[i, label].item() == pytest.approx(r, abs=1e-9)
    assert posterior.sum(-1).numpy() == pytest.approx(np.ones(n))


@settings(deadline=None)
@given(st.integers(2, 5), st.booleans(), st.booleans(), st.integers(0, 10**6))
def test_what_is_verified_leaves_its_own_terms(k, local, switch_too, seed):
    """log p(y, c | x) or log p(y, z | x) in value, posterior and gradients, all finite."""
    generator = torch.Generator().manual_seed(seed)
    n = 3 * k

    def random(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64).requires_grad_()

    raw, alpha, free, g = random(n, k), 3 * random(k), random(k, k - 1), random(n)
    y = torch.arange(k).repeat(3)
    true = torch.randint(-1, k, (n,), generator=generator)
    truth = torch.where(true < 0, torch.randint(k, (n,), generator=generator), true)
    contaminated = torch.where(torch.arange(n) % 2 == 0, (truth != y).long(), -1)
    known = {"true_label": true} | ({"contaminated": contaminated} if switch_too else {})

    def arguments():
        log_flip = nf.zero_diagonal(free.log_softmax(-1), fill=-torch.inf)
        return raw.log_softmax(-1), y, alpha, log_flip, g if local else None

    a, b = nf.label_flip_log_joint(*arguments(), **known)
    marginal = nf.log_marginal(a, b)
    posterior = nf.label_flip_log_posterior(*arguments(), **known).exp()

    log_f, _, _, log_flip, _ = arguments()
    pi = torch.sigmoid(alpha + g[:, None] if local else alpha.expand(n, k))
    joint = log_f.exp() * pi * log_flip.exp().mT[y]  # by true label, contaminated
    own = torch.arange(k) == y[:, None]
    joint = torch.where(own, log_f.exp() * (1 - pi), joint)  # and clean
    left = (true[:, None] < 0) | (torch.arange(k) == true[:, None])
    if switch_too:
        left &= (contaminated[:, None] < 0) | (own == (contaminated[:, None] == 0))
    joint = torch.where(left, joint, 0.0)
    expected = joint.sum(-1).log()
    assert torch.allclose(marginal, expected)
    assert torch.allclose(posterior, joint / joint.sum(-1, keepdim=True))
    assert torch.allclose(nf.responsibility(a, b), 1 - posterior.gather(1, y[:, None])[:, 0])
    leaves = [raw, alpha, free, *([g] if local else [])]
    ours = torch.autograd.grad(marginal.sum(), leaves, retain_graph=True)
    theirs = torch.autograd.grad(expected.sum(), leaves)
    for one, other in zip(ours, theirs, strict=True):
        assert torch.allclose(one, other)
    r = nf.responsibility(a, b).sum() + posterior.square().sum()
    assert all(gradient.isfinite().all() for gradient in torch.autograd.grad(r, leaves))


@given(logit, log_density, log_density, st.sampled_from([0, 1]))
def test_a_verified_switch_leaves_one_state(switch, clean, anomaly, z):
    l, p, q = tensor(switch), tensor(clean), tensor(anomaly)
    pair = nf.switch_log_joint(l, p, q)
    left = nf.observe_switch(*pair, torch.tensor(z))
    assert nf.log_marginal(*left) == pair[z]
    assert nf.responsibility(*left) == z
    surprise = -torch.nn.functional.logsigmoid(l if z else -l).item()
    assert nf.occam_penalty(l, *left).item() == pytest.approx(surprise)
    nf.log_marginal(*left).backward(retain_graph=True)
    assert l.grad == pytest.approx(z - torch.sigmoid(l).item(), abs=1e-9)
    assert (p.grad.item(), q.grad.item()) == (1 - z, z)
    for value in (nf.occam_penalty(l, *left), nf.responsibility(*left)):
        gradients = torch.autograd.grad(value, [l, p, q], retain_graph=True, allow_unused=True)
        assert all(gradient is None or gradient.isfinite() for gradient in gradients)


@pytest.mark.parametrize("k", [2, 5])
def test_observed_label_probabilities_sum_to_one_and_match_the_pair(k):
    generator = torch.Generator().manual_seed(0)
    log_f = torch.randn(4, k, generator=generator, dtype=torch.float64).log_softmax(-1)
    alpha, log_flip = torch.randn(k, dtype=torch.float64), flips(k, generator)
    m = nf.transition_matrix(alpha.sigmoid(), log_flip.exp())
    observed = nf.observed_log_probs(log_f, m)
    assert observed.exp().sum(-1).numpy() == pytest.approx(np.ones(4))
    for y in range(k):
        pair = nf.label_flip_log_joint(log_f, torch.full((4,), y), alpha, log_flip)
        assert torch.allclose(nf.log_marginal(*pair), observed[:, y])


@pytest.mark.parametrize("scale", [50.0, 500.0])
def test_extreme_logits_have_finite_values_and_gradients(scale):
    log_f = torch.tensor([[scale, -scale], [-scale, scale]]).log_softmax(-1).requires_grad_()
    alpha = torch.tensor([-20.0, 20.0], requires_grad=True)
    log_flip = torch.tensor([[-torch.inf, 0.0], [0.0, -torch.inf]])
    for y in itertools.product([0, 1], repeat=2):
        pair = nf.label_flip_log_joint(log_f, torch.tensor(y), alpha, log_flip)
        value = nf.log_marginal(*pair).sum()
        assert value.isfinite()
        for gradient in torch.autograd.grad(value, [log_f, alpha]):
            assert gradient.isfinite().all()


def test_exchanged_names_of_a_mutual_pair_have_the_same_likelihood():
    """No method can tell rate r from 1 - r with the names exchanged; ours does not pretend to."""
    log_f = torch.randn(20, 2, dtype=torch.float64).log_softmax(-1)
    y = torch.randint(2, (20,))
    log_flip = torch.tensor([[-torch.inf, 0.0], [0.0, -torch.inf]], dtype=torch.float64)
    alpha = torch.tensor([0.3, 0.4], dtype=torch.float64).logit()
    one = nf.log_marginal(*nf.label_flip_log_joint(log_f, y, alpha, log_flip))
    other = nf.log_marginal(*nf.label_flip_log_joint(log_f.flip(-1), y, -alpha.flip(-1), log_flip))
    assert torch.allclose(one, other)


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
    """Two classes mistaken for each other, predicted by the labels that they mostly get."""
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


def test_verified_rows_are_anchors_of_what_they_are():
    # The earlier the surer, by little: equally sure rows would all be anchors.
    f = torch.tensor([[0.6, 0.3, 0.1]] * 20) + 1e-4 * torch.arange(20.0)[:, None].neg()
    y = torch.tensor([0] * 18 + [1, 2])
    contaminated = torch.tensor([0] * 2 + [1] * 3 + [-1] * 15)
    true = torch.tensor([-1] * 18 + [2, 2])
    verified = Verified.of(y, contaminated=contaminated, true_label=true)
    weights = torch.full((20,), 2.0)
    for weight in (None, weights):
        counts = anchor_counts(f.log(), y, confident=1.0, weights=weight, verified=verified)
        counts = counts / (1 if weight is None else 2)
        assert counts[2].tolist() == [5, 1, 1]  # its own, beside the fewest anchors there are
        assert counts[0, 0] == 2 + 13  # those that are clean, and those that may be
        assert counts[1, 0] == 5  # the wrong ones are most likely of class 1
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


COMPILE = """
import torch
from nbam_pyro import functional as nf

def loss(log_f, y, alpha, log_flip):
    return nf.log_marginal(*nf.label_flip_log_joint(log_f, y, alpha, log_flip)).mean()

log_flip = nf.zero_diagonal(torch.randn(3, 2).log_softmax(-1), fill=-torch.inf)
arguments = torch.randn(4, 3).log_softmax(-1), torch.tensor([0, 1, 2, 0]), torch.randn(3), log_flip
compiled = torch.compile(loss, fullgraph=True, backend="eager")
print(torch.allclose(compiled(*arguments), loss(*arguments)))
"""


def test_the_closed_form_compiles_in_one_graph():
    # In a process of its own: the shape checks of the test suite are not part of the graph.
    done = subprocess.run(
        [sys.executable, "-c", COMPILE], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "True"
