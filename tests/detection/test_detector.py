"""Detectors: the interface, and which settings and rows are refused."""

import functools

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import binom
from sklearn.base import clone
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from nbam_pyro.detection import (
    AnomalyDetector,
    AutoEncoder,
    Blind,
    DeepSVDD,
    Exact,
    GaussianMixture,
    Hard,
    InternalContrast,
    NeuralTransformations,
    Rotations,
    Soft,
    load_detector,
    save_detector,
)
from nbam_pyro.detection.energies import Prior, check_energies, energies_of
from nbam_pyro.errors import DataError, StoryError
from tests.detection.cases import TABULAR, contaminated, quick, rows


def test_warm_up_takes_at_most_half_of_the_epochs():
    x, _ = rows()
    scores = [
        AnomalyDetector(
            AutoEncoder, assignment=one, contamination=0.3, epochs=2, warm_up=2, random_state=0
        )
        .fit(x)
        .decision_scores_
        for one in (Blind(), Hard())
    ]
    assert not np.array_equal(*scores)


def test_a_posterior_and_a_learned_rate_need_densities():
    x, odd = rows()
    exact = AnomalyDetector(
        functools.partial(GaussianMixture, components=2),
        assignment=Exact(),
        contamination="auto",
        epochs=100,
        lr=3e-3,
        random_state=0,
    ).fit(x)
    assert roc_auc_score(odd, exact.decision_scores_) > 0.95
    assert 0.03 < exact.contamination_ < 0.25
    with pytest.raises(StoryError, match="arbitrary scale"):
        AnomalyDetector(assignment=Exact()).fit(x)
    with pytest.raises(StoryError, match="cannot learn how many"):
        check_energies(DeepSVDD(5), Soft(), learned=True)


def test_labelled_rows_make_it_deep_sad():
    x, odd = rows(share=0.2)
    verified = np.where(np.arange(len(x)) % 3 == 0, odd, -1)
    settings = {"assignment": Blind(), "epochs": 60, "lr": 3e-3}
    settings |= {"random_state": 0, "contamination": 0.1}
    others = verified == -1
    softly = AnomalyDetector(DeepSVDD, **settings).fit(x, verified=verified).decision_scores_
    assert roc_auc_score(odd[others], softly[others]) > 0.95
    published = functools.partial(DeepSVDD, far="inverse")
    alone = AnomalyDetector(published, **settings).fit(x).decision_scores_
    told = AnomalyDetector(published, **settings).fit(x, verified=verified).decision_scores_
    assert roc_auc_score(odd[others], told[others]) > 0.95
    apart = [np.mean(s[odd & others]) / np.mean(s[~odd & others]) for s in (told, alone)]
    assert apart[0] > apart[1]
    for wrong in (verified[:3], verified + 5):
        with pytest.raises(DataError, match="verified"):
            AnomalyDetector(DeepSVDD).fit(x, verified=wrong)


def test_conventions_of_pyod_and_of_scikit_learn():
    x, _ = rows()
    detector = AnomalyDetector(AutoEncoder, contamination=0.1, epochs=5, members=2, random_state=0)
    assert detector.fit_predict(x).tolist() == detector.labels_.tolist()
    assert detector.predict(x).tolist() == detector.labels_.tolist()
    labels, confidence = detector.predict(x, return_confidence=True)
    assert labels.shape == confidence.shape == (160,)
    assert ((confidence >= 0) & (confidence <= 1)).all()
    # By Perini et al.: more than n - k of n rows that are drawn again lie below it.
    scores, train = detector.decision_function(x), detector.decision_scores_
    n, k = len(train), int(detector.labels_.sum())
    below = (1 + (train[:, None] <= scores).sum(0)) / (2 + n)
    outlier = binom.sf(n - k, n, below)
    np.testing.assert_allclose(confidence, np.where(labels == 1, outlier, 1 - outlier), atol=1e-9)
    view = make_pipeline(StandardScaler(), clone(detector).as_sklearn()).fit(x)
    assert set(view.predict(x)) == {-1, 1}
    assert ((view.decision_function(x) < 0) == (view.predict(x) == -1)).all()
    assert np.array_equal(view.score_samples(x) < view[-1].offset_, view.predict(x) == -1)


@pytest.mark.parametrize("share", [0.0, 0.1])
def test_probabilities_share_and_labels_say_the_same(share):
    x, _ = rows(n=300, share=share)
    detector = AnomalyDetector(DeepSVDD, epochs=10, random_state=0).fit(x)
    probability = detector.predict_proba(x)
    assert probability.shape == (300, 2)
    np.testing.assert_allclose(probability.sum(1), 1)
    r = probability[:, 1]
    np.testing.assert_array_equal(r, detector.report_.rows["responsibility"])
    assert r.mean() == pytest.approx(detector.contamination_, abs=1e-12)
    np.testing.assert_array_equal(r > 0.5, detector.labels_ == 1)
    order = np.argsort(detector.decision_scores_, kind="stable")
    assert (np.diff(r[order]) >= 0).all()


def test_verified_rows_change_probabilities_by_their_score_alone():
    x, odd = rows(share=0.2)
    codes = np.where(np.arange(160) % 4 == 0, odd, -1)
    detector = AnomalyDetector(DeepSVDD, contamination=0.2, epochs=10, random_state=0)
    detector.fit(x, verified=codes)
    r, told = detector.predict_proba(x)[:, 1], detector.report_.rows["responsibility"]
    np.testing.assert_array_equal(r[codes < 0], told[codes < 0])
    np.testing.assert_array_equal(told[codes >= 0], codes[codes >= 0])
    assert len(np.unique(r[codes == 1])) > 1 or r[codes == 1].max() < 1


