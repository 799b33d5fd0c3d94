"""The estimators as their users meet them."""

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import make_blobs
from sklearn.model_selection import GridSearchCV, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from nbam_pyro import Beta, NBAMClassifier, NBAMRegressor
from nbam_pyro.errors import DataError
from nbam_pyro.inference import CrossFit, Joint, RobustStart, WarmUp, transition_matrix

collapses = pytest.mark.filterwarnings("ignore::nbam_pyro.errors.CannotTellWarning")
QUICK = [WarmUp(epochs=15, lr=1e-2), Joint(epochs=5, guide_lr=1e-3)]
QUICK_REGRESSION = [RobustStart(epochs=10, lr=1e-2), Joint(epochs=15, lr=1e-2)]


def blobs(n=240, seed=0):
    """Three separated classes named by texts; some ants are called bees."""
    x, truth = make_blobs(n, centers=4 * np.eye(3, 4), cluster_std=1.0, random_state=seed)
    names = np.array(["ant", "bee", "cat"])[truth]
    flipped = (truth == 0) & (np.random.default_rng(seed).random(n) < 0.3)
    return x, np.where(flipped, "bee", names), names


def line(n=200, share=0.15, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, (n, 2))
    wrong = rng.random(n) < share
    return x, x @ [3.0, -2.0] + 0.1 * rng.normal(size=n) + 8.0 * wrong, wrong


@pytest.fixture(scope="module")
def classifier():
    x, y, truth = blobs()
    return NBAMClassifier(random_state=0).fit(x, y), x, y, truth


@pytest.fixture(scope="module")
def regressor():
    x, y, wrong = line()
    return NBAMRegressor(random_state=0).fit(x, y), x, y, wrong


def shares_agree(model, truth):
    """The share of these rows is their mean responsibility; the rate of new rows is near it."""
    assert model.contamination_ == pytest.approx(model.responsibility_.mean(), abs=1e-6)
    low, high = model.contamination_interval_
    assert low <= model.contamination_ <= high
    low, high = model.population_rate_interval_
    assert low < truth < high
    assert low < model.population_rate_ < high


def test_a_classifier_names_the_wrong_labels(classifier):
    model, x, y, truth = classifier
    assert ((model.responsibility_ > 0.5) == (y != truth)).mean() > 0.97
    assert (model.predict(x) == truth).mean() > 0.97
    assert model.classes_.tolist() == ["ant", "bee", "cat"]
    assert model.contamination_ == pytest.approx((y != truth).mean(), abs=0.03)
    shares_agree(model, (y != truth).mean())
    assert "ant" in str(model.verdict_) or model.verdict_.level == "identified"
    assert model.transition_matrix_[0, 1] == pytest.approx(0.3, abs=0.12)
    assert model.transition_matrix_.sum(1) == pytest.approx(1)
    assert np.diag(model.flip_matrix_).tolist() == [0, 0, 0]
    assert model.predict_proba(x).dtype == np.float64
    assert np.array_equal(model.responsibility_, model.fit_.training_rows.responsibility)
    alone = model.responsibility(x, y) > 0.5  # by the fitted network, which has seen the labels
    assert (alone == (model.responsibility_ > 0.5)).mean() > 0.97
    assert transition_matrix(model.fit_).mean == pytest.approx(model.transition_matrix_)


def test_a_regressor_names_the_wrong_measurements(regressor):
    model, x, y, wrong = regressor
    assert ((model.responsibility_ > 0.5) == wrong).mean() > 0.99
    clean = x @ [3.0, -2.0]
    assert np.sqrt(((model.predict(x) - clean) ** 2).mean()) < 0.4
    assert model.contamination_ == pytest.approx(wrong.mean(), abs=0.03)
    shares_agree(model, wrong.mean())
    assert model.verdict_ == model.fit_.verdict
    assert model.responsibility(x, y) == pytest.approx(model.responsibility_, rel=1e-4)


@collapses
def test_unlabelled_rows_inform_nothing_and_have_their_prior(classifier):
    _, x, y, _ = classifier
    model = NBAMClassifier(steps=QUICK, random_state=0)
    alone = model.fit(x[:200], y[:200]).predict_proba(x)
    with_unlabelled = y.astype(object)
    with_unlabelled[200:] = [None, np.nan] * 20
    assert np.array_equal(model.fit(x, with_unlabelled).predict_proba(x), alone)
    prior = model.responsibility_[200:]
    assert prior == pytest.approx(model.responsibility(x[200:], [None] * 40))


