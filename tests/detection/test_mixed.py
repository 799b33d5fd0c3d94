"""The default detector for tables: what it finds, how sure it is, and what it refuses."""

import json
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file
from sklearn.base import clone
from sklearn.metrics import roc_auc_score

from nbam_pyro.detection import (
    Kind,
    MixedDetector,
    Neighbours,
    ScoredDetector,
    load_detector,
    save_detector,
)
from nbam_pyro.detection.file_names import ROWS
from nbam_pyro.detection.mixing import Mixing
from nbam_pyro.errors import FolderError, NBAMError, StoryError
from nbam_pyro.storage import write_manifest
from tests.detection.cases import contaminated, stuck


def mixed(**further):
    return MixedDetector(**{"random_state": 0} | further)


@dataclass(frozen=True)
class Far(Kind):
    """A kind of score that is not ours."""

    power: float = 1.0

    def learn(self, x, rng):
        return {"middle": np.median(x, axis=0)}

    def scores(self, learned, x):
        return (abs(x - learned["middle"]).max(1) ** self.power)[None]


def far(rng, count):
    return rng.normal(size=(count, 4)) * 5


def together(rng, count):
    return 4 + 0.1 * rng.normal(size=(count, 4))


def between(rng, count):
    return np.array([3.0, 3.0, 0.0, 0.0]) + 0.3 * rng.normal(size=(count, 4))


def rare(rng, count):
    return np.c_[rng.normal(size=(count, 3)), 5 + 0.5 * rng.normal(size=count)]


@pytest.mark.parametrize("make", [far, together, between, rare])
def test_anomalies_of_different_kinds_are_found(make):
    rng = np.random.default_rng(0)
    x, odd = rng.normal(size=(600, 4)), np.arange(600) < 24
    if make is between:  # two groups of normal rows, of different density
        x[300:] = 6 + 0.3 * rng.normal(size=(300, 4))
    x[odd] = make(rng, 24)
    detector = mixed().fit(x)
    assert roc_auc_score(odd, detector.decision_scores_) > 0.93
    r = detector.predict_proba(x)[:, 1]
    assert ((r - odd) ** 2).mean() < odd.mean() * (1 - odd.mean()) + 0.002
    low, high = detector.contamination_interval_
    assert low <= odd.mean() <= high or detector.verdict_.level != "identified"


@pytest.mark.parametrize("draw", ["normal", "uniform", "exponential"])
def test_clean_rows_are_hardly_flagged(draw):
    x = getattr(np.random.default_rng(1), draw)(size=(800, 5))
    detector = mixed().fit(x)
    assert detector.contamination_ < 0.05
    assert detector.contamination_interval_[0] < 0.02
    assert detector.labels_.mean() < 0.03


@pytest.mark.parametrize("contamination", ["auto", 0.1])
def test_a_row_has_one_score_and_one_label(contamination):
    for x in (stuck(), contaminated(), np.tile(contaminated(40), (7, 1))):
        detector = mixed(contamination=contamination).fit(x)
        assert isinstance(detector, ScoredDetector)
        scores = detector.decision_scores_
        np.testing.assert_array_equal(detector.decision_function(x), scores)
        few = range(0, len(x), 9)
        alone = [detector.decision_function(x[i : i + 1])[0] for i in few]
        np.testing.assert_array_equal(alone, scores[::9])
        np.testing.assert_array_equal(detector.predict(x), detector.labels_)
        r = detector.predict_proba(x)[:, 1]
        assert r.mean() == pytest.approx(detector.contamination_, abs=1e-12)
        if contamination == "auto":
            np.testing.assert_array_equal(r > 0.5, detector.labels_ == 1)


def test_equal_rows_are_not_flagged_and_wild_values_are():
    x = np.ones((60, 4))
    detector = mixed().fit(x)
    assert detector.labels_.sum() == 0
    x = contaminated()
    x[50, 1] = 1e6
    detector = mixed().fit(x)
    assert detector.decision_scores_.argmax() == 50
    assert detector.labels_[50] == 1
    assert (
        detector.decision_function([[0.0, -1e9, 0, 0, 0]]) > np.sort(detector.decision_scores_)[-2]
    )


def test_units_do_not_matter():
    x = contaminated()
    first = mixed().fit(x).decision_scores_
    second = mixed().fit(x * 2.0 ** np.arange(5) + 16).decision_scores_
    assert np.corrcoef(first, second)[0, 1] > 0.999


def test_verified_anomalies_are_not_learned_from():
    x, codes = contaminated(), np.full(150, -1)
    codes[:12], codes[100:120] = 1, 0
    told = mixed().fit(x, verified=codes)
    assert told.report_.rows["responsibility"][:12].eq(1).all()
    assert told.report_.rows["responsibility"][100:120].eq(0).all()
    parts = told.learned_[0]["parts"].reshape(-1, 5)
    assert not (parts[:, None] == told.scale_(x[:12])).all(-1).any()
    assert told.labels_[:12].all()
    assert mixed().fit(x, verified=np.ones(150)).labels_.shape == (150,)


