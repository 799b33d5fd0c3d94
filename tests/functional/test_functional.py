"""The pair, the log marginal and the posteriors, against sums over all states."""

import itertools
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nbam_pyro import functional as nf

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
    assert p.grad == pytest.approx(1 - r, abs=1e-9)  # contaminated rows have little weight
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
def test_verified_rows_keep_only_the_states_that_agree(k, local, switch_too, seed):
    """Marginals, posteriors and gradients equal sums over the states that agree, and are finite."""
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
    joint = log_f.exp() * pi * log_flip.exp().mT[y]  # joint of contaminated states, by true label
    own = torch.arange(k) == y[:, None]
    joint = torch.where(own, log_f.exp() * (1 - pi), joint)  # and of the clean state
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
def test_a_verified_switch_keeps_one_state(switch, clean, anomaly, z):
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
    """Rates r, and rates 1 - r with exchanged names of the classes, have one likelihood."""
    log_f = torch.randn(20, 2, dtype=torch.float64).log_softmax(-1)
    y = torch.randint(2, (20,))
    log_flip = torch.tensor([[-torch.inf, 0.0], [0.0, -torch.inf]], dtype=torch.float64)
    alpha = torch.tensor([0.3, 0.4], dtype=torch.float64).logit()
    one = nf.log_marginal(*nf.label_flip_log_joint(log_f, y, alpha, log_flip))
    other = nf.log_marginal(*nf.label_flip_log_joint(log_f.flip(-1), y, -alpha.flip(-1), log_flip))
    assert torch.allclose(one, other)


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
    # In a new process, since the shape checks of the test suite cannot be compiled.
    done = subprocess.run(
        [sys.executable, "-c", COMPILE], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "True"
