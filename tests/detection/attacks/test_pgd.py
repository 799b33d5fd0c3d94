"""Attacks by gradients and by queries, against scores whose worst rows are known exactly."""

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from nbam_pyro.detection.attacks import FixedStep, HalvingStep, pgd, square_queries
from nbam_pyro.errors import DataError

RULES = [FixedStep(), HalvingStep()]


def phi(value):
    return 0.5 * (1 + math.erf(value / math.sqrt(2)))


@pytest.fixture(name="linear")
def _linear():
    """Weights, rows of N(0, I) and of N(m, I), and the direction in which each is moved."""
    rng = np.random.default_rng(0)
    w, mean = torch.as_tensor(rng.normal(size=8)), torch.full((8,), 0.7, dtype=torch.double)
    x = torch.as_tensor(rng.normal(size=(4000, 8)))
    x[2000:] += mean * w.sign()
    return w, mean * w.sign(), x, torch.arange(4000) < 2000


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("eps", [0.1, 0.35, 3.0])
def test_a_linear_score_moves_by_eps_times_the_norm_of_its_weights(linear, rule, eps):
    w, mean, x, normal = linear
    sign = torch.where(normal, 1.0, -1.0).double()
    found = pgd(lambda x: x @ w, x, sign, eps=eps, steps=20, starts=2, step_rule=rule)
    expected = x @ w + sign * eps * w.abs().sum()
    assert torch.allclose(found.scores, expected, atol=1e-6, rtol=0)
    assert torch.allclose(found.x @ w, found.scores, atol=1e-9, rtol=0)
    assert float((found.x - x).abs().max()) <= eps + 1e-9
    exact = phi(float((w @ mean - 2 * eps * w.abs().sum()) / (w.norm() * math.sqrt(2))))
    assert roc_auc_score(~normal, found.scores) == pytest.approx(exact, abs=0.02)


@pytest.mark.parametrize("rule", RULES)
def test_no_row_gets_a_better_score_and_bounds_are_kept(rule):
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(5, 16), torch.nn.Tanh(), torch.nn.Linear(16, 1))
    x = torch.rand(60, 5)
    sign = torch.tensor([1.0, -1.0]).repeat(30)

    def score(x):
        return (8 * net(x).squeeze(-1)).sin()

    state = torch.random.get_rng_state()
    one = pgd(score, x, sign, eps=0.2, steps=7, starts=3, step_rule=rule, bounds=(0, 1))
    assert torch.equal(state, torch.random.get_rng_state())
    assert (sign * one.scores >= sign * score(x)).all()
    assert one.x.min() >= 0
    assert one.x.max() <= 1
    more = pgd(score, x, sign, eps=0.3, steps=7, step_rule=rule, bounds=(0, 1), begin=one.x)
    assert (sign * more.scores >= sign * one.scores).all()
    small = pgd(score, x, sign, eps=0.2, steps=7, starts=3, step_rule=rule, bounds=(0, 1), size=7)
    assert (sign * small.scores >= sign * score(x)).all()


def test_a_score_in_steps_is_attacked_through_an_objective():
    x, w = torch.zeros(4, 3), torch.tensor([1.0, -2.0, 0.5])
    steps = pgd(lambda x: (x @ w).round(), x, torch.ones(4), eps=1.0, objectives=[lambda x: x @ w])
    assert steps.scores.tolist() == [4.0] * 4  # 3.5, rounded
    with pytest.raises(DataError, match="No gradient flows"):
        pgd(lambda x: x.detach() @ w, x, torch.ones(4), eps=1.0)


def test_the_worst_of_several_objectives_is_kept():
    """One of the two is flat at the rows."""
    x = torch.zeros(2, 1)

    def score(x):
        return x.squeeze(1).relu()

    flat, slope = (lambda x: (0 * x).sum(1)), (lambda x: x.sum(1))
    assert pgd(score, x, torch.ones(2), eps=1.0, objectives=[flat]).scores.tolist() == [0, 0]
    assert pgd(score, x, torch.ones(2), eps=1.0, objectives=[flat, slope]).scores.tolist() == [1, 1]


def test_a_random_score_is_averaged():
    generator = torch.Generator().manual_seed(0)

    def score(x):
        return x.sum(1) + torch.randn(len(x), 1, generator=generator)[:, 0] * (1 + 0 * x.sum(1))

    found = pgd(score, torch.zeros(200, 2), torch.ones(200), eps=0.5, samples=100, steps=3)
    assert float(found.scores.mean()) == pytest.approx(1.0, abs=0.3)


@pytest.mark.parametrize("eps", [0.5, torch.tensor([0.5, 0.0, 2.0])])
def test_each_feature_may_have_its_own_eps(eps):
    found = pgd(lambda x: x.sum(1), torch.zeros(1, 3), torch.ones(1), eps=eps, steps=3)
    assert torch.allclose(found.x, torch.as_tensor(eps).expand(1, 3))


def test_queries_find_what_gradients_find(linear):
    w, _, x, normal = linear
    x, sign = x[::200].numpy(), np.where(normal[::200], 1, -1)
    moved, scores = square_queries(lambda x: x @ w.numpy(), x, sign, eps=0.3, queries=400, seed=1)
    assert np.allclose(scores, x @ w.numpy() + sign * 0.3 * w.abs().sum().item())
    assert np.abs(moved - x).max() <= 0.3 + 1e-9
    images = np.full((3, 2, 6, 5), 0.5)
    moved, scores = square_queries(
        lambda x: x.mean((1, 2, 3)), images, np.array([1, -1, 1]), eps=0.2, bounds=(0.4, 1)
    )
    assert scores == pytest.approx([0.7, 0.4, 0.7], abs=0.02)
    assert moved.min() >= 0.4


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"x": torch.zeros(4)}, "give rows of floating-point"),
        ({"x": torch.zeros(4, 3, dtype=torch.long)}, "give rows of floating-point"),
        ({"sign": torch.zeros(4)}, "sign must have 1"),
        ({"sign": torch.ones(3)}, "sign must have 1"),
        ({"eps": -1.0}, "eps is"),
        ({"eps": math.nan}, "eps is"),
        ({"steps": 0}, "steps is 0"),
        ({"bounds": (1, 0)}, "bounds are"),
        ({"bounds": (0.5, 1)}, "beyond the bounds"),
        ({"begin": torch.zeros(3, 3)}, "begin has shape"),
        ({"score": lambda x: x}, "return one number for each row"),
        ({"score": lambda x: x.sum(1) * torch.nan}, "score of row 0 is not a number"),
    ],
)
def test_bad_input_is_refused(changed, message):
    given = {"score": lambda x: x.sum(1), "x": torch.zeros(4, 3), "sign": torch.ones(4)}
    given |= {"eps": 0.1} | changed
    with pytest.raises(DataError, match=message):
        pgd(given.pop("score"), given.pop("x"), given.pop("sign"), **given)
