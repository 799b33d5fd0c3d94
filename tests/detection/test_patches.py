"""Maps of anomalies in images: where they are, what they do not depend on, what is refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.metrics import roc_auc_score

from nbam_pyro.detection import MixedDetector, PatchDetector, enlarged_maps
from nbam_pyro.errors import DataError


def grids(n=60, odd=6, size=6, features=8, seed=0):
    """Grids of correlated features whose border is unlike the rest, and cells with a defect."""
    rng = np.random.default_rng(seed)
    grid = rng.normal(size=(n, size, size, features)) @ rng.normal(size=(features, features))
    grid[:, 0] += 15
    defects = np.zeros((n, size, size), dtype=bool)
    for row in range(odd):
        y, x = rng.integers(0, size - 1, 2)
        defects[row, y : y + 2, x : x + 2] = True
    grid[defects] += 20 * rng.normal(size=(defects.sum(), features))
    return grid.astype(np.float32), defects


def maps_of(grid, **settings):
    return PatchDetector(**{"random_state": 0} | settings).fit(grid)


@pytest.mark.parametrize(
    "detector", [None, MixedDetector(random_state=0)], ids=["neighbours", "mixed"]
)
def test_defects_among_the_training_images_are_found(detector):
    grid, defects = grids()
    found = maps_of(grid, detector=detector)
    assert roc_auc_score(defects.ravel(), found.maps_.ravel()) > 0.95
    assert found.decision_scores_[:6].min() > found.decision_scores_[6:].max()
    np.testing.assert_array_equal(found.decision_scores_, found.maps_.max((1, 2)))
    assert found.contamination_ == pytest.approx(0.1, abs=0.05)
    assert found.labels_[:6].mean() > 0.8
    assert found.labels_[6:].mean() < 0.05
    np.testing.assert_allclose(np.median(found.maps_, axis=0), 0, atol=1e-12)
    if detector is not None:
        assert not hasattr(detector, "decision_scores_")  # a copy was trained


def test_new_images():
    grid, _ = grids()
    found = maps_of(grid)
    np.testing.assert_allclose(found.decision_function(grid), found.decision_scores_)
    np.testing.assert_array_equal(found.predict(grid), found.labels_)
    new, _ = grids(n=30, odd=3, seed=0)
    scores = found.decision_function(new)
    assert scores[:3].min() > scores[3:].max()
    alone = np.concatenate([found.maps(one[None]) for one in new])
    np.testing.assert_allclose(alone, found.maps(new), rtol=1e-6, atol=1e-6)
    assert found.predict_proba(new)[:3, 1].min() > found.predict_proba(new)[3:, 1].max()


def test_what_all_images_have_at_a_place_is_not_an_anomaly():
    grid, _ = grids(odd=0)
    grid[:, 3, 3] += 40
    grid[:3, 3, 3] += 60 * np.random.default_rng(0).normal(size=(3, 8))
    found = maps_of(grid)
    assert found.decision_scores_[:3].min() > found.decision_scores_[3:].max()
    at = found.maps_[3:].reshape(57, -1).argmax(1)
    assert (at == 3 * 6 + 3).mean() < 0.2


@settings(max_examples=4, deadline=None)
@given(
    scale=st.floats(0.01, 100),
    shift=st.floats(-10, 10),
    seed=st.integers(0, 2**16),
)
def test_scores_do_not_depend_on_units(scale, shift, seed):
    grid = grids(n=12, odd=1, size=4, features=3, seed=seed)[0].astype(float)
    one, other = maps_of(grid), maps_of(scale * grid + shift)
    np.testing.assert_allclose(one.maps_, other.maps_, rtol=1e-3, atol=1e-3)


def test_equal_images_score_zero():
    grid = np.repeat(grids(n=1, odd=0)[0], 9, axis=0)
    found = maps_of(grid)
    np.testing.assert_allclose(found.maps_, 0, atol=1e-5)


def test_verified_images_count():
    grid, _ = grids()
    codes = np.full(len(grid), -1)
    codes[:3], codes[10:14] = 1, 0
    found = PatchDetector(random_state=0).fit(grid, verified=codes)
    r = found.report_.rows["responsibility"]
    assert r[:3].min() == 1
    assert r[10:14].max() == 0
    every = PatchDetector(random_state=0).fit(grid, verified=np.ones(len(grid)))
    assert every.contamination_ == 1


def test_settings():
    grid, _ = grids(n=20)
    assert maps_of(grid, contamination=0.3).labels_.sum() == 6
    few = maps_of(grid, cells=50, components=2, neighbourhood=1)
    assert few.whitening_.matrix.shape == (8, 2)
    assert clone(few).get_params() == few.get_params()
    np.testing.assert_array_equal(maps_of(grid).maps_, maps_of(grid).maps_)
    one = grids(n=5, odd=0, size=2, features=1)[0]
    assert maps_of(one).maps_.shape == (5, 2, 2)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"neighbourhood": 2}, "odd number"),
        ({"neighbourhood": 0}, "neighbourhood is 0"),
        ({"components": 0}, "components is 0"),
        ({"cells": 1}, "cells is 1"),
        ({"contamination": 0.7}, "contamination is 0.7"),
    ],
)
def test_wrong_settings(changes, words):
    with pytest.raises(DataError, match=words):
        maps_of(grids(n=4, odd=0)[0], **changes)


def test_wrong_data():
    grid, _ = grids(n=4, odd=0)
    for wrong, words in (
        (grid[:1], "one image"),
        (grid[0], r"\(N, h, w, D\)"),
        (grid[:0], r"\(N, h, w, D\)"),
        (grid.astype(str), "type"),
        (np.where(grid == grid[2, 1, 1, 1], np.nan, grid), "missing"),
    ):
        with pytest.raises(DataError, match=words):
            maps_of(wrong)
    with pytest.raises(DataError, match="same network and size"):
        maps_of(grid).maps(grid[:, :3])


def test_enlarged_maps():
    maps = np.zeros((2, 4, 4))
    maps[1, 1, 2] = 1
    large = enlarged_maps(maps, (32, 64))
    assert large.shape == (2, 32, 64)
    assert not large[0].any()
    y, x = np.unravel_index(large[1].argmax(), large[1].shape)
    assert (y // 8, x // 16) == (1, 2)
    np.testing.assert_allclose(enlarged_maps(np.full((1, 3, 3), 2.5), (20, 20)), 2.5, rtol=1e-5)
    for wrong in (np.zeros((4, 4)), np.zeros((0, 4, 4))):
        with pytest.raises(DataError, match="maps have shape"):
            enlarged_maps(wrong, (8, 8))
    with pytest.raises(DataError, match="at least one pixel"):
        enlarged_maps(maps, (0, 8))
