"""Scores: a row has one score and one label, whatever is scored with it."""

from functools import partial

import numpy as np
import pytest
import torch

from nbam_pyro.detection import (
    AutoEncoder,
    NeuralTransformations,
    Rotations,
)
from nbam_pyro.detection.scores import grain_of, settle
from nbam_pyro.detection.thresholds import threshold_of
from tests.detection.cases import TABULAR, contaminated, quick, stuck


@pytest.mark.parametrize("make", TABULAR)
@pytest.mark.parametrize("contamination", ["auto", 0, 0.1])
def test_a_row_has_one_score_and_one_label(make, contamination):
    for x in (stuck(), contaminated()):
        detector = quick(make, contamination=contamination, members=2).fit(x)
        alone = np.array([detector.decision_function(x[i : i + 1])[0] for i in range(len(x))])
        np.testing.assert_array_equal(alone, detector.decision_scores_)
        np.testing.assert_array_equal(detector.decision_function(x), detector.decision_scores_)
        np.testing.assert_array_equal(detector.decision_function(x[7::3]), alone[7::3])
        np.testing.assert_array_equal(detector.decision_function(x[::-1].copy()), alone[::-1])
        np.testing.assert_array_equal(detector.predict(x), detector.labels_)
        one_by_one = [detector.predict(x[i : i + 1])[0] for i in range(len(x))]
        np.testing.assert_array_equal(one_by_one, detector.labels_)


def test_equal_rows_have_equal_scores_wherever_they_stand():
    x = np.tile(contaminated(40), (7, 1))
    for make in TABULAR:
        scores = quick(make, contamination=0.1).fit(x).decision_scores_.reshape(7, 40)
        assert (scores == scores[0]).all()


def test_images_have_one_label_each():
    images = np.random.default_rng(0).random((12, 1, 8, 8)).astype(np.float32)
    detector = quick(partial(Rotations, width=4), contamination=0.25, epochs=1, members=2)
    detector.fit(images)
    alone = [detector.predict(images[i : i + 1])[0] for i in range(12)]
    assert alone == detector.labels_.tolist() == detector.predict(images).tolist()
    assert sum(alone) == 3


@pytest.mark.parametrize("make", [NeuralTransformations, AutoEncoder])
def test_a_view_for_scikit_learn_has_the_same_labels(make):
    x = contaminated()
    view = quick(make, contamination=0.1).fit(x).as_sklearn()
    alone = [view.predict(x[i : i + 1])[0] for i in range(len(x))]
    np.testing.assert_array_equal(np.array(alone) == -1, view.detector.labels_ == 1)
    np.testing.assert_array_equal(view.decision_function(x) < 0, view.predict(x) == -1)


def test_rounding_keeps_what_differs_and_nothing_else():
    rng = np.random.default_rng(0)
    values = torch.from_numpy(rng.lognormal(size=(3, 400)) * 10.0 ** rng.integers(-4, 8, (3, 400)))
    grain = grain_of(values)
    settled = settle(values, grain)
    assert torch.equal(settle(settled, grain), settled)
    noise = values * (1 + 1e-15 * torch.randn_like(values))
    assert (settle(noise, grain) == settled).double().mean() > 0.999
    assert ((settled - values).abs() <= 2e-8 * values.abs() + grain).all()
    assert settle(torch.zeros(1, 3), grain_of(torch.zeros(1, 3))).eq(0).all()
    tiny = torch.full((1, 3), 1e-200, dtype=torch.double)
    assert torch.allclose(settle(tiny, grain_of(tiny)), tiny, rtol=1e-6, atol=0)


@pytest.mark.parametrize("make", TABULAR)
@pytest.mark.parametrize("count", [21, 24, 50])
def test_a_stuck_sensor_is_flagged(make, count):
    """Rows that are all the same share a label: flagged where fewer than 20 rows are above them."""
    detector = quick(make, contamination=0.1, epochs=3).fit(stuck(count))
    scores, labels = detector.decision_scores_, detector.labels_
    assert np.ptp(scores[:count]) == 0
    flagged = (scores > scores[0]).sum() < 20
    assert labels[:count].tolist() == [int(flagged)] * count
    assert 20 <= labels.sum() <= 20 + count


@pytest.mark.parametrize(
    ("scores", "rate", "flagged"),
    [
        (np.arange(200.0), 0.1, 20),
        (np.arange(101.0), 0.1, 10),
        (np.r_[np.arange(176.0), np.full(24, 500.0)], 0.1, 24),  # ties above the rest
        (np.r_[np.arange(150.0), np.full(40, 500.0), 600 + np.arange(10.0)], 0.1, 50),
        (np.r_[np.zeros(150), np.arange(1.0, 51.0)], 0.4, 50),  # ties below the rest
        (np.r_[np.arange(50.0), np.full(150, 99.0)], 0.1, 0),  # more than half
        (np.r_[np.arange(40.0), np.full(150, 99.0), 100 + np.arange(10.0)], 0.2, 10),
        (np.r_[np.zeros(100), np.ones(100)], 0.1, 100),
        (np.r_[np.zeros(99), np.ones(101)], 0.1, 0),
        (np.ones(50), 0.2, 0),
        (np.arange(50.0), 0.0, 0),
        (np.array([1.0, 2.0]), 0.5, 1),
        (np.array([1.0, np.nextafter(1.0, 2.0)]), 0.5, 1),
    ],
)
def test_equal_scores_are_flagged_together(scores, rate, flagged):
    for order in (slice(None), slice(None, None, -1)):
        threshold = threshold_of(scores[order], rate)
        assert (scores > threshold).sum() == flagged
    without = len(np.unique(scores)) == len(scores)
    if without and flagged:
        assert threshold == pytest.approx(np.quantile(scores, 1 - rate))
