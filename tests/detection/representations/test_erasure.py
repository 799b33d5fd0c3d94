"""Erasure in closed form, and the probe that checks it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbam_pyro.detection.representations import Erasure, nuisance_weights, probe
from nbam_pyro.errors import DataError


def published(count, a, rng):
    """The published data with a continuous nuisance: rows, classes and nuisance."""
    y = rng.integers(0, 2, count)
    u = a * (2 * y - 1) + rng.normal(size=count)
    x = np.c_[y - u + 3 * rng.normal(size=count), y + u + 0.1 * rng.normal(size=count)]
    return x, y, u


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), kinds=st.integers(2, 3), classes=st.integers(2, 3))
def test_weighted_means_of_each_class_coincide_to_rounding(seed, kinds, classes):
    rng = np.random.default_rng(seed)
    y, u = rng.integers(0, classes, 400), rng.integers(0, kinds, 400)
    r = rng.normal(size=(400, 12)) + rng.normal(size=(classes, kinds, 12))[y, u]
    w = rng.uniform(0.5, 2, 400)
    erased = Erasure(noise=0.0).learn(r, y, u, weights=w)
    assert erased.removed <= classes * (kinds - 1)
    after = erased(r)
    for k in range(classes):
        means = [
            np.average(after[(y == k) & (u == v)], axis=0, weights=w[(y == k) & (u == v)])
            for v in range(kinds)
        ]
        assert np.allclose(means, means[0], atol=1e-9)
    covariance = sum(
        (centred.T * w[y == k]) @ centred
        for k in range(classes)
        for centred in [after[y == k] - np.average(after[y == k], axis=0, weights=w[y == k])]
    )
    assert np.allclose(covariance / w.sum(), np.eye(after.shape[1]), atol=1e-4)


@pytest.mark.parametrize("rho", [0.6, 0.9])
def test_erasure_of_a_binary_nuisance_keeps_the_sum(rho):
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 20_000)
    u = np.where(rng.random(len(y)) < rho, y, 1 - y)
    signs = 2 * np.c_[y, u] - 1
    noise = rng.normal(size=(len(y), 2)) * np.sqrt([1.5, 0.5])
    x = np.c_[signs[:, 0] - signs[:, 1], signs[:, 0] + signs[:, 1]] + noise
    erased = Erasure().learn(x, y, u, weights=nuisance_weights(y, u))
    assert erased.removed == 1
    direction = erased.matrix[:, 0]
    assert direction[0] / direction[1] == pytest.approx(1.0, abs=0.06)
    assert erased.accuracy_after == pytest.approx(0.9214, abs=0.015)


def test_erasure_of_a_continuous_nuisance_survives_its_reversal():
    rng = np.random.default_rng(0)
    x, y, u = published(10_000, 0.5, rng)
    erased = Erasure().learn(x, y, u, weights=nuisance_weights(y, u))
    assert erased.removed == 1
    assert erased.accuracy_before > 0.7
    assert erased.accuracy_after == pytest.approx(0.6305, abs=0.02)
    other, truth, _ = published(20_000, -0.9, rng)
    r = erased(other)[:, 0]
    middle = np.mean([erased(x)[y == k].mean() for k in (0, 1)])
    up = erased(x)[y == 1].mean() > middle
    assert (((r > middle) == up) == truth).mean() >= 0.60


def test_a_probe_reads_what_is_there_and_only_that():
    rng = np.random.default_rng(0)
    x, y, u = published(4000, 0.5, rng)
    weights = nuisance_weights(y, u)
    before = probe(x, y, u, weights=weights)
    after = probe(x.sum(1, keepdims=True), y, u, weights=weights)
    assert before.measure == "correlation"
    assert before.readable
    assert before.linear > 0.9
    assert max(after.linear, after.nonlinear) < 0.1
    assert "can still be read" in str(before)
    assert "cannot read" in str(after)


def test_a_probe_that_is_not_linear_sees_a_variance_that_depends_on_the_nuisance():
    rng = np.random.default_rng(0)
    y, u = rng.integers(0, 2, (2, 2000))
    r = rng.normal(size=(2000, 2)) * np.where(u == 1, 3.0, 1.0)[:, None]
    found = probe(r, y, u)
    assert found.measure == "accuracy"
    assert found.linear < 0.65
    assert found.nonlinear > 0.75
    assert found.readable


@pytest.mark.parametrize("rare", [1, 2, 3, 5])
def test_a_probe_leaves_out_values_with_too_few_rows(rare):
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], 60)
    u = np.r_[np.arange(60) < 30, np.arange(60) < rare].astype(int)
    r = rng.normal(size=(120, 2)) + 5 * u[:, None]
    found = probe(r, y, u)
    assert found.chance == pytest.approx(0.5)
    assert found.linear > 0.8
    with pytest.raises(DataError, match="No class has two values"):
        probe(r[60:], np.repeat([0, 1], 30), np.arange(60) < min(rare, 3))


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda r, y, u: Erasure(noise=0).learn(r[:, :2], y, u), "nothing would be left"),
        (lambda r, y, u: Erasure().learn(r, y, u, weights=np.r_[1e6, np.ones(99)]), "effective"),
        (lambda r, y, u: Erasure().learn(r, y, y), "never occurs"),
        (lambda r, y, u: Erasure().learn(r[:9], y, u), "r has shape"),
        (lambda r, y, u: Erasure().learn(r, y, u, weights=np.ones(3)), "weights have shape"),
        (lambda r, y, u: Erasure().learn(r, y, u, weights=-np.ones(100)), "not negative"),
        (lambda r, y, u: Erasure().learn(r, y, u)(r[:, :3]), "r has shape"),
        (lambda r, y, u: Erasure(noise=-1.0), "noise is -1"),
        (lambda r, y, u: Erasure(noise=0, spread=True), "every direction"),
        (lambda r, y, u: probe(r, np.r_[np.zeros(95, int), np.ones(5, int)], u), "too few"),
        (lambda r, y, u: probe(np.full((100, 2), np.nan), y, u), "r has"),
    ],
)
def test_what_cannot_be_erased_or_probed_is_refused(call, match):
    rng = np.random.default_rng(0)
    y, u = np.repeat([0, 1], 50), np.tile([0, 1], 50)
    r = rng.normal(size=(100, 8)) + 3 * u[:, None]
    with pytest.raises(DataError, match=match):
        call(r, y, u)


def test_a_nuisance_with_too_many_columns_is_refused():
    rng = np.random.default_rng(0)
    y, u = rng.integers(0, 2, 400), rng.normal(size=(400, 150))
    r = np.c_[3 * u[:, :2], 3 * y] + 0.3 * rng.normal(size=(400, 3))
    with pytest.raises(DataError, match="150 columns"):
        Erasure().learn(r, y, u)
    with pytest.raises(DataError, match="weight 0"):
        Erasure().learn(r, y, u[:, 0], weights=(y == 1).astype(float))


def test_the_probe_sees_a_few_columns_of_many_and_leaves_out_what_does_not_vary():
    rng = np.random.default_rng(0)
    y, u = rng.integers(0, 2, 600), rng.normal(size=(600, 60))
    r = np.c_[u[:, :2], y] + 0.3 * rng.normal(size=(600, 3))
    assert probe(r, y, u).readable
    still = np.where(y == 0, 0.5, u[:, 0])
    found = probe(np.c_[still, y] + 0.01 * rng.normal(size=(600, 2)), y, still)
    assert found.readable
    assert 0.3 < found.judged < 0.7
    assert "of the rows were judged" in str(found)
    with pytest.raises(DataError, match="does not vary"):
        probe(r, y, y + 0.5)


def test_few_rows_do_not_show_that_nothing_can_be_read():
    rng = np.random.default_rng(0)
    y, u = rng.integers(0, 2, (2, 44))
    found = probe(rng.normal(size=(44, 2)), y, u)
    assert found.undecided
    assert "too few rows to tell" in str(found)


@pytest.mark.parametrize("kind", ["continuous", "discrete"])
def test_directions_whose_variance_changes_are_removed(kind):
    rng = np.random.default_rng(0)
    y, u = rng.integers(0, 2, 3000), rng.random(3000)
    u = (u > 0.5).astype(int) if kind == "discrete" else u
    noise = rng.normal(size=(3000, 5))
    noise[:, 3:] *= (1 + 2 * u)[:, None]
    noise[:, 2] += 4 * u
    noise[:, 0] += 3 * y
    mixed = noise @ np.linalg.qr(rng.normal(size=(5, 5)))[0]
    usual, both = (Erasure(spread=spread).learn(mixed, y, u) for spread in (False, True))
    assert (usual.removed, both.removed) == (1, 3)
    assert both.accuracy_after > 0.9
    left = both(mixed)
    for k in range(2):
        assert abs(np.corrcoef(np.square(left[y == k]).sum(1), u[y == k])[0, 1]) < 0.1
    moved = np.square(usual(mixed)[y == 0]).sum(1)
    assert np.corrcoef(moved, u[y == 0])[0, 1] > 0.15
