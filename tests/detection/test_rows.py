"""Detectors: one row has one label, whatever is scored with it, and whatever its units are."""

import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler
from torch import nn

from nbam_pyro.detection import (
    AnomalyDetector,
    AutoEncoder,
    DeepSVDD,
    Energies,
    Exact,
    GaussianMixture,
    InternalContrast,
    NeuralTransformations,
    Rotations,
    UnifiedObjective,
    Weights,
    estimate_rate,
    likely_rate,
    load_detector,
    save_detector,
    train_objective,
)
from nbam_pyro.detection.outlier_view import as_shares
from nbam_pyro.detection.backbones.base import Backbone, complement
from nbam_pyro.detection.rate_estimates import agreement
from nbam_pyro.detection.scaling import Range
from nbam_pyro.detection.scores import grain_of, settle, threshold_of
from nbam_pyro.errors import DataError
from nbam_pyro.exclusive import exclusive

TABULAR = [NeuralTransformations, InternalContrast, DeepSVDD, AutoEncoder, GaussianMixture]


def stuck(count=24, rows=200, columns=4):
    """Normal rows and identical far ones, as a sensor that is stuck writes them."""
    x = np.random.default_rng(0).normal(size=(rows, columns))
    x[:count] = 6.0
    return x


def contaminated(rows=150, columns=5):
    x = np.random.default_rng(0).normal(size=(rows, columns))
    x[:12] += 7
    return x


def quick(backbone, **settings):
    return AnomalyDetector(backbone, **{"epochs": 5, "random_state": 0} | settings)


# One row, one label.


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


# Ties.


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


@pytest.mark.parametrize("make", TABULAR)
@pytest.mark.parametrize("contamination", [0.1, 0.5, "auto", 0])
def test_where_all_rows_are_alike_nobody_is_flagged(make, contamination):
    x = np.ones((60, 4))
    detector = quick(make, contamination=contamination).fit(x)
    assert detector.labels_.sum() == detector.predict(x[:1]).sum() == 0
    far = np.array([[1.0, 9.0, 1.0, -5.0]])
    for method in ("linear", "unify"):
        assert np.isfinite(detector.predict_proba(np.r_[x, far], method=method)).all()
    assert np.isfinite(detector.predict_confidence(np.r_[x, far])).all()


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


def test_scores_in_shares_need_no_width():
    for method in ("linear", "unify"):
        for level in (0.0, 0.1, 1e300):
            found = as_shares(np.array([level, 2 * level + 1]), np.full(7, level), method=method)
            assert found.tolist() == [0.0, 1.0]


# The rate where nothing differs.


@pytest.mark.parametrize("make", [NeuralTransformations, AutoEncoder, DeepSVDD])
def test_where_nothing_differs_no_rate_is_told(make):
    step = np.arange(1.0, 101.0)
    for x in (np.ones((60, 4)), np.c_[step, step], np.zeros((50, 1))):
        detector = quick(make, epochs=30).fit(x)
        rate = detector.rate_
        assert (detector.contamination_, rate.low, rate.high) == (0.0, 0.0, 0.5)
        assert detector.labels_.sum() == 0


def test_agreement_that_is_the_same_everywhere_tells_nothing():
    same = torch.arange(100.0, dtype=torch.double).expand(10, 100)
    rates = np.repeat([0.05, 0.1, 0.15, 0.2, 0.3], 2)
    found = estimate_rate(Energies(same, -same), rates)
    assert (found.rate, found.low, found.high) == (0.0, 0.0, 0.5)
    assert (found.agreement["mean"] > 0.99).all()


def test_ties_agree_by_chance_and_not_by_row_number():
    equal = torch.ones(3, 40)
    assert agreement(Energies(equal, equal), 0.1) == pytest.approx([0.0, 0.0, 0.0])
    # Two rows are above, of the other places chance decides: 2 + 36 * (2/36)^2 of 4 are shared.
    some = equal.clone()
    some[:, [3, 17]] = 2.0
    shared = (2 + 38 * (2 / 38) ** 2) / 4
    expected = (shared - 0.1) / 0.9
    assert agreement(Energies(some, -some), 0.1) == pytest.approx([expected] * 3)


def test_energies_that_are_not_finite_are_refused():
    bad = torch.ones(4, 30)
    bad[1, 7] = torch.nan
    for call in (lambda pair: estimate_rate(pair, np.repeat([0.1, 0.2], 2)), likely_rate):
        with pytest.raises(DataError, match="row 7 by member 1"):
            call(Energies(torch.ones(4, 30), bad))


# Offsets, scales and wild rows.


@pytest.mark.parametrize("make", TABULAR)
@pytest.mark.parametrize("offset", [1e6, 1e9, 1e12])
def test_offsets_cost_no_digits(make, offset):
    x = contaminated() + offset
    scaled = StandardScaler().fit_transform(x)
    one, other = (quick(make, contamination=0.1).fit(part) for part in (x, scaled))
    np.testing.assert_array_equal(one.labels_, other.labels_)
    np.testing.assert_allclose(one.decision_scores_, other.decision_scores_, rtol=1e-6)
    np.testing.assert_allclose(
        one.decision_function(x[:9]), other.decision_function(scaled[:9]), rtol=1e-6
    )