def test_the_prior_of_a_row_is_that_of_its_class(classifier):
    model, x, _, truth = classifier
    prior = model.responsibility(x, [None] * len(x))
    assert prior[truth == "ant"].mean() == pytest.approx(0.3, abs=0.12)
    assert prior[truth == "cat"].mean() < 0.1


def test_measurements_may_be_missing():
    x, y, _ = line(120)
    y[100:] = np.nan
    model = NBAMRegressor(steps=QUICK_REGRESSION, random_state=0).fit(x, y)
    assert np.ptp(model.responsibility_[100:]) < 1e-12  # one rate for all


def test_zero_weight_is_removal_and_equal_weights_change_nothing():
    x, y, _ = line(120)
    model = NBAMRegressor(steps=QUICK_REGRESSION, random_state=0)
    weights = np.r_[np.ones(100), np.zeros(20)]
    weighted = model.fit(x, y, sample_weight=weights).predict(x)
    assert np.array_equal(weighted, model.fit(x[:100], y[:100]).predict(x))
    double = model.fit(x[:100], y[:100], sample_weight=np.full(100, 2.0)).predict(x)
    assert not np.array_equal(double, weighted)  # twice the data against the same prior


@collapses
def test_class_weights_are_weights_of_labels():
    x, y, _ = blobs(90)
    sizes = {name: (y == name).sum() for name in np.unique(y)}
    balanced = NBAMClassifier(class_weight="balanced", steps=QUICK, random_state=0).fit(x, y)
    by_hand = np.array([len(y) / (3 * sizes[name]) for name in y])
    weighted = NBAMClassifier(steps=QUICK, random_state=0).fit(x, y, sample_weight=by_hand)
    assert balanced.predict_proba(x) == pytest.approx(weighted.predict_proba(x), abs=1e-5)


@collapses
@pytest.mark.parametrize(
    ("contamination", "expected"), [(0.2, 0.2), (Beta(2, 18), 0.1), ((2, 18), 0.1)]
)
def test_contamination_sets_the_prior(contamination, expected):
    x, y, _ = line(60)
    model = NBAMRegressor(contamination=contamination, steps=QUICK_REGRESSION).fit(x, y)
    assert model.fit_.story.priors()["contamination"].mean.item() == pytest.approx(expected)
    x, y, _ = blobs(60)
    labels = NBAMClassifier(contamination=contamination, steps=QUICK).fit(x, y)
    assert labels.fit_.story.priors()["rate"].mean.tolist() == pytest.approx([expected] * 3)


@collapses
def test_a_strong_prior_is_heard(classifier):
    _, x, y, _ = classifier
    rare = NBAMClassifier(contamination=Beta(1, 10_000), random_state=0).fit(x, y)
    assert rare.contamination_ < 0.03


@collapses
def test_they_work_where_scikit_learn_puts_them():
    x, y, _ = blobs(120)
    model = NBAMClassifier(steps=QUICK, random_state=0)
    assert clone(model).get_params()["steps"] == QUICK
    pipeline = make_pipeline(StandardScaler(), model)
    search = GridSearchCV(pipeline, {"nbamclassifier__contamination": [None, Beta(1, 9)]}, cv=2)
    assert search.fit(x, y).best_score_ > 0.6
    out_of_sample = cross_val_predict(model, x, y, cv=2, method="predict_proba", n_jobs=2)
    assert out_of_sample.shape == (120, 3)


def test_an_estimator_travels_through_joblib(regressor, tmp_path):
    model, x, *_ = regressor
    joblib.dump(model, tmp_path / "model.joblib")
    assert np.array_equal(joblib.load(tmp_path / "model.joblib").predict(x), model.predict(x))


def test_a_network_of_ones_own_and_an_input_dependent_scale():
    x, y, _ = line(100)
    model = NBAMRegressor(
        network=torch.nn.Linear,
        input_dependent_scale=True,
        steps=QUICK_REGRESSION,
        random_state=0,
    ).fit(x, y)
    _, scale = model.fit_.story.clean.deviation_and_scale(torch.as_tensor(x))
    assert scale.shape == (100,)
    assert scale.std() > 0
    assert model.predict(x).shape == (100,)


@collapses
def test_image_arrays_are_fitted():
    x = np.random.default_rng(0).random((40, 1, 8, 8), dtype=np.float32)
    y = np.arange(40) % 2
    model = NBAMClassifier(steps=[WarmUp(epochs=1), Joint(epochs=1)], random_state=0).fit(x, y)
    assert model.predict(x).shape == (40,)
    assert model.responsibility(x[:3], y[:3]).shape == (3,)


