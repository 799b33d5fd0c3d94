"""Backbones: what each of them must fulfil, whatever its energies are."""

from functools import partial

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.metrics import roc_auc_score

from nbam_pyro.detection import (
    AnomalyDetector,
    AutoEncoder,
    Blind,
    DeepSVDD,
    Hard,
    NeuralTransformations,
    Refine,
    Rotations,
    Soft,
)
from nbam_pyro.testing import check_backbone
from tests.detection.cases import TABULAR, rows


@pytest.mark.parametrize("make", TABULAR)
def test_every_backbone_keeps_the_contract(make):
    check_backbone(make, torch.rand(40, 5))


def test_rotations_keep_the_contract():
    check_backbone(partial(Rotations, width=4), torch.rand(6, 1, 12, 12))


@pytest.mark.parametrize("make", TABULAR)
@pytest.mark.parametrize("assignment", [Blind(), Refine(), Hard(), Soft()])
def test_a_detector_never_gives_all_rows_one_score(make, assignment):
    x, _ = rows()
    detector = AnomalyDetector(
        make, assignment=assignment, contamination=0.1, epochs=5, random_state=0
    ).fit(x)
    assert np.ptp(detector.decision_scores_) > 0
    assert detector.labels_.mean() == pytest.approx(0.1, abs=0.01)
    again = clone(detector).fit(x)
    assert np.array_equal(again.decision_scores_, detector.decision_scores_)
    assert np.allclose(detector.decision_function(x), detector.decision_scores_)


def test_size_counts_and_one_feature_is_enough():
    """Without any bias, the energies of NTL would be those of the direction alone."""
    rng = np.random.default_rng(0)
    detector = AnomalyDetector(contamination=0.05, epochs=40, random_state=0)
    detector.fit(rng.uniform(1, 2, (300, 4)))
    usual, odd = rng.uniform(1, 2, (100, 4)), rng.uniform(1, 2, (20, 4))
    for factor in (0.2, 5.0):
        scores = detector.decision_function(np.r_[usual, factor * odd])
        assert roc_auc_score(np.arange(120) >= 100, scores) > 0.9
    single = rng.normal(size=(100, 1))
    scores = AnomalyDetector(contamination=0.1, epochs=2).fit(single).decision_scores_
    assert np.ptp(scores) > 1e-3


@pytest.mark.parametrize("make", TABULAR)
@pytest.mark.parametrize("huge", [1e22, -1e39])
def test_a_huge_value_is_an_anomaly_and_spoils_nothing(make, huge):
    x = rows()[0].astype(float)
    x[0, 0] = huge
    detector = AnomalyDetector(make, contamination=0.1, epochs=2, random_state=0).fit(x)
    assert np.isfinite(detector.decision_scores_).all()
    assert np.isfinite(detector.decision_function(x)).all()
    assert detector.labels_.sum() == 16


def test_rotations_have_36_views():
    torch.manual_seed(0)
    backbone = Rotations(1, width=4)
    images = torch.rand(3, 1, 12, 12)
    views = backbone._views(images)
    assert views.shape == (36, 3, 1, 12, 12)
    middle = views[4::9]  # without a shift
    assert all(torch.equal(middle[k], torch.rot90(images, k, (-2, -1))) for k in range(4))
    detector = AnomalyDetector(Rotations, contamination=0.1, epochs=1, batch_size=8, random_state=0)
    assert np.ptp(detector.fit(images.repeat(4, 1, 1, 1).numpy()).decision_scores_) > 0
    pair = Rotations(1, members=2, width=4).energies(images.expand(2, *images.shape))
    assert not torch.equal(*pair.clean)


@pytest.mark.parametrize("make", [AutoEncoder, NeuralTransformations, DeepSVDD])
@pytest.mark.parametrize("columns", [3, 8])
def test_rows_far_from_all_others_are_flagged(make, columns):
    x = np.random.default_rng(1).normal(size=(150, columns))
    detector = AnomalyDetector(make, contamination=0, random_state=0).fit(x)
    for shift in (4.0, 8.0, -8.0, 20.0, 8 * np.eye(columns)[0]):
        assert detector.predict(x + shift).mean() > 0.95
    assert detector.predict(x).sum() == 0


def test_an_auto_encoder_reconstructs_nothing_far_along_a_line():
    rng = np.random.default_rng(2)
    along = rng.normal(size=(1, 6))
    x = rng.normal(size=(150, 1)) * along + 0.1 * rng.normal(size=(150, 6))
    detector = AnomalyDetector(AutoEncoder, contamination=0, random_state=0).fit(x)
    for shift in (8, -8, 30):
        assert detector.predict(x + shift * along).mean() > 0.95


@pytest.mark.parametrize("make", [AutoEncoder, NeuralTransformations, DeepSVDD])
@pytest.mark.parametrize("kinds", [3, 5])
def test_a_new_category_scores_higher_than_known_ones(make, kinds):
    rng = np.random.default_rng(0)
    x = np.c_[rng.normal(size=(150, 2)), np.eye(kinds)[rng.integers(0, kinds, 150)]]
    new = x.copy()
    new[:, 2:] = 0
    detector = AnomalyDetector(make, contamination=0.05, random_state=0).fit(x)
    assert (detector.decision_function(new) < detector.decision_scores_).mean() < 0.3