@pytest.mark.parametrize("make", TABULAR)
def test_units_do_not_matter(make):
    x = contaminated()
    unlike = x * [1e-9, 1e9, 1.0, 1e-9, 1e9] + [0.0, 1e12, -1e9, 1e-6, 0.0]
    scaled = StandardScaler().fit_transform(unlike)
    one, other = (quick(make, contamination=0.1).fit(part) for part in (unlike, scaled))
    np.testing.assert_array_equal(one.labels_, other.labels_)
    np.testing.assert_allclose(one.decision_scores_, other.decision_scores_, rtol=1e-6)


def test_values_that_their_type_cannot_tell_apart_are_refused_by_name():
    x = pd.DataFrame(contaminated(), columns=list("abcde"))
    for offset, scale in ((1e18, 1e3), (1e12, 1e-3), (1e9, 1e-6)):
        with pytest.raises(DataError, match="'c'"):
            quick(AutoEncoder).fit(x.assign(c=offset + scale * x["c"]))
    # As they are, rows are trained on in torch's default type.
    with pytest.raises(DataError, match=r"'d'.*scale='range'"):
        quick(AutoEncoder, scale=None).fit(x.assign(d=x["d"] + 1e7))
    with pytest.raises(DataError, match="scale='range'"):
        quick(Rotations).fit(np.random.default_rng(0).random((8, 1, 6, 6)) + 1e9)
    with pytest.raises(DataError, match="'b' has values that are further apart"):
        quick(AutoEncoder).fit(x.assign(b=np.where(np.arange(150) % 2, 1e308, -1e308)))


@pytest.mark.parametrize("make", TABULAR)
def test_the_default_type_may_be_float64(make, tmp_path):
    x = contaminated()
    single = quick(make, contamination=0.1).fit(x)
    torch.set_default_dtype(torch.float64)
    try:
        detector = quick(make, contamination=0.1).fit(x)
        assert quick(make).fit(x).rate_ is not None
        save_detector(detector, tmp_path / "detector")
        again = load_detector(tmp_path / "detector")
        np.testing.assert_array_equal(again.decision_function(x), detector.decision_scores_)
        np.testing.assert_array_equal(single.decision_function(x), single.decision_scores_)
    finally:
        torch.set_default_dtype(torch.float32)
    np.testing.assert_array_equal(detector.predict(x), detector.labels_)
    assert load_detector(tmp_path / "detector").labels_.sum() == 15


@pytest.mark.parametrize("wild", [99999.0, -999.0])
@pytest.mark.parametrize("count", [1, 5])
def test_wild_rows_do_not_decide_where_the_others_are(wild, count):
    x = np.random.default_rng(0).normal(size=(90, 3))
    spoilt = x.copy()
    spoilt[-count:, 1] = wild
    plain, after = Range.of(x), Range.of(spoilt)
    assert 0.8 < after.width[1] / plain.width[1] < 1.25
    np.testing.assert_array_equal(after.width[[0, 2]], plain.width[[0, 2]])


@pytest.mark.parametrize("make", [NeuralTransformations, AutoEncoder, DeepSVDD])
@pytest.mark.parametrize("wild", [99999.0, -999.0])
def test_one_wild_row_is_flagged_and_hides_no_other(make, wild):
    x = contaminated(90)
    x[50, 2] = wild
    odd = (np.arange(90) < 12) | (np.arange(90) == 50)
    detector = quick(make, contamination=13 / 90, epochs=100).fit(x)
    assert detector.labels_[50] == 1
    assert roc_auc_score(odd, detector.decision_scores_) > 0.9


@pytest.mark.parametrize("ones", [1, 2, 30])
def test_zeros_and_ones_keep_their_distance(ones):
    x = np.zeros((90, 2))
    x[:ones, 0] = 1.0
    x[:, 1] = 0.1 + 0.2
    x[::2, 1] = 0.3
    assert Range.of(x).width.tolist() == [1.0, 1.0]


# Far rows.


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


# Missing and infinite numbers.


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


def test_the_objective_refuses_what_would_become_nan():
    x = torch.rand(20, 5)
    objective = UnifiedObjective(5, weights=Weights())
    bad = x.clone()
    bad[3, 1] = torch.nan
    for call in (lambda rows: train_objective(objective, rows, epochs=1), objective.scores):
        with pytest.raises(DataError, match="row 3, column 1"):
            call(bad)
        with pytest.raises(DataError, match="float64"):
            call(x.double())
        with pytest.raises(DataError, match=r"\(N, 5\)"):
            call(x[:, :4])
    with pytest.raises(DataError, match="observed is 7 for row 2"):
        train_objective(objective, x, torch.tensor([-1, 0, 7] + 17 * [-1]), epochs=1)
    with pytest.raises(DataError, match="not finite"):
        train_objective(objective, x * 1e30, epochs=1)
    with pytest.raises(DataError, match="finite"):
        Weights(information=float("nan"))


# Threads.


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
