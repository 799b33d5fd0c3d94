"""Fits with verified rows: they enter training, and every posterior agrees with them."""

import warnings

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from nbam_pyro import LabelFlip, Verified, fit, responsibilities, to_datatree, transition_matrix
from nbam_pyro.errors import CannotTellWarning, DataError, StoryError
from nbam_pyro.inference import (
    CrossFit,
    Joint,
    Reinitialise,
    RobustStart,
    WarmUp,
    contaminated_share,
    log_marginals,
    occam_penalties,
    predict,
    switch_draws,
    switch_map,
    true_label_posterior,
)
from nbam_pyro.models import (
    BernoulliLikelihood,
    BetaSwitch,
    LatentSwitch,
    NormalLikelihood,
    UniformLabels,
    UniformRange,
    mlp,
    robust_regression,
)
from nbam_pyro.testing import verified_rows
from nbam_pyro.verified import NOTHING
from tests.cases import ThreeStates, WithoutVerified
from tests.rows import FEATURES

# Fits of one or two epochs without anchors may collapse.
untrained = pytest.mark.filterwarnings("ignore::nbam_pyro.errors.CannotTellWarning")


def mistaken_digits(rate=0.65, per_class=8, seed=0):
    """Return ones, fives and sixes, where most fives have the label six and most sixes five."""
    x, truth = load_digits(return_X_y=True)
    kept = np.isin(truth, [1, 5, 6])
    x, truth = (x[kept] / 16).astype(np.float32), np.searchsorted([1, 5, 6], truth[kept])
    rng = np.random.default_rng(seed)
    y, true_label = truth.copy(), np.full(len(truth), -1)
    for one, other in ((1, 2), (2, 1)):
        rows = rng.permutation(np.flatnonzero(truth == one))
        y[rows[: round(rate * len(rows))]] = other
        true_label[rng.choice(rows, per_class, replace=False)] = one
    return x, y, truth, Verified.of(y, true_label=true_label)


STEPS = [
    CrossFit(folds=2, warm_up=WarmUp(epochs=15)),
    Reinitialise(),
    WarmUp(),
    Joint(epochs=25, guide_lr=0.0, spread_lr=0.0),
]


def test_a_few_true_labels_give_a_mutual_pair_its_names():
    """16 of 363 rows are verified; without them the two classes exchange their names."""
    x, y, truth, verified = mistaken_digits()
    pair, outcomes = truth > 0, []
    for known in (NOTHING, verified):
        torch.manual_seed(0)
        fitted = fit(LabelFlip(mlp(64, 3), 3), (x, y), steps=STEPS, verified=known)
        right = (predict(fitted, x).argmax(1) == truth)[pair].mean()
        flags = ((responsibilities(fitted, x, y, verified=known) > 0.5) == (y != truth))[pair]
        outcomes.append((right, flags.mean(), transition_matrix(fitted).mean[1, 1]))
    (without, *_), (right, flags, diagonal) = outcomes
    assert without < 0.2
    assert right > 0.9
    assert flags > 0.9
    assert diagonal < 0.5
    assert fitted.collapse.verified_accuracy > 0.8  # computed without the 16 verified rows
    r = responsibilities(fitted, x, y, verified=verified)
    switch = verified.switch(torch.as_tensor(y)).numpy()
    assert (r[switch >= 0] == switch[switch >= 0]).all()


@pytest.fixture(scope="module")
def fitted():
    torch.manual_seed(0)
    x, y = torch.randn(60, FEATURES), torch.arange(60) % 3
    story = LabelFlip(nn.Linear(FEATURES, 3), 3)
    verified = verified_rows(story, y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CannotTellWarning)
        return fit(story, (x, y), steps=[Joint(epochs=2)], verified=verified), x, y, verified


