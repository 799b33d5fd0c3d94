"""Detectors: contracts of backbones and assignments, the interface, what is refused."""

import functools

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from nbam_pyro.detection import (
    AnomalyDetector,
    AutoEncoder,
    Blind,
    DeepSVDD,
    Energies,
    Exact,
    GaussianMixture,
    Hard,
    InternalContrast,
    NeuralTransformations,
    Refine,
    Rotations,
    Soft,
)
from nbam_pyro.detection.neural_transformations import log_not
from nbam_pyro.detection.rates import decide, estimate_rate
from nbam_pyro.detection.training import Prior, Schedule, check_energies, energies_of
from nbam_pyro.errors import DataError, StoryError
from nbam_pyro.inference.training import Options

TABULAR = [NeuralTransformations, InternalContrast, DeepSVDD, AutoEncoder, GaussianMixture]
ASSIGNMENTS = [Blind(), Refine(), Hard(), Soft(), Exact()]
energy = st.lists(st.floats(-5, 5), min_size=2, max_size=12)


def rows(n=160, share=0.1, seed=0):
    """Rows on a plane in five dimensions, and some that are not on it."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 2)) @ rng.normal(size=(2, 5)) + 0.05 * rng.normal(size=(n, 5))
    odd = np.arange(n) < round(share * n)
    x[odd] = rng.normal(size=(odd.sum(), 5)) * 1.5
    return x.astype(np.float32), odd


@pytest.mark.parametrize("make", TABULAR)
def test_a_backbone_has_two_energies_for_every_row_of_every_member(make):
    torch.manual_seed(0)
    x = torch.rand(2, 40, 5)
    backbone = make(5, members=2)
    backbone.start(x)
    first = backbone.energies(x)
    assert all(part.shape == (2, 40) and part.isfinite().all() for part in first)
    assert first.clean.std() > 0
    first.clean[1].sum().backward()  # members have nothing in common
    for parameter in backbone.parameters():
        assert not parameter.grad[0].any()
    other = torch.cat([x[:1], torch.rand(1, 40, 5)])
    assert torch.equal(backbone.energies(other).clean[0], first.clean[0])


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
    with pytest.raises(DataError, match="one member"):
        Rotations(1, members=2)


@given(energy, st.floats(-3, 3), st.sampled_from(ASSIGNMENTS))
def test_the_gradient_of_the_loss_is_the_weights(values, logit, assignment):
    clean = torch.tensor(values, requires_grad=True)
    anomalous = torch.tensor(values[::-1]).sin().requires_grad_()
    found = assignment(torch.tensor(logit), Energies(clean, anomalous))
    found.loss.backward()
    counted = (found.clean + found.anomalous > 0).sum().clamp_min(1)
    assert torch.allclose(clean.grad, found.clean / counted, atol=1e-5)
    assert torch.allclose(anomalous.grad, found.anomalous / counted, atol=1e-5)
    assert ((found.clean >= 0) & (found.anomalous >= 0)).all()


@given(energy, st.floats(0, 0.5))
def test_as_many_are_assigned_as_the_prior_expects(values, rate):
    pair = Energies(torch.tensor(values), -torch.tensor(values))
    prior = Prior(1, rate).logit
    assert Hard()(prior, pair).anomalous.sum() == round(torch.sigmoid(prior).item() * len(values))
    if rate == 0:
        assert Soft()(prior, pair).loss == Blind()(prior, pair).loss


@pytest.mark.parametrize("assignment", ASSIGNMENTS)
def test_what_is_observed_stays(assignment):
    pair = Energies(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([3.0, 2.0, 1.0]))
    found = assignment(torch.tensor(-1.0), pair, torch.tensor([1, 0, 0]))
    assert found.anomalous.tolist() == [1, 0, 0]
    assert found.clean.tolist() == [0, 1, 1]


def test_labels_weigh_eta():
    pair = Energies(torch.tensor([1.0, 2.0]), torch.tensor([3.0, 5.0]))
    told = torch.tensor([-1, 1])
    assert Blind(label_weight=2.0)(torch.tensor(0.0), pair, told).loss == (1 + 2 * 5) / 2
    with pytest.raises(DataError, match="label_weight"):
        Blind(label_weight=0.0)


@given(st.integers(2, 6), st.integers(0, 99))
def test_log_not_is_the_log_of_one_minus_p(count, seed):
    generator = torch.Generator().manual_seed(seed)
    log_p = torch.randn(count, count, generator=generator, dtype=torch.double).log_softmax(-1)
    assert torch.allclose(log_not(log_p), torch.log1p(-log_p.diagonal().exp()))


def test_both_energies_of_a_mixture_are_densities():
    torch.manual_seed(0)
    x = torch.randn(1, 200, 1, dtype=torch.double) * 2 + 5
    backbone = GaussianMixture(1, components=3).double()
    backbone.start(x)
    with torch.no_grad():
        backbone.precision.normal_(std=0.3)
        backbone.weight.normal_()
        grid = torch.linspace(-60, 70, 40001, dtype=torch.double)[None, :, None]
        for part in backbone.energies(grid):
            assert torch.trapezoid((-part[0]).exp(), grid[0, :, 0]) == pytest.approx(1, abs=1e-5)


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
    with pytest.raises(StoryError, match="units of their own"):
        AnomalyDetector(assignment=Exact()).fit(x)
    with pytest.raises(StoryError, match="cannot learn how many"):
        check_energies(DeepSVDD(5), Soft(), learned=True)


def test_labelled_rows_make_it_deep_sad():
    x, odd = rows(share=0.2)
    observed = np.where(np.arange(len(x)) % 3 == 0, odd, -1)
    settings = {"assignment": Blind(), "epochs": 60, "lr": 3e-3}
    settings |= {"random_state": 0, "contamination": 0.1}
    alone = AnomalyDetector(DeepSVDD, **settings).fit(x).decision_scores_
    told = AnomalyDetector(DeepSVDD, **settings).fit(x, observed=observed).decision_scores_
    others = observed == -1
    assert roc_auc_score(odd[others], told[others]) > 0.95
    apart = [np.mean(s[odd & others]) / np.mean(s[~odd & others]) for s in (told, alone)]
    assert apart[0] > apart[1]
    for wrong in (observed[:3], observed + 5):
        with pytest.raises(DataError, match="observed"):
            AnomalyDetector(DeepSVDD).fit(x, observed=wrong)


def test_conventions_of_pyod_and_of_scikit_learn():
    x, _ = rows()
    detector = AnomalyDetector(AutoEncoder, contamination=0.1, epochs=5, members=2, random_state=0)
    assert detector.fit_predict(x).tolist() == detector.labels_.tolist()
    assert detector.predict(x).tolist() == detector.labels_.tolist()
    labels, confidence = detector.predict(x, return_confidence=True)
    assert labels.shape == confidence.shape == (160,)
    assert ((confidence >= 0) & (confidence <= 1)).all()
    for method in ("linear", "unify"):
        probs = detector.predict_proba(x, method=method)
        assert probs.shape == (160, 2)
        assert np.allclose(probs.sum(1), 1)
        assert probs[:, 1].argmax() == detector.decision_scores_.argmax()
    with pytest.raises(DataError, match="method"):
        detector.predict_proba(x, method="guess")
    view = make_pipeline(StandardScaler(), clone(detector).as_sklearn()).fit(x)
    assert set(view.predict(x)) == {-1, 1}
    assert ((view.decision_function(x) < 0) == (view.predict(x) == -1)).all()
    assert np.array_equal(view.score_samples(x) < view[-1].offset_, view.predict(x) == -1)


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
    with pytest.raises(DataError, match="at least 3"):
        AnomalyDetector(InternalContrast).fit(x[:, :2])
    with pytest.raises(DataError, match="leaves no other"):
        InternalContrast(4, window=4)
    with pytest.raises(DataError, match="rate of anomalies"):
        Prior(1, 1.0)


def clustered(share, seed=0):
    """Rows near a curve, and, apart from it, others around one place."""
    rng = np.random.default_rng(seed)
    t = rng.uniform(0, 1, 400)
    x = np.c_[t, t**2, np.sqrt(t), 1 - t, t * (1 - t)] + 0.02 * rng.normal(size=(400, 5))
    odd = rng.random(400) < share
    x[odd] = [0.5, 0.8, 0.2, 0.7, 0.1] + 0.1 * rng.normal(size=(odd.sum(), 5))
    return x.astype(np.float32), odd


@pytest.mark.parametrize("share", [0.0, 0.15])
def test_the_rate_is_that_at_which_models_agree(share):
    x, odd = clustered(share)
    detector = AnomalyDetector(epochs=40, lr=3e-3, random_state=0).fit(x)
    estimate = detector.rate_
    assert estimate.low <= odd.mean() <= estimate.high
    assert detector.contamination_ == pytest.approx(estimate.rate)
    assert len(estimate.agreement) == 6
    if share:
        assert roc_auc_score(odd, detector.decision_scores_) > 0.95


def test_an_agreement_that_only_grows_says_nothing():
    rates = pd.Index([0.1, 0.2, 0.3], name="rate")
    for means, expected in (
        ([0.85, 0.9, 0.95], 0.0),
        ([0.3, 0.7, 0.5], 0.0),
        ([0.7, 0.95, 0.8], 0.2),
    ):
        found = decide(pd.DataFrame({"mean": means, "se": 0.01}, index=rates))
        assert found.rate == expected
        assert found.low <= found.rate <= found.high


def test_candidates_rise():
    x = torch.rand(20, 5)
    schedule, options = Schedule(epochs=1), Options()
    for wrong in ({"candidates": [0.1]}, {"candidates": [0.2, 0.1]}, {"members": 1}):
        with pytest.raises(DataError):
            estimate_rate(
                lambda m: DeepSVDD(5, members=m),
                Soft(),
                x,
                **wrong,
                schedule=schedule,
                options=options,
            )
