"""`attacked_auc` on detectors of all kinds: rows never get better, and the report is honest."""

import numpy as np
import pytest
import torch
from sklearn.ensemble import IsolationForest
from torch import nn

from nbam_pyro.detection import (
    AnomalyDetector,
    AutoEncoder,
    Blind,
    DeepSVDD,
    GaussianMixture,
    LikelihoodRatio,
    LogLikelihood,
    Mahalanobis,
    MaxLogit,
    MixedDetector,
    Rotations,
    Typicality,
)
from nbam_pyro.detection.attacks import TorchFunction, attacked_auc
from nbam_pyro.errors import DataError
from tests.detection.cases import rows

EPS = [0.05, 0.3]


def split():
    x, odd = rows(n=120, share=0.3, seed=1)
    return x, odd


class Gaussian(nn.Module):
    def __init__(self, middle):
        super().__init__()
        self.middle = nn.Parameter(torch.full((5,), middle))

    def forward(self, x):
        return -0.5 * (x - self.middle).square().sum(1)


def statistics():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 3)).eval()
    near, far = TorchFunction(Gaussian(0.0)), TorchFunction(Gaussian(1.0))
    return [
        Mahalanobis(rows()[0]),
        MaxLogit(TorchFunction(net)),
        LogLikelihood(near),
        LikelihoodRatio(near, far),
        Typicality(near, rows()[0]),
    ]


def check(report, x, odd):
    sign = np.where(odd, -1, 1)
    assert (sign * report.scores[0] >= sign * report.clean).all()
    assert (sign * report.scores[1] >= sign * report.scores[0]).all()
    assert report.clean_auroc >= report.auroc[0] >= report.auroc[1]
    assert np.abs(report.x - x).max() <= EPS[1] + 1e-6
    table = report.table
    assert (table["auroc"] <= table[["normals_only", "anomalies_only"]].min(axis=1) + 1e-12).all()
    assert table["false_alarms"].is_monotonic_increasing
    assert "without an attack" in str(report)
    assert next(one for one in report.checks if one.name == "every row").passed


@pytest.mark.parametrize("statistic", statistics(), ids=lambda one: type(one).__name__)
def test_statistics_are_attacked_by_gradients(statistic):
    x, odd = split()
    report = attacked_auc(statistic, x, odd, eps=EPS, steps=8, queries=60)
    assert report.by_gradients
    assert np.allclose(report.clean, statistic(x.astype(float)))
    assert report.auroc[1] < report.clean_auroc
    check(report, x, odd)


@pytest.mark.parametrize("make", [DeepSVDD, AutoEncoder, GaussianMixture])
@pytest.mark.parametrize("contamination", [0.1, "auto"])
def test_backbones_are_attacked_through_energies_below_their_ranks(make, contamination):
    x, odd = split()
    detector = AnomalyDetector(
        make, contamination=contamination, members=1, epochs=2, random_state=0
    ).fit(rows()[0])
    assert (len(detector.ranking_) > 0) == (contamination == "auto")
    report = attacked_auc(detector, x, odd, eps=EPS, steps=5, queries=20, checked=40)
    assert report.by_gradients
    assert np.array_equal(report.clean, detector.decision_function(x.astype(float)))
    assert np.array_equal(report.scores[1], detector.decision_function(report.x))
    assert report.threshold == detector.threshold_
    check(report, x, odd)


def test_an_undefended_network_of_images_is_broken_by_a_large_eps():
    rng = np.random.default_rng(0)
    normal = np.zeros((60, 1, 12, 12), np.float32)
    normal[:, :, 2:6, 2:10] = 0.8
    images = np.clip(normal + 0.1 * rng.random(normal.shape), 0, 1).astype(np.float32)
    odd = images[:20, :, ::-1, ::-1].copy()
    detector = AnomalyDetector(
        lambda channels, *, members: Rotations(channels, members=members, width=4),
        assignment=Blind(),
        contamination=0.0,
        members=1,
        epochs=12,
        lr=1e-2,
        random_state=0,
    ).fit(images[:40])
    x, y = np.concatenate([images[40:], odd]), np.arange(40) >= 20
    report = attacked_auc(
        detector,
        x,
        y,
        eps=[4 / 255, 64 / 255],
        bounds=(0, 1),
        steps=10,
        queries=30,
        checked=20,
    )
    assert report.clean_auroc > 0.6
    assert report.auroc[-1] <= 0.1
    assert (np.diff([report.clean_auroc, *report.auroc]) <= 0).all()
    assert report.x.min() >= 0
    assert report.x.max() <= 1