def test_members_are_averaged():
    x, _ = rows()
    detector = AnomalyDetector(DeepSVDD, contamination=0, epochs=2, members=3).fit(x)
    by_member = detector.energies(x).clean
    assert by_member.shape == (3, 160)
    assert np.allclose(by_member.mean(0), detector.decision_scores_)
    parts = energies_of(detector.backbone_, torch.rand(3, 10, 5), size=3)
    assert parts.clean.shape == (3, 10)


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"contamination": 0.7}, "contamination"),
        ({"contamination": "some"}, "contamination"),
        ({"scale": "log"}, "scale"),
        ({"contamination": None}, "contamination"),
        ({"members": 0}, "members"),
        ({"batch_size": 0}, "batch_size"),
        ({"lr": -1.0}, "lr"),
        ({"epochs": 1.5}, "epochs is 1.5; give a whole number"),
        ({"warm_up": "some"}, "warm_up"),
        ({"weight_decay": -1.0}, "weight_decay"),
        ({"backbone": functools.partial(NeuralTransformations, transforms=1)}, "transforms"),
        ({"backbone": Rotations}, "takes rows of 3"),
    ],
)
def test_settings_that_make_no_sense(settings, match):
    with pytest.raises(DataError, match=match):
        AnomalyDetector(**settings).fit(rows()[0])


def test_rows_that_cannot_be_used():
    x, _ = rows()
    detector = AnomalyDetector(AutoEncoder, contamination=0.1, epochs=1).fit(x)
    for bad in (x[:, :3], np.full_like(x, np.nan), x[0]):
        with pytest.raises(DataError):
            detector.decision_function(bad)
    with pytest.raises(DataError, match="takes rows of 1"):
        AnomalyDetector().fit(np.zeros((4, 1, 6, 6)))
    with pytest.raises(DataError, match="square images"):
        AnomalyDetector(Rotations, epochs=1).fit(np.zeros((4, 1, 6, 7)))
    with pytest.raises(DataError, match="cannot be shifted"):
        AnomalyDetector(Rotations, epochs=1).fit(np.zeros((4, 1, 1, 1)))
    with pytest.raises(DataError, match="contamination is 0"):
        AnomalyDetector(GaussianMixture, assignment=Exact(), contamination=0).fit(
            x, verified=np.arange(len(x)) < 3
        )
    with pytest.raises(DataError, match="not finite"):
        AnomalyDetector(contamination=0.1, epochs=1, scale=None).fit(x * np.float32(1e30))
    with pytest.raises(DataError, match="at least 3"):
        AnomalyDetector(InternalContrast).fit(x[:, :2])
    with pytest.raises(DataError, match="window is 4 and X has 4 features"):
        InternalContrast(4, window=4)
    with pytest.raises(DataError, match="rates of anomalies"):
        Prior([1.0])


def test_numbers_that_are_not_finite_are_refused_by_row_and_column():
    x = pd.DataFrame(contaminated(), columns=list("abcde"))
    detector = quick(AutoEncoder, contamination=0.1).fit(x)
    for bad in (np.nan, np.inf, -np.inf):
        wrong = x.copy()
        wrong.loc[17, "d"] = bad
        for call in (
            quick(AutoEncoder).fit,
            detector.decision_function,
            detector.predict,
            detector.energies,
            detector.predict_proba,
            detector.predict_confidence,
            detector.as_sklearn().score_samples,
        ):
            with pytest.raises(DataError, match="row 17, column 'd'"):
                call(wrong)
        with pytest.raises(DataError, match="row 17, column 3"):
            quick(AutoEncoder).fit(wrong.to_numpy())
    images = np.zeros((4, 1, 6, 6))
    images[2, 0, 3, 5] = np.nan
    with pytest.raises(DataError, match=r"row 2, place \(0, 3, 5\)"):
        quick(Rotations).fit(images)


@pytest.mark.parametrize("make", TABULAR)
@pytest.mark.parametrize("contamination", [0.1, 0.5, "auto", 0])
def test_where_all_rows_are_alike_nobody_is_flagged(make, contamination):
    x = np.ones((60, 4))
    detector = quick(make, contamination=contamination).fit(x)
    assert detector.labels_.sum() == detector.predict(x[:1]).sum() == 0
    far = np.array([[1.0, 9.0, 1.0, -5.0]])
    assert np.isfinite(detector.predict_proba(np.r_[x, far])).all()
    assert np.isfinite(detector.predict_confidence(np.r_[x, far])).all()


@pytest.mark.parametrize("make", TABULAR)
def test_the_default_type_may_be_float64(make, tmp_path):
    x = contaminated()
    single = quick(make, contamination=0.1).fit(x)
    torch.set_default_dtype(torch.float64)
    try:
        detector = quick(make, contamination=0.1).fit(x)
        assert 0 <= quick(make).fit(x).contamination_ <= 1
        save_detector(detector, tmp_path / "detector")
        again = load_detector(tmp_path / "detector")
        np.testing.assert_array_equal(again.decision_function(x), detector.decision_scores_)
        np.testing.assert_array_equal(single.decision_function(x), single.decision_scores_)
    finally:
        torch.set_default_dtype(torch.float32)
    np.testing.assert_array_equal(detector.predict(x), detector.labels_)
    assert load_detector(tmp_path / "detector").labels_.sum() == 15