def test_every_posterior_agrees_with_verified_rows(fitted):
    one, x, y, verified = fitted
    switch, label = verified.switch(y).numpy(), verified.label(y).numpy()
    seen, unseen, named = switch >= 0, ~verified.known.numpy(), label >= 0
    r = responsibilities(one, x, y, verified=verified)
    assert (r[seen] == switch[seen]).all()
    assert (r[unseen] == responsibilities(one, x, y)[unseen]).all()
    corrected = true_label_posterior(one, x, y, verified=verified)
    assert (corrected[named, label[named]] == 1).all()
    assert corrected.sum(1) == pytest.approx(1)
    wrong = (verified.contaminated == 1).numpy() & ~named
    assert (corrected[wrong, y[wrong]] == 0).all()
    assert (corrected[wrong].max(1) < 1).all()  # the other classes share the probability
    draws = switch_draws(one, x, y, num_draws=3, verified=verified)
    assert (draws[:, seen] == (switch[seen] == 1)).all()
    assert (switch_map(one, x, y, verified=verified)[seen] == (switch[seen] == 1)).all()
    observed = log_marginals(one, x, y, num_draws=5, verified=verified)
    free = log_marginals(one, x, y, num_draws=5)
    assert (observed[:, seen] < free[:, seen]).all()
    assert np.array_equal(observed[:, unseen], free[:, unseen])
    assert np.isfinite(occam_penalties(one, x, y, verified=verified)).all()
    every = Verified.of(y, contaminated=(torch.arange(60) < 15).long())
    share = contaminated_share(one, x, y, verified=every)
    assert share.low == share.mean == share.high == pytest.approx(0.25)


def test_a_datatree_holds_the_verified_rows(fitted):
    one, x, y, verified = fitted
    tree = to_datatree(one, x, y, num_draws=5, verified=verified)
    assert (tree.constant_data["verified_true_label"] == verified.true_label.numpy()).all()
    expected = log_marginals(one, x, y, num_draws=5, verified=verified)
    assert np.array_equal(tree.log_likelihood_in_sample["y"][0], expected[:, ~one.held_out])
    assert "verified_contaminated" not in to_datatree(one, x, y, num_draws=5).constant_data


@untrained
def test_data_of_any_kind_are_fitted_with_verified_rows():
    """Fits to tensors, pairs and loaders use the same rows in the same order."""
    y = torch.arange(30) % 3
    x = 2 * nn.functional.one_hot(y, FEATURES) + torch.randn(30, FEATURES)
    verified = Verified.of(y, true_label=(y + 1) % 3)
    pairs = [(x[i], int(y[i])) for i in range(30)]
    predictions = []
    for data in ((x, y), TensorDataset(x, y), pairs, DataLoader(pairs, batch_size=64)):
        torch.manual_seed(0)
        story = LabelFlip(nn.Linear(FEATURES, 3), 3)
        one = fit(story, data, steps=[WarmUp(epochs=40, lr=0.1)], verified=verified, held_out=0)
        predictions.append(predict(one, x))
    for other in predictions:
        assert other == pytest.approx(predictions[0], abs=1e-4)
    assert (predictions[0].argmax(1) == (y + 1).numpy() % 3).mean() > 0.8  # the verified labels


@untrained
@pytest.mark.parametrize("objective", ["closed", "elbo"])
def test_warming_up_leaves_out_rows_that_are_verified_as_wrong(objective):
    """Half of the labels are verified as wrong without a true label; training ignores them."""
    x = torch.randn(80, FEATURES)
    truth = (x[:, 0] > 0).long()
    wrong = torch.arange(80) % 2
    y = torch.where(wrong == 1, 1 - truth, truth)
    steps = [WarmUp(epochs=40, lr=0.1), Joint(epochs=3)]
    torch.manual_seed(0)
    one = fit(
        LabelFlip(nn.Linear(FEATURES, 2), 2),
        (x, y),
        steps=steps,
        objective=objective,
        verified=Verified.of(y, contaminated=wrong),
    )
    assert (predict(one, x).argmax(1) == truth.numpy()).mean() > 0.9


def line(n=80):
    torch.manual_seed(0)
    x = torch.linspace(-1, 1, n)[:, None]
    y = 2 * x[:, 0] + 0.1 * torch.randn(n)
    return x, y