def mistaken(n=160, seed=0):
    """Two species of which most are called by each other's name, and a third."""
    x, truth = make_blobs(n, centers=4 * np.eye(3, 4), cluster_std=1.0, random_state=seed)
    rng = np.random.default_rng(seed)
    names = np.array(["ant", "bee", "cat"])
    flipped = (truth < 2) & (rng.random(n) < 0.7)
    true_label = np.where(rng.random(n) < 0.2, names[truth], None)
    return x, names[np.where(flipped, 1 - truth, truth)], names[truth], true_label


def test_verified_true_labels_name_a_mutual_pair():
    x, y, truth, true_label = mistaken()
    steps = [
        CrossFit(folds=2, warm_up=WarmUp(epochs=15, lr=1e-2), epochs=20, lr=1e-2),
        Joint(epochs=40, lr=1e-2, guide_lr=1e-3),
    ]
    model = NBAMClassifier(steps=steps, random_state=0)
    assert (model.fit(x, y).predict(x) == truth).mean() < 0.6  # the names of two are exchanged
    model.fit(x, y, true_label=true_label)
    assert (model.predict(x) == truth).mean() > 0.9
    verified = true_label != None  # noqa: E711
    wrong = (y != truth).astype(float)
    assert np.array_equal(model.responsibility_[verified], wrong[verified])
    assert ((model.responsibility_ > 0.5) == (y != truth)).mean() > 0.9
    alone = model.responsibility(x, y)  # as of rows that nobody has looked at
    assert (alone != model.responsibility_)[verified].any()


@collapses
@pytest.mark.parametrize(
    "write",
    [
        lambda codes: [None if c < 0 else bool(c) for c in codes],
        lambda codes: np.where(codes < 0, np.nan, codes),
        lambda codes: pd.Series(np.where(codes < 0, None, codes), dtype="Int64"),
        lambda codes: [None if c < 0 else ["False", "TRUE"][c] for c in codes],
    ],
)
def test_a_verified_switch_is_written_in_many_ways(write):
    codes = np.arange(60) % 3 - 1
    x, y, _ = blobs(60)
    of_labels = NBAMClassifier(steps=QUICK).fit(x, y, contaminated=write(codes))
    x, y, _ = line(60)
    of_measurements = NBAMRegressor(steps=QUICK_REGRESSION).fit(x, y, contaminated=write(codes))
    for model in (of_labels, of_measurements):
        assert np.array_equal(model.responsibility_[codes >= 0], codes[codes >= 0])
        assert len(np.unique(model.responsibility_[codes < 0])) > 2


@collapses
def test_what_is_verified_goes_with_missing_targets_and_weights():
    x, y, truth = blobs(60)
    y, true_label = y.astype(object), truth.astype(object)
    y[50:], true_label[20:] = None, np.nan
    weights = np.r_[np.zeros(10), np.ones(50)]
    model = NBAMClassifier(steps=QUICK, random_state=0)
    model.fit(x, y, weights, true_label=true_label)
    assert np.array_equal(model.responsibility_[:20], (y != truth)[:20].astype(float))
    assert ((model.responsibility_[20:] > 0) & (model.responsibility_[20:] < 1)).all()
    alone = NBAMClassifier(steps=QUICK, random_state=0)
    alone.fit(x[10:50], list(y[10:50]), true_label=list(true_label[10:50]))
    assert np.array_equal(model.predict_proba(x), alone.predict_proba(x))
    numbers = (y == "bee") * 1.0
    of_floats = NBAMClassifier(steps=QUICK).fit(
        x, numbers, true_label=np.r_[numbers[:9], [np.nan] * 51]
    )
    assert np.array_equal(of_floats.responsibility_[:9], np.zeros(9))


def test_mistakes_in_scoring_are_named(classifier):
    model, x, y, _ = classifier
    with pytest.raises(DataError, match="did not occur in training, such as 'dog'"):
        model.responsibility(x[:2], ["ant", "dog"])
    with pytest.raises(DataError, match="do not match the classes"):
        model.responsibility(x[:2], [1, 2])
    with pytest.raises(DataError, match="expecting 4 features"):
        model.responsibility(x[:2, :3], y[:2])
    with pytest.raises(DataError, match="must agree"):
        model.responsibility(x[:2], y[:1])
