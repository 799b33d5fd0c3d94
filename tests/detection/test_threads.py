"""Detectors in threads: scoring changes nothing, and fits wait for each other."""

import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch import nn

from nbam_pyro.detection import (
    Backbone,
    DeepSVDD,
    Energies,
    Exact,
    GaussianMixture,
    NeuralTransformations,
    UnifiedObjective,
    Weights,
    complement,
    load_detector,
    save_detector,
    train_objective,
)
from nbam_pyro.training.contexts import exclusive
from tests.detection.cases import TABULAR, contaminated, quick


class Noted(Backbone):
    """A backbone with batch normalisation that notes whether its mode is changed."""

    def __init__(self, inputs, *, members=1):
        super().__init__(members)
        self.inputs = inputs
        self.norm = nn.BatchNorm1d(inputs)
        self.map = nn.Linear(inputs, 3)
        self.changed = 0

    def train(self, mode=True):
        self.changed += 1
        return super().train(mode)

    def energies(self, x):
        distance = self.map(self.norm(x.flatten(0, 1))).square().sum(-1).unflatten(0, x.shape[:2])
        return Energies(distance, complement(distance))


def in_threads(call, items, workers=4):
    threads = torch.get_num_threads()
    with ThreadPoolExecutor(workers, initializer=lambda: torch.set_num_threads(threads)) as pool:
        return list(pool.map(call, items))


@pytest.mark.parametrize(
    ("make", "further"),
    [
        *((make, {"contamination": 0.1}) for make in TABULAR),
        (NeuralTransformations, {}),
        (GaussianMixture, {"assignment": Exact()}),
        (Noted, {"contamination": 0.1}),
    ],
)
def test_scoring_in_threads_is_scoring_one_after_the_other(make, further, tmp_path):
    x = contaminated()
    detector = quick(make, members=2, epochs=2, **further).fit(x)
    save_detector(detector, tmp_path / "detector")
    loaded = load_detector(tmp_path / "detector", allow=[__name__])
    parts = [x[k % 90 : k % 90 + 1 + 7 * (k % 3)] for k in range(200)]
    state = torch.get_rng_state()
    for one in (detector, loaded):
        modes = [module.training for module in one.backbone_.modules()]
        assert not any(modes)
        before = getattr(one.backbone_, "changed", 0)

        calls = (
            one.decision_function,
            one.predict,
            one.predict_proba,
            one.as_sklearn().score_samples,
            lambda part, one=one: np.stack([side.numpy() for side in one.energies(part)]),
        )

        def scored(k, calls=calls):
            return calls[k % len(calls)](parts[k])

        expected = [scored(k) for k in range(len(parts))]
        for found, known in zip(in_threads(scored, range(len(parts))), expected, strict=True):
            np.testing.assert_array_equal(found, known)
        assert [module.training for module in one.backbone_.modules()] == modes
        assert getattr(one.backbone_, "changed", 0) == before
    assert torch.equal(torch.get_rng_state(), state)


def test_fits_in_threads_are_fits_one_after_the_other():
    x = contaminated()
    settings = [(make, seed) for seed in range(2) for make in TABULAR[:4]]

    def fitted(setting):
        make, seed = setting
        return quick(make, contamination=0.1, epochs=2, random_state=seed).fit(x)

    state, filters = torch.get_rng_state(), list(warnings.filters)
    expected = [fitted(setting) for setting in settings]
    found = in_threads(fitted, settings)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one.decision_scores_, other.decision_scores_)
        assert one.history_ == other.history_
    assert torch.equal(torch.get_rng_state(), state)
    assert list(warnings.filters) == filters


def test_scores_do_not_change_while_another_detector_is_fitted():
    x = contaminated()
    detector = quick(NeuralTransformations, contamination=0.1).fit(x)
    expected = detector.decision_function(x)
    other = threading.Thread(target=lambda: quick(DeepSVDD, epochs=40).fit(x))
    other.start()
    while other.is_alive():
        np.testing.assert_array_equal(detector.decision_function(x), expected)
    other.join()


def test_objectives_in_threads_are_trained_one_after_the_other():
    x = torch.as_tensor(contaminated()).float()

    def trained(seed):
        with exclusive(), torch.random.fork_rng():
            torch.manual_seed(seed)
            objective = UnifiedObjective(5, weights=Weights())
            history = train_objective(objective, x, epochs=3)
        return objective.scores(x), history

    for found, expected in zip(in_threads(trained, range(4)), map(trained, range(4)), strict=True):
        assert torch.equal(found[0], expected[0])
        assert found[1] == expected[1]
