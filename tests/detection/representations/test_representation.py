"""The detector of rows in a representation without the nuisance."""

from functools import partial

import numpy as np
import pytest
import torch
from scipy.stats import chi2, ncx2
from sklearn.base import clone
from sklearn.metrics import roc_auc_score

from nbam_pyro.detection import Blind, Hard, Soft
from nbam_pyro.detection.representations import (
    ClassGaussians,
    Erasure,
    Independence,
    Representation,
    perceptron,
)
from nbam_pyro.errors import DataError, StoryError

LINEAR = partial(perceptron, widths=[4])


def rows(count, rng, *, rho=0.8, shift=0.0):
    """Rows with a semantic column, a strong nuisance column and two columns of noise."""
    y = rng.integers(0, 2, count)
    u = np.where(rng.random(count) < rho, y, 1 - y)
    x = np.c_[3 * (2 * y - 1), 8 * u, 0 * u, shift + 0 * u] + rng.normal(size=(count, 4))
    return x, y, u


@pytest.fixture(scope="module")
def contaminated():
    rng = np.random.default_rng(0)
    x, y, u = rows(900, rng)
    anomaly = np.arange(900) < 60
    x[anomaly, 2] += 12
    return x, y, u, anomaly


@pytest.fixture(scope="module")
def fitted(contaminated):
    x, y, u, _ = contaminated
    return Representation(LINEAR, epochs=15, lr=1e-2, random_state=0).fit(x, y, nuisance=u)


def test_it_finds_anomalies_and_not_rows_with_an_unusual_nuisance(contaminated, fitted):
    x, y, u, anomaly = contaminated
    assert fitted.labels_[anomaly].mean() > 0.9
    assert fitted.labels_[~anomaly].mean() < 0.03
    assert fitted.learned_.rate == pytest.approx(60 / 900, abs=0.03)
    assert fitted.energies(x).clean.shape == (900,)
    unusual = ~anomaly & (u != y)
    scores = fitted.decision_function(x)
    usual = scores[~anomaly & (u == y)]
    assert (
        roc_auc_score(np.r_[0 * usual, scores[unusual] * 0 + 1], np.r_[usual, scores[unusual]])
        < 0.6
    )
    assert fitted.accuracy_ > 0.95
    assert not fitted.probe_.readable
    assert (fitted.classify(x) == y).mean() > 0.95
    assert fitted.learned_.erased.removed == 1


def test_it_has_the_interface_of_a_detector(contaminated, fitted):
    x, *_ = contaminated
    scores = fitted.decision_function(x)
    # Each row has a score by a fit that has not seen it; the first of five scores new rows.
    assert 0.2 <= (scores == fitted.decision_scores_).mean() < 0.25
    assert np.corrcoef(scores, fitted.decision_scores_)[0, 1] > 0.95
    assert np.array_equal(
        np.r_[[fitted.decision_function(x[i : i + 1])[0] for i in range(5)]], scores[:5]
    )
    assert np.mean(fitted.predict(x) == fitted.labels_) > 0.97
    assert fitted.predict_proba(x).shape == (900, 2)
    assert str(fitted.verdict_)
    assert fitted.transform(x).shape == (900, 3)
    assert clone(fitted).removal == Erasure()


@pytest.mark.parametrize("score", ["max_logit", "density"])
def test_other_scores_and_assignments(contaminated, score):
    x, y, u, anomaly = contaminated
    verified = np.where(np.arange(900) < 20, 1, -1)
    detector = Representation(
        LINEAR,
        score=score,
        removal=None,
        weighted=False,
        assignment=Soft(),
        contamination=0.07,
        epochs=4,
        lr=1e-2,
        random_state=0,
    ).fit(x, y, nuisance=u, verified=verified)
    assert detector.labels_.mean() == pytest.approx(0.07, abs=0.01)
    assert detector.weights_ is None
    assert detector.probe_.linear > 0.95  # nothing was removed, and nothing is claimed
    assert detector.learned_.rate == 0.07
    if score == "density":
        assert detector.labels_[anomaly].mean() > 0.8


def test_the_same_seed_gives_the_same_scores(contaminated):
    x, y, u, _ = contaminated
    before = torch.random.get_rng_state()
    detector = Representation(LINEAR, epochs=2, assignment=Blind(), random_state=3)
    one = detector.fit(x, y, nuisance=u).decision_scores_
    assert np.array_equal(one, clone(detector).fit(x, y, nuisance=u).decision_scores_)
    assert torch.equal(before, torch.random.get_rng_state())


