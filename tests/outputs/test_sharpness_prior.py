"""The prior of the sharpness: what is seen, its points and its weights."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nbam_pyro.outputs.sharpness_prior import FITTED
from nbam_pyro.outputs.sharpness_seen import SEEN, Seen, sharpened
from tests.outputs.cases import evidence, simulated


def seen_of(y, p):
    return Seen.of(torch.as_tensor(p).clamp_min(1e-6).log(), torch.as_tensor(y))


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 40), st.integers(2, 6), st.integers(0, 99), st.floats(0.1, 20.0))
def test_points_rise_and_weights_sum_to_one(n, k, seed, scale):
    y, p, _ = simulated(n, k, seed, scale=scale)
    seen = seen_of(y, p)
    assert seen.numbers.shape == (len(SEEN),)
    assert np.isfinite(seen.numbers).all()
    values, weights = FITTED.points(seen)
    assert (np.diff(values) >= 0).all()
    assert (values > 0).all()
    assert weights.sum() == pytest.approx(1)
    assert 0 < FITTED.right_weight(seen) <= 0.9


def test_sharpened_predictions_are_normalised_and_bounded():
    log_f, _, _ = evidence(100, 4, 0)
    for sharpness in (0.1, 1.0, 50.0):
        f = sharpened(log_f, sharpness).exp()
        assert f.sum(1).numpy() == pytest.approx(1.0)
        assert (f > 0.0005).all()


@pytest.mark.parametrize("power", [0.5, 2.0])
def test_the_power_that_fits_the_labels_is_found(power):
    log_f, true, _ = evidence(4000, 3, 1, sharpness=2.0)
    seen = Seen.of((log_f / power).log_softmax(-1), true)
    assert seen.log_power == pytest.approx(np.log(power), abs=0.1)


def test_doubtful_disagreements_speak_for_the_classifier_and_certain_ones_against_it():
    rng = np.random.default_rng(0)
    f = np.exp(1.5 * rng.normal(size=(2000, 3)))
    f /= f.sum(1, keepdims=True)
    difficult = (f.cumsum(1) > rng.random((2000, 1))).argmax(1)  # No label is wrong.
    y, p, _ = simulated(2000, scale=12.0, rate=0.3)  # Hardly a row is difficult.
    assert FITTED.right_weight(seen_of(difficult, f)) > 3 * FITTED.right_weight(seen_of(y, p))
    centre = FITTED.points(seen_of(y, p))[0][6]
    assert centre > 1.5 * np.exp(seen_of(y, p).log_power)
