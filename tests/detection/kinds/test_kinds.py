"""Kinds of scores: they equal their definitions, and a row has one score."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import IsolationForest
from sklearn.neighbors import LocalOutlierFactor, NearestNeighbors

from nbam_pyro.detection import Histograms, Isolation, LocalDensity, Neighbours
from nbam_pyro.detection.kinds.parts import drawn
from nbam_pyro.errors import DataError
from nbam_pyro.testing import check_kind

KINDS = [Neighbours(), LocalDensity(), Isolation(trees=5), Histograms()]


def learned(kind, x, seed=0):
    return kind.learn(x, np.random.default_rng(seed))


@pytest.fixture
def x():
    return np.random.default_rng(0).normal(size=(90, 3))


@pytest.fixture
def new():
    return np.random.default_rng(1).normal(size=(40, 3)) * 2


def test_neighbours_are_those_of_scikit_learn(x, new):
    kind = Neighbours(parts=2, nearest=7)
    arrays = learned(kind, x)
    found = kind.scores(arrays, new)
    for number, part in enumerate(arrays["parts"]):
        assert part.shape == (45, 3)
        theirs = NearestNeighbors(n_neighbors=7).fit(part)
        np.testing.assert_allclose(found[number], theirs.kneighbors(new)[0][:, -1], rtol=1e-12)
        # A row is not its own neighbour.
        own = theirs.kneighbors()[0][:, -1]
        np.testing.assert_allclose(kind.scores(arrays, part)[number], own, rtol=1e-12)


def test_local_densities_are_those_of_scikit_learn(x, new):
    kind = LocalDensity(parts=1, nearest=9)
    arrays = learned(kind, x)
    theirs = LocalOutlierFactor(n_neighbors=9, novelty=True).fit(arrays["parts"][0])
    np.testing.assert_allclose(
        np.exp(kind.scores(arrays, new)[0]), -theirs.score_samples(new), rtol=1e-6
    )


def test_isolation_is_that_of_scikit_learn(x, new):
    kind = Isolation(parts=1, trees=20, rows=64)
    arrays = learned(kind, x, seed=3)
    seed = int(np.random.default_rng(3).integers(2**31))
    theirs = IsolationForest(n_estimators=20, max_samples=64, random_state=seed).fit(x)
    for rows in (x, new):
        np.testing.assert_allclose(
            kind.scores(arrays, rows)[0], -theirs.score_samples(rows), rtol=1e-6
        )


def test_histograms_count_rows(x):
    kind = Histograms(bins=2)
    rows = np.array([[0.0, 5.0], [1.0, 5.0], [4.0, 5.0], [4.0, 5.0]])
    found = kind.scores(learned(kind, rows), np.array([[0.5, 5.0], [4.0, 5.0], [9.0, 4.9]]))
    usual = -np.log(4.1 / 4)
    rare = -np.log(0.1 / 4)
    np.testing.assert_allclose(
        found[0], [usual - np.log(2.1 / 4), usual - np.log(2.1 / 4), 2 * rare]
    )


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: type(kind).__name__)
def test_kinds_keep_the_contract(kind, x):
    check_kind(kind, x)
    x[:5] = x[5]
    check_kind(kind, x)
    found = kind.scores(learned(kind, x), x)
    assert (np.ptp(found[:, :6], axis=1) == 0).all()  # equal rows have equal scores


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: type(kind).__name__)
@pytest.mark.parametrize(
    "rows", [np.zeros((2, 1)), np.ones((30, 2)), np.eye(3), np.arange(4.0)[:, None]]
)
def test_few_and_equal_rows_have_finite_scores(kind, rows):
    arrays = learned(kind, rows)
    assert np.isfinite(kind.scores(arrays, rows)).all()
    assert np.isfinite(kind.scores(arrays, rows + 9)).all()


@settings(max_examples=20, deadline=None)
@given(st.integers(2, 50), st.integers(1, 60), st.integers(0, 99))
def test_parts_have_different_rows(count, size, seed):
    parts = drawn(np.arange(count)[:, None], parts=3, rows=size, rng=np.random.default_rng(seed))
    assert parts.shape[1] == max(min(size, count // 2), 2)
    assert all(len(np.unique(part)) == len(part) for part in parts)


@pytest.mark.parametrize("kind", [Neighbours, LocalDensity, Isolation])
def test_settings_of_kinds_are_whole_numbers(kind):
    for wrong in ({"parts": 0}, {"rows": 1.5}):
        with pytest.raises(DataError, match="give a whole number"):
            kind(**wrong)
    with pytest.raises(DataError, match="bins is 0"):
        Histograms(bins=0)