def test_scores_of_training_rows_are_out_of_sample():
    """In noise, a fit of few rows finds its own rows closer to their classes than others."""
    rng = np.random.default_rng(0)
    y, u = rng.integers(0, 2, (2, 300))
    x, new = rng.normal(size=(2, 300, 40))
    detector = Representation(
        partial(perceptron, widths=[64, 24]),
        removal=None,
        assignment=Blind(),
        contamination=0.1,
        epochs=30,
        lr=1e-2,
        random_state=0,
    ).fit(x, y, nuisance=u)
    inside, outside = detector.decision_function(x), detector.decision_function(new)
    assert np.median(inside) < 0.98 * np.median(outside)
    assert np.median(detector.decision_scores_) == pytest.approx(np.median(outside), rel=0.1)
    assert detector.predict(new).mean() == pytest.approx(0.1, abs=0.05)


def test_wrong_classes_are_latent():
    rng = np.random.default_rng(0)
    true, other = rng.integers(0, 2, (2, 1500))
    y = np.where(rng.random(1500) < 0.2, 1 - true, true)
    u = np.where(rng.random(1500) < 0.8, y, 1 - y)
    x = np.c_[6 * true, 6 * u, 0 * u] + rng.normal(size=(1500, 3))
    plain, latent = (
        Representation(
            partial(perceptron, widths=[3]),
            wrong_labels=wrong,
            assignment=Blind(),
            epochs=10,
            lr=1e-2,
            random_state=0,
        ).fit(x, y, nuisance=u)
        for wrong in (False, True)
    )
    assert plain.learned_.transition is None
    assert latent.learned_.transition == pytest.approx(np.array([[0.8, 0.2], [0.2, 0.8]]), abs=0.06)
    assert (latent.classify(x) == true).mean() > 0.98
    # A row between the classes is far from both, if the scatter within classes is the true one.
    between = np.c_[np.full(200, 3.0), 6 * other[:200], 0 * other[:200]]
    between += rng.normal(size=between.shape)
    truth = np.repeat([0, 1], [1500, 200])
    found = [
        roc_auc_score(truth, one.decision_function(np.r_[x, between])) for one in (plain, latent)
    ]
    assert found[1] > found[0] + 0.1


def test_energies_are_negative_log_densities():
    rng = np.random.default_rng(0)
    r = rng.normal(size=(400, 1)) + np.repeat([[0.0], [4.0]], 200, axis=0)
    fitted = ClassGaussians.of(r, np.repeat([0, 1], 200), rng.uniform(0.5, 2, 400))
    grid = np.linspace(-60, 60, 40_001)[:, None]
    for energy in fitted.energies(grid):
        assert np.trapezoid(np.exp(-energy.numpy()), grid[:, 0]) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize(
    ("delta", "row"),
    [(2, (0.8551, 0.8161, 0.7543, 0.6687)), (3, (0.9667, 0.9473, 0.9055, 0.8158))],
)
def test_mahalanobis_loses_power_with_each_direction_of_a_nuisance(delta, row):
    rng = np.random.default_rng(0)
    count = 40_000
    for directions, exact in zip((0, 1, 4, 16), row, strict=True):
        normal = rng.normal(size=(count, 1 + directions))
        odd = rng.normal(size=(count, 1 + directions))
        odd[:, 0] += delta
        scores = np.square(np.r_[normal, odd]).sum(1)
        auc = roc_auc_score(np.repeat([0, 1], count), scores)
        assert auc == pytest.approx(exact, abs=0.01)
        points = chi2.ppf((np.arange(2000) + 0.5) / 2000, 1 + directions)
        assert ncx2.sf(points, 1 + directions, delta**2).mean() == pytest.approx(exact, abs=1e-3)


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"score": "none"}, "score is"),
        ({"held_out": 0.0}, "held_out"),
        ({"epochs": 0}, "epochs"),
        ({"batch_size": 1}, "batch_size"),
        ({"lr": -1.0}, "lr"),
        ({"weight_decay": -1.0}, "weight_decay"),
        ({"contamination": 0.9}, "contamination"),
        ({"clip": 0.7}, "clip"),
        ({"encoder": lambda inputs: torch.nn.Flatten(0)}, "encoder returned"),
    ],
)
def test_wrong_settings_are_refused(contaminated, settings, match):
    x, y, u, _ = contaminated
    with pytest.raises(DataError, match=match):
        Representation(**{"encoder": LINEAR, "epochs": 1} | settings).fit(x, y, nuisance=u)


def test_missing_or_impossible_data_are_refused(contaminated):
    x, y, u, _ = contaminated
    detector = Representation(LINEAR, epochs=1)
    with pytest.raises(DataError, match="needs the class"):
        detector.fit(x)
    with pytest.raises(DataError, match="needs the class"):
        detector.fit(x, y)
    with pytest.raises(DataError, match="never occurs"):
        detector.fit(x, y, nuisance=y)
    with pytest.raises(DataError, match="X has 900 rows"):
        detector.fit(x, y[1:], nuisance=u)
    with pytest.raises(StoryError, match="only ranks rows"):
        clone(detector).set_params(assignment=Hard()).fit(x, y, nuisance=u)
    with pytest.raises(DataError, match="strength"):
        Independence(strength=-1.0)
