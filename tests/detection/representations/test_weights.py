"""Weights of rows: exact figures, balance, and what is refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from nbam_pyro.checks.weights import effective_rows
from nbam_pyro.detection.representations import nuisance_weights
from nbam_pyro.detection.representations.weights import check_effective
from nbam_pyro.errors import DataError
from nbam_pyro.estimators import NBAMClassifier
from nbam_pyro.inference import Joint, WarmUp


def binary(rho, half=5000):
    """Rows of two classes, a share rho of which has the nuisance of its class, exactly."""
    same = np.arange(half) < round(rho * half)
    u = np.r_[np.where(same, 0, 1), np.where(same, 1, 0)]
    return np.repeat([0, 1], half), u


@pytest.mark.parametrize(("rho", "ess"), [(0.7, 0.84), (0.8, 0.64), (0.9, 0.36), (0.95, 0.19)])
def test_weights_of_a_binary_nuisance_have_the_closed_form(rho, ess):
    y, u = binary(rho)
    weights = nuisance_weights(y, u, clip=0.0)
    assert np.allclose(weights.values, np.where(y == u, 0.5 / rho, 0.5 / (1 - rho)), rtol=3e-3)
    assert weights.ess == pytest.approx(ess, abs=2e-3)
    assert weights.ess == pytest.approx(4 * rho * (1 - rho), abs=2e-3)
    assert weights.accuracy == pytest.approx(0.5, abs=2e-3)
    assert weights.clipped == 0.0
    assert weights.balance["balanced"].all()


def test_weights_of_a_continuous_nuisance_follow_the_published_formula():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 10_000)
    u = 0.5 * (2 * y - 1) + rng.normal(size=len(y))
    weights = nuisance_weights(y, u)
    exact = 0.5 * (1 + np.exp(-u * (2 * y - 1)))  # 0.5 / sigmoid(2 a u (2 y - 1)), a = 0.5
    middle = np.abs(u) < 2
    assert np.abs(weights.values / exact - 1)[middle].mean() < 0.05
    assert weights.ess == pytest.approx(1 / 1.4296, abs=0.03)
    assert weights.balance["balanced"].all()
    assert weights.accuracy == pytest.approx(weights.chance, abs=0.03)
    assert abs(np.cov(y, u, aweights=weights.values)[0, 1]) < 0.03


@settings(max_examples=25, deadline=None)
@given(
    counts=st.lists(st.lists(st.integers(3, 60), min_size=3, max_size=3), min_size=2, max_size=4)
)
def test_the_weights_of_each_class_have_mean_one_and_nearly_remove_dependence(counts):
    table = np.array(counts)
    y = np.repeat(np.arange(len(table)), table.sum(1))
    u = np.concatenate([np.repeat(["a", "b", "c"], row) for row in table])
    w = nuisance_weights(y, u, clip=0.0).values
    for k in range(len(table)):
        assert w[y == k].mean() == pytest.approx(1)
    assert 0 < effective_rows(w) / len(w) <= 1 + 1e-12
    weighted = np.array([[w[(y == k) & (u == v)].sum() for v in "abc"] for k in range(len(table))])
    joint = weighted / weighted.sum()
    product = joint.sum(1, keepdims=True) * joint.sum(0)
    before = table / table.sum()
    apart = np.abs(before - before.sum(1, keepdims=True) * before.sum(0)).max()
    assert np.abs(joint - product).max() <= apart + 0.02


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda y, u: nuisance_weights(y, np.where(y == 1, u, "red")), "'0' never occurs with"),
        (lambda y, u: nuisance_weights(y, 10.0 * y + np.arange(100) / 100), "between"),
        (lambda y, u: nuisance_weights(y, u[:-1]), "99"),
        (lambda y, u: nuisance_weights(0 * y, u), "1 class"),
        (lambda y, u: nuisance_weights(y, np.full(100, "red")), "same value"),
        (lambda y, u: nuisance_weights(y, np.arange(100).astype(str)), "100 different values"),
        (lambda y, u: nuisance_weights(y, u, clip=0.5), "clip is 0.5"),
        (lambda y, u: nuisance_weights(y, [None, *u[1:]]), "nuisance of row 0 is missing"),
        (lambda y, u: nuisance_weights([None, *y[1:]], u), "class of row 0 is missing"),
        (lambda y, u: nuisance_weights(y, np.r_[np.nan, np.arange(99.0)]), "nuisance of row 0"),
        (lambda y, u: check_effective(np.r_[1000.0, np.ones(99)]), "effective sample size"),
    ],
)
def test_what_cannot_be_weighted_is_refused(call, match):
    y = np.repeat([0, 1], 50)
    u = np.tile(["red", "green"], 50)
    with pytest.raises(DataError, match=match):
        call(y, u)


def test_a_class_that_is_missing_where_several_columns_say_so_is_refused():
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], 200)
    u = rng.normal(size=(400, 2)) + 20 * y[:, None]
    with pytest.raises(DataError, match="never occurs"):
        nuisance_weights(y, u)


def test_a_classifier_takes_weights_and_wrong_labels_together():
    rng = np.random.default_rng(1)
    count = 1200
    true = rng.integers(0, 2, count)
    u = np.where(rng.random(count) < 0.9, true, 1 - true)
    x = np.c_[2 * true - 1 + rng.normal(size=count), 2 * u - 1 + 0.2 * rng.normal(size=count)]
    wrong = rng.random(count) < 0.2
    y = np.where(wrong, 1 - true, true)
    weights = nuisance_weights(y, u)
    test = np.c_[2 * true - 1 + rng.normal(size=count), rng.normal(size=count)]
    opposed = np.c_[test[:, 0], 1 - 2 * true]
    accuracies = {}
    for name, w in (("without", None), ("with", weights.values)):
        steps = [WarmUp(epochs=15, lr=1e-2), Joint(epochs=3, lr=1e-2)]
        model = NBAMClassifier(network=nn.Linear, steps=steps, random_state=0)
        model.fit(x, y, sample_weight=w)
        accuracies[name] = (model.predict(opposed) == true).mean()
    assert accuracies["with"] > accuracies["without"] + 0.1
    assert accuracies["with"] > 0.7
    # Rows with an unusual nuisance have large weights, and many of them have a wrong label.
    weighted = np.average(wrong, weights=weights.values)
    assert weighted > 0.3
    assert model.contamination_ == pytest.approx(weighted, abs=0.06)


def test_a_class_that_misses_one_of_few_numbers_is_refused():
    """With 80 % of the rows at one number, a region of equal counts would hold several numbers."""
    rng = np.random.default_rng(0)
    u = rng.choice([0.0, 1.0, 2.0], 1000, p=[0.8, 0.1, 0.1])
    y = rng.integers(0, 2, 1000)
    nuisance_weights(y, u)
    with pytest.raises(DataError, match="never occurs with nuisance 1 "):
        nuisance_weights(np.where(u == 1, 0, y), u)


def test_the_accuracy_of_a_discrete_nuisance_is_out_of_sample():
    rng = np.random.default_rng(0)
    y, u = rng.integers(0, 2, 400), rng.integers(0, 20, 400)
    ones = np.ones(400)
    table = np.zeros((20, 2))
    np.add.at(table, (u, y), ones)
    inside = (table[u].argmax(1) == y).mean()  # a look at the rows themselves
    weights = nuisance_weights(y, u)
    assert inside > 0.55
    assert weights.accuracy < 0.55