@pytest.mark.parametrize(
    "detector",
    [
        MixedDetector(random_state=0).fit(rows()[0]),
        IsolationForest(n_estimators=20, random_state=0).fit(rows()[0]),
        lambda x: np.abs(x).sum(1),
    ],
)
def test_a_detector_without_gradients_is_never_called_robust(detector):
    x, odd = split()
    report = attacked_auc(detector, x, odd, eps=EPS, queries=15, checked=30)
    assert not report.by_gradients
    assert "not attacked by gradients" in str(report)
    assert "robust" not in str(report)
    assert report.auroc[1] < report.clean_auroc
    check(report, x, odd)


def test_rows_that_fool_a_surrogate_are_tried():
    x, odd = split()
    surrogate = Mahalanobis(rows()[0])
    report = attacked_auc(
        lambda x: surrogate(x).round(1), x, odd, eps=EPS, queries=1, surrogates=[surrogate]
    )
    own = attacked_auc(surrogate, x, odd, eps=EPS)
    assert report.auroc == pytest.approx(own.auroc, abs=0.02)
    with pytest.raises(DataError, match="has no gradients"):
        attacked_auc(surrogate, x, odd, eps=EPS, surrogates=[MixedDetector().fit(x)])


def test_a_score_that_hides_its_gradients_is_reported():
    """The density is rounded to steps, so its gradient is 0 everywhere."""

    class Stepped(Gaussian):
        def forward(self, x):
            value = super().forward(x)
            return 0 * value + value.round().detach()

    x, odd = split()
    report = attacked_auc(LogLikelihood(TorchFunction(Stepped(0.0))), x, odd, eps=EPS)
    assert report.masked
    assert "may be masked" in str(report)
    failed = {one.name for one in report.checks if one.passed is False}
    assert "gradients" in failed


def test_a_score_that_jumps_along_a_line_is_reported():
    """The score has coarse steps, and a gradient as if it had none."""

    class Jumping(Gaussian):
        def forward(self, x):
            value = super().forward(x)
            return value + (16 * (value / 16).round() - value).detach()

    x, odd = split()
    report = attacked_auc(LogLikelihood(TorchFunction(Jumping(0.0))), x, odd, eps=EPS)
    failed = {one.name for one in report.checks if one.passed is False}
    assert "straight lines" in failed
    assert report.masked


def test_a_gradient_that_points_elsewhere_is_reported():
    class Wrong(Gaussian):
        def forward(self, x):
            value = super().forward(x)
            return 2 * value.detach() - value

    x, odd = split()
    report = attacked_auc(LogLikelihood(TorchFunction(Wrong(0.0))), x, odd, eps=EPS)
    assert "straight lines" in {one.name for one in report.checks if one.passed is False}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"y": np.zeros(120)}, "only one kind"),
        ({"y": np.arange(120)}, "y must have 1"),
        ({"y": np.arange(100) > 50}, "y has 100 labels"),
        ({"X": np.zeros(120)}, "X has shape"),
        ({"X": np.full((120, 5), np.nan)}, "missing"),
        ({"eps": []}, "eps is"),
        ({"eps": [-0.1]}, "eps is"),
        ({"bounds": (0, 1)}, "beyond the bounds"),
        ({"detector": 3}, "has no scores"),
    ],
)
def test_bad_input_is_refused(changed, message):
    x, odd = split()
    given = {"detector": lambda x: x.sum(1), "X": x, "y": odd, "eps": EPS} | changed
    with pytest.raises(DataError, match=message):
        attacked_auc(given.pop("detector"), given.pop("X"), given.pop("y"), **given)


@pytest.mark.parametrize(
    ("score", "words"),
    [
        (lambda x: np.where(np.arange(len(x)) == 0, np.nan, x[:, 0]), "score of row 0"),
        (lambda x: x[:, :1], "one for each"),
    ],
)
def test_scores_that_are_none_are_refused(score, words):
    x = np.random.default_rng(0).normal(size=(20, 2))
    with pytest.raises(DataError, match=words):
        attacked_auc(score, x, np.arange(20) >= 10, eps=[0.1], queries=5)


@pytest.mark.parametrize("unit", [[1.0, -1.0], [1.0, 1.0, 1.0], np.nan])
def test_a_wrong_unit_is_refused(unit):
    x = np.random.default_rng(0).normal(size=(20, 2))
    with pytest.raises(DataError, match="unit"):
        attacked_auc(lambda x: x[:, 0], x, np.arange(20) >= 10, eps=[0.1], unit=unit, queries=5)