def test_verified_measurements_determine_the_clean_line():
    """Most rows lie on the wrong one of two lines; verified rows determine the clean line."""
    x, y = line(120)
    wrong = torch.arange(120) % 5 < 3  # most of them
    y = y + 4.0 * wrong
    contaminated = torch.where(torch.arange(120) % 4 == 0, wrong.long(), -1)
    verified = Verified.of(y, contaminated=contaminated)
    one = fit(robust_regression(nn.Linear(1, 1), y), (x, y), verified=verified)
    r = responsibilities(one, x, y, verified=verified)
    assert ((r > 0.5) == wrong.numpy()).all()
    assert one.collapse.contamination > 0.5
    assert not one.collapse.collapsed  # the verified rows agree with it
    start = RobustStart(epochs=5)
    fit(robust_regression(nn.Linear(1, 1), y), (x, y), steps=[start], verified=verified)


def test_a_measurement_outside_the_range_may_be_verified():
    x, y = line()
    story = LatentSwitch(
        switch=BetaSwitch(),
        clean=NormalLikelihood(nn.Linear(1, 1)),
        anomaly=UniformRange(-4.0, 4.0),
    )
    one = fit(story, (x, y), steps=[Joint(epochs=2)], held_out=0)
    far = torch.tensor([9.0, 9.0])
    for codes in ([0, 1], [1, 0]):
        verified = Verified.of(far, contaminated=codes)
        assert responsibilities(one, x[:2], far, verified=verified).tolist() == codes


@untrained
def test_elements_of_a_row_are_verified_one_by_one():
    torch.manual_seed(0)
    x = torch.randn(40, FEATURES)
    tags = (x[:, :2] > 0).float()
    story = LatentSwitch(
        switch=BetaSwitch(shape=(2,)),
        clean=BernoulliLikelihood(nn.Linear(FEATURES, 2), multi_label=True),
        anomaly=UniformLabels(2, shape=(2,)),
        dims=("label",),
    )
    verified = verified_rows(story, tags)
    one = fit(story, (x, tags), steps=[Joint(epochs=3)], verified=verified)
    r = responsibilities(one, x, tags, verified=verified)
    seen = verified.known.numpy()
    assert (r[seen] == verified.contaminated.numpy()[seen]).all()
    pixels, labels = torch.randn(12, 2, 3, 3), torch.randint(2, (12, 3, 3))
    segmented = LabelFlip(nn.Conv2d(2, 2, 1), 2, dims=("height", "width"))
    known = verified_rows(segmented, labels)
    once = WarmUp(epochs=1)
    steps = [CrossFit(folds=2, warm_up=once, epochs=1), once, Joint(epochs=1)]
    one = fit(segmented, (pixels, labels), steps=steps, verified=known)
    r = responsibilities(one, pixels, labels, verified=known)
    switch = known.switch(labels)
    assert (r[switch >= 0] == switch[switch >= 0].numpy()).all()


@untrained
def test_a_users_own_story_takes_verified_rows_if_it_has_the_argument():
    x, y = torch.randn(30, FEATURES), torch.arange(30) % 3
    nothing, something = Verified.of(y), Verified.of(y, contaminated=torch.arange(30) % 2)
    one = fit(WithoutVerified(), (x, y), steps=[Joint(epochs=1)], verified=nothing)
    assert one.story is not None
    with pytest.raises(StoryError, match=r"WithoutVerified.forward .* observe_verified"):
        fit(WithoutVerified(), (x, y), steps=[Joint(epochs=1)], verified=something)
    with pytest.raises(StoryError, match=r"WithoutVerified.forward .* observe_verified"):
        responsibilities(one, x, y, verified=something)
    with_verified = fit(ThreeStates(), (x, y), steps=[Joint(epochs=2)], verified=something)
    r = responsibilities(with_verified, x, y, num_draws=5, verified=something)
    assert r.tolist() == (np.arange(30) % 2).tolist()


def test_mistakes_in_scoring_are_named(fitted):
    one, x, y, verified = fitted
    for score in (responsibilities, log_marginals):
        with pytest.raises(DataError, match=r"expected integers .* \(5,\)"):
            score(one, x[:5], y[:5], verified=verified)
    unknown = torch.full((1,), -1)
    with pytest.raises(DataError, match="not one of the 3 classes"):
        true_label_posterior(one, x[:1], y[:1], verified=Verified(unknown, unknown + 4))