def test_the_same_seed_gives_the_same_scores():
    x = contaminated()
    first = mixed().fit(x).decision_scores_
    np.testing.assert_array_equal(clone(mixed()).fit(x).decision_scores_, first)


@pytest.mark.parametrize(
    ("settings", "x", "words"),
    [
        ({"contamination": 0.7}, np.eye(4), "contamination is 0.7"),
        ({"contamination": "some"}, np.eye(4), "contamination is 'some'"),
        ({"kinds": ()}, np.eye(4), "kinds is empty"),
        ({}, np.zeros((4, 1, 6, 6)), "features"),
        ({}, np.zeros((1, 3)), "minimum of 2"),
        ({}, pd.DataFrame({"a": [1.0, 2.0], "b": [np.nan, 1.0]}), "row 0, column 'b'"),
    ],
)
def test_settings_and_rows_that_cannot_be_used(settings, x, words):
    with pytest.raises(NBAMError, match=words):
        mixed(**settings).fit(x)


@pytest.mark.parametrize("kinds", [None, (Neighbours(nearest=3), Far(power=2.0))])
def test_a_loaded_detector_is_the_one_that_was_saved(kinds, tmp_path):
    x = pd.DataFrame(contaminated(), columns=list("abcde"))
    detector = mixed(kinds=kinds, contamination=0.1).fit(x)
    save_detector(detector, tmp_path / "detector")
    if kinds is not None:
        with pytest.raises(StoryError, match="allow="):
            load_detector(tmp_path / "detector")
    again = load_detector(tmp_path / "detector", allow=[f"{__name__}.Far"])
    np.testing.assert_array_equal(again.decision_function(x), detector.decision_scores_)
    np.testing.assert_array_equal(again.predict_proba(x), detector.predict_proba(x))
    assert again.labels_.tolist() == detector.labels_.tolist()
    assert again.verdict_ == detector.verdict_
    assert list(again.feature_names_in_) == list("abcde")
    pd.testing.assert_frame_equal(again.report_.rows, detector.report_.rows)
    retrained = again.set_params(random_state=0).fit(x)
    np.testing.assert_array_equal(retrained.decision_scores_, detector.decision_scores_)


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("mixing.weight", lambda a: a[:2], "weight that do not match"),
        ("curve.starts", lambda a: a[1:], "curve that do not match"),
        ("kinds.0.parts", lambda a: a[..., :2], "cannot be run"),
        ("kinds.2.children", lambda a: a + 9999, "cannot be run"),
        ("kinds.3.rare", lambda a: a * np.nan, "NaN"),
    ],
)
def test_arrays_that_were_changed_are_refused(name, change, words, tmp_path):
    save_detector(mixed().fit(contaminated()), tmp_path / "detector")
    path = tmp_path / "detector" / ROWS[1]
    tensors = load_file(path)
    save_file(tensors | {name: np.ascontiguousarray(change(tensors[name]))}, path)
    _sign(tmp_path / "detector")
    with pytest.raises(FolderError, match=words):
        load_detector(tmp_path / "detector")


def test_kinds_that_are_no_kinds_are_refused(tmp_path):
    save_detector(mixed().fit(contaminated()), tmp_path / "detector")
    path = tmp_path / "detector" / ROWS[0]
    model = json.loads(path.read_text())
    for kinds, words in (
        ([{"class": "nbam_pyro.detection.Soft", "arguments": {}}], "must be a Kind"),
        ([], "has no backbone"),
    ):
        path.write_text(json.dumps(model | {"kinds": kinds}))
        _sign(tmp_path / "detector")
        with pytest.raises(StoryError, match=words):
            load_detector(tmp_path / "detector")


@settings(max_examples=20, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.lists(st.floats(1e-3, 1e3), min_size=3, max_size=3),
    st.integers(2, 40),
)
def test_the_unit_of_a_kind_does_not_matter(seed, factors, count):
    rng = np.random.default_rng(seed)
    parts = [rng.normal(size=(repeats, count)) for repeats in (1, 2, 5)]
    other = [factor * one + 7 for factor, one in zip(factors, parts, strict=True)]
    first, second = Mixing.of(parts), Mixing.of(other)
    assert first.weight.sum() == pytest.approx(1)
    np.testing.assert_allclose(first.weight, second.weight, atol=1e-6)
    np.testing.assert_allclose(first(parts), second(other), rtol=1e-6, atol=1e-6)


def _sign(folder):
    (folder / "manifest.json").unlink()
    write_manifest(folder)
