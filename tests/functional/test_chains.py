from itertools import product

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro.infer import TraceEnum_ELBO, config_enumerate

from nbam_pyro import functional as nf

PI, DWELL = torch.tensor(0.3, dtype=torch.double), torch.tensor(4.0, dtype=torch.double)
START, MOVES = nf.chain_start(PI), nf.chain_transitions(PI, DWELL)
LENGTHS = pytest.mark.parametrize("rows", [1, 2, 3, 6, 10])


def emissions(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.randn(*shape, 2, dtype=torch.double, generator=generator)


def uneven(rows):
    steps = torch.linspace(0.3, 3.0, rows, dtype=torch.double)[1:]
    return nf.chain_transitions(PI, DWELL, steps)


def all_paths(start, moves, e):
    """Return every path, (2^T, T), and its log density, (2^T,)."""
    paths = torch.tensor(list(product([0, 1], repeat=len(e))))
    moves = moves.expand(max(len(e) - 1, 0), 2, 2) if len(moves) == 1 else moves
    found = start[paths[:, 0]] + e[0, paths[:, 0]]
    for t in range(1, len(e)):
        found = found + moves[t - 1, paths[:, t - 1], paths[:, t]] + e[t, paths[:, t]]
    return paths, found


@LENGTHS
@pytest.mark.parametrize("even", [True, False])
def test_equals_the_sum_over_all_paths(rows, even):
    e, moves = emissions(rows), MOVES if even else uneven(rows)
    if rows == 1:
        moves = MOVES
    paths, log = all_paths(START, moves, e)
    weights = log.softmax(0)
    found = nf.chain_log_partition(START, moves, e)
    torch.testing.assert_close(found, log.logsumexp(0), rtol=0, atol=1e-10)
    r = nf.chain_responsibility(START, moves, e)
    torch.testing.assert_close(r, weights @ paths.double(), rtol=0, atol=1e-10)
    assert nf.chain_path(START, moves, e).equal(paths[log.argmax()])
    pairs = nf.chain_pairs(START, moves, e)
    both = torch.stack(
        [weights @ (paths[:, t] * paths[:, t + 1]).double() for t in range(rows - 1)]
        or [r[:0].sum()]
    )
    torch.testing.assert_close(pairs[:, 1, 1], both[: rows - 1], rtol=0, atol=1e-10)
    torch.testing.assert_close(pairs.sum((-2, -1)), torch.ones(rows - 1).double())


@LENGTHS
def test_filter_and_predictive_use_only_earlier_rows(rows):
    e = emissions(rows)
    seen, each = nf.chain_filter(START, MOVES, e), nf.chain_predictive(START, MOVES, e)
    before = 0.0
    for t in range(1, rows + 1):
        last = nf.chain_responsibility(START, MOVES, e[:t])[-1]
        torch.testing.assert_close(seen[t - 1, 1].exp(), last, rtol=0, atol=1e-10)
        whole = nf.chain_log_partition(START, MOVES, e[:t])
        torch.testing.assert_close(each[t - 1], whole - before, rtol=0, atol=1e-10)
        before = whole


def test_drawn_paths_have_their_posterior_probabilities():
    e = emissions(4, seed=1)
    _, log = all_paths(START, MOVES, e)
    drawn = nf.chain_draws(START, MOVES, e, uniform=torch.rand(200_000, 4, dtype=torch.double))
    codes = drawn @ torch.tensor([8, 4, 2, 1])
    counts = codes.bincount(minlength=16).double() / len(drawn)
    torch.testing.assert_close(counts, log.softmax(0), rtol=0, atol=0.005)


def test_independent_rows_are_a_special_case():
    e = emissions(50)
    moves = nf.chain_transitions(PI, 1 / (1 - PI))
    a, b = nf.switch_log_joint(PI.logit(), e[:, 0], e[:, 1])
    found = nf.chain_log_partition(START, moves, e)
    torch.testing.assert_close(found, nf.log_marginal(a, b).sum(), rtol=0, atol=1e-10)
    r = nf.chain_responsibility(START, moves, e)
    torch.testing.assert_close(r, nf.responsibility(a, b), rtol=0, atol=1e-10)


def test_equal_emissions_give_the_share():
    e = emissions(30)[:, :1].expand(30, 2)
    r = nf.chain_responsibility(START, MOVES, e)
    torch.testing.assert_close(r, PI.expand(30))
    torch.testing.assert_close(nf.chain_log_partition(START, MOVES, e), e[:, 0].sum())


def test_a_switch_that_never_changes_has_two_paths():
    e, stays = emissions(20), torch.eye(2, dtype=torch.double).log()[None]
    found = nf.chain_log_partition(START, stays, e)
    torch.testing.assert_close(found, (START + e.sum(0)).logsumexp(0))


def test_time_may_run_backwards_and_series_in_any_order():
    e = emissions(5, 40)
    found = nf.chain_log_partition(START, MOVES, e)
    torch.testing.assert_close(nf.chain_log_partition(START, MOVES, e.flip(-2)), found)
    order = [3, 0, 4, 1, 2]
    assert nf.chain_log_partition(START, MOVES, e[order]).equal(found[order])


def test_series_of_unequal_length_are_masked():
    e = emissions(3, 8)
    mask = torch.arange(8) < torch.tensor([8, 3, 1])[:, None]
    found = nf.chain_log_partition(START, MOVES, e, mask)
    r, path = nf.chain_responsibility(START, MOVES, e, mask), nf.chain_path(START, MOVES, e, mask)
    seen = nf.chain_filter(START, MOVES, e, mask)
    for i, length in enumerate([8, 3, 1]):
        own = e[i, :length]
        torch.testing.assert_close(found[i], nf.chain_log_partition(START, MOVES, own))
        torch.testing.assert_close(r[i, :length], nf.chain_responsibility(START, MOVES, own))
        torch.testing.assert_close(seen[i, :length], nf.chain_filter(START, MOVES, own))
        assert path[i, :length].equal(nf.chain_path(START, MOVES, own))
        assert not r[i, length:].any()


def test_missing_rows_change_nothing_and_a_gap_is_a_longer_step():
    e = emissions(6)
    e[2:4] = 0.0
    steps = torch.tensor([1.0, 3.0, 1.0], dtype=torch.double)
    gap = nf.chain_log_partition(START, nf.chain_transitions(PI, DWELL, steps), e[[0, 1, 4, 5]])
    torch.testing.assert_close(nf.chain_log_partition(START, MOVES, e), gap)


def test_verified_rows_are_certain_and_gradients_are_finite():
    e = emissions(7)
    e[2, 0], e[4, 1] = -torch.inf, -torch.inf
    e.requires_grad_()
    pi = PI.clone().requires_grad_()
    whole = nf.chain_log_partition(nf.chain_start(pi), nf.chain_transitions(pi, DWELL), e)
    slopes = torch.autograd.grad(whole, [e, pi])
    assert all(slope.isfinite().all() for slope in slopes)
    r = nf.chain_responsibility(START, MOVES, e)
    assert r[[2, 4]].tolist() == [1.0, 0.0]


def test_gradients_are_finite_where_a_transition_is_certain_or_impossible():
    pi = torch.tensor([0.5, 0.3, 0.3], dtype=torch.double).requires_grad_()
    dwell = torch.tensor([1.0, 1.0, 1e30], dtype=torch.double).requires_grad_()
    moves = nf.chain_transitions(pi, dwell)
    whole = nf.chain_log_partition(nf.chain_start(pi), moves, emissions(3, 5))
    assert whole.isfinite().all()
    assert all(one.isfinite().all() for one in torch.autograd.grad(whole.sum(), [pi, dwell]))


def test_no_possible_path_has_density_0():
    stays = torch.eye(2, dtype=torch.double).log()[None]
    e = torch.tensor([[0.0, -torch.inf], [-torch.inf, 0.0]], dtype=torch.double)
    assert nf.chain_log_partition(START, stays, e) == -torch.inf


def test_single_precision_keeps_small_differences_on_long_chains():
    e = emissions(50_000) * 10
    r = nf.chain_responsibility(START, MOVES, e)
    single = nf.chain_responsibility(START.float(), MOVES.float(), e.float())
    torch.testing.assert_close(single.double(), r, rtol=0, atol=1e-3)


def test_gradient_equals_finite_differences():
    e = emissions(5).requires_grad_()
    pi, dwell = PI.clone().requires_grad_(), DWELL.clone().requires_grad_()
    steps = torch.tensor([1.0, 0.5, 2.0, 1.0], dtype=torch.double)

    def whole(pi, dwell, e):
        moves = nf.chain_transitions(pi, dwell, steps)
        return nf.chain_log_partition(nf.chain_start(pi), moves, e)

    assert torch.autograd.gradcheck(whole, (pi, dwell, e))


def test_steps_of_continuous_time_multiply():
    one, two = (
        nf.chain_transitions(PI, DWELL, torch.tensor([s], dtype=torch.double)).exp()[0]
        for s in (0.7, 1.4)
    )
    torch.testing.assert_close(one @ one, two)
    generator = torch.tensor([[-0.3, 0.3], [0.7, -0.7]], dtype=torch.double)
    pi, leaving = 0.3, 0.7 * (1 - np.exp(-1.0))
    same = nf.chain_transitions(
        torch.tensor(pi).double(), torch.tensor(1 / leaving), torch.tensor([2.5]).double()
    )
    torch.testing.assert_close(same[0].exp(), torch.linalg.matrix_exp(2.5 * generator))


@pytest.mark.parametrize("rows", [1, 4, 30])
def test_equals_the_hidden_markov_model_of_pyro(rows):
    y = torch.linspace(-2, 3, rows, dtype=torch.double)
    means = torch.tensor([0.0, 1.5], dtype=torch.double)
    model = dist.DiscreteHMM(START, MOVES[0], dist.Normal(means, 1.0), duration=rows)
    e = dist.Normal(means, 1.0).log_prob(y[:, None])
    torch.testing.assert_close(nf.chain_log_partition(START, MOVES, e), model.log_prob(y))


def test_equals_enumeration_with_pyro_markov():
    y = torch.linspace(-2, 3, 12, dtype=torch.double)
    means = torch.tensor([0.0, 1.5], dtype=torch.double)

    @config_enumerate
    def model():
        z = 0
        for t in pyro.markov(range(len(y))):
            probs = START.exp() if t == 0 else MOVES[0].exp()[z]
            z = pyro.sample(f"z_{t}", dist.Categorical(probs))
            pyro.sample(f"y_{t}", dist.Normal(means[z], 1.0), obs=y[t])

    enumerated = -TraceEnum_ELBO(max_plate_nesting=0).loss(model, lambda: None)
    e = dist.Normal(means, 1.0).log_prob(y[:, None])
    assert enumerated == pytest.approx(float(nf.chain_log_partition(START, MOVES, e)), abs=1e-10)
