import os
import subprocess
import sys

import arviz_stats
import numpy as np
import pyro
import pytest
import torch
from lightning.pytorch import Callback
from pyro.infer.autoguide import AutoDelta, AutoMultivariateNormal
from torch import nn
from torch.utils.data import TensorDataset

from nbam_pyro import LabelFlip, fit, flip_matrix, responsibilities, to_datatree, transition_matrix
from nbam_pyro.errors import CollapseWarning, DataError, StoryError, SupportError, SupportWarning
from nbam_pyro.inference import (
    Anchors,
    Joint,
    Reinitialise,
    Restarts,
    Spread,
    WarmUp,
    log_marginals,
    occam_penalties,
    predict,
    switch_draws,
    switch_map,
    true_label_posterior,
)
from nbam_pyro.models import (
    BetaSwitch,
    LatentSwitch,
    NormalLikelihood,
    UniformRange,
    small_cnn,
    three_heads,
)
from tests.cases import FEATURES, ThreeStates, robust_line

SHORT = [
    Anchors(folds=2, warm_up=WarmUp(epochs=15, lr=1e-2)),
    Restarts(attempts=[[Reinitialise(), Joint(epochs=5, lr=1e-2, guide_lr=1e-3)]] * 2),
    Joint(epochs=10, guide_lr=1e-3, spread_lr=0.0),
    Spread(epochs=2),
]

# A fit of an epoch or two, without anchors, has no reason to be sound.
untrained = pytest.mark.filterwarnings("ignore::nbam_pyro.errors.CollapseWarning")


def blobs(n=240, rate=0.3, seed=0):
    """Three well separated classes; some of class 0 are labelled 1."""
    rng = np.random.default_rng(seed)
    truth = np.arange(n) % 3
    centres = 4 * np.eye(3, FEATURES)
    x = (centres[truth] + rng.normal(size=(n, FEATURES))).astype(np.float32)
    y = np.where((truth == 0) & (rng.random(n) < rate), 1, truth)
    return x, y, truth


def network():
    return nn.Sequential(nn.Linear(FEATURES, 16), nn.ReLU(), nn.Linear(16, 3))


@pytest.fixture(scope="module")
def blob_fit():
    torch.manual_seed(0)
    x, y, truth = blobs()
    return fit(LabelFlip(network(), 3), (x, y), steps=SHORT, batch_size=16), x, y, truth


def test_flags_are_right_on_separated_classes(blob_fit):
    fitted, x, y, truth = blob_fit
    r = responsibilities(fitted, x, y)
    assert ((r > 0.5) == (y != truth)).mean() > 0.96
    assert (predict(fitted, x).argmax(1) == truth).mean() > 0.95
    corrected = true_label_posterior(fitted, x, y)
    assert (corrected.argmax(1) == truth).mean() > 0.95
    assert 1 - corrected[np.arange(len(y)), y] == pytest.approx(r, abs=1e-5)
    assert transition_matrix(fitted).directions(above=0.1) == [(0, 1)]
    assert not fitted.collapse.collapsed


def test_matrices_have_ordered_intervals(blob_fit):
    fitted, x, *_ = blob_fit
    for estimate in (transition_matrix(fitted), flip_matrix(fitted)):
        assert (estimate.low <= estimate.mean + 1e-6).all()
        assert (estimate.mean <= estimate.high + 1e-6).all()
        assert estimate.mean.sum(1) == pytest.approx(np.ones(3), abs=1e-5)
        assert estimate.frame().shape == (9, 5)
    assert (np.diag(flip_matrix(fitted).mean) == 0).all()
    wide, narrow = transition_matrix(fitted, probability=0.99), transition_matrix(fitted)
    assert ((wide.high - wide.low) >= (narrow.high - narrow.low)).all()
    assert transition_matrix(fitted, x).mean == pytest.approx(narrow.mean)  # g = 0


def test_one_row_is_scored_as_it_is_among_many(blob_fit):
    fitted, x, y, _ = blob_fit
    many = responsibilities(fitted, x[:5], y[:5])
    for i in range(5):
        assert responsibilities(fitted, x[i : i + 1], y[i : i + 1]) == pytest.approx(
            many[i], rel=1e-3, abs=1e-6
        )
        assert predict(fitted, x[i : i + 1]).shape == (1, 3)
        assert switch_map(fitted, x[i : i + 1], y[i : i + 1]).shape == (1,)
        assert switch_draws(fitted, x[i : i + 1], y[i : i + 1], num_draws=2).shape == (2, 1)


def test_switch_draws_have_the_responsibilities_as_frequencies(blob_fit):
    fitted, x, y, _ = blob_fit
    x, y = x[:40], y[:40]
    r = responsibilities(fitted, x, y, num_draws=300)
    frequency = switch_draws(fitted, x, y, num_draws=300).mean(0)
    assert np.abs(frequency - r).max() < 4 * np.sqrt(0.25 / 300)
    sure = np.abs(r - 0.5) > 0.2
    assert (switch_map(fitted, x, y)[sure] == (r > 0.5)[sure]).all()
    likely = switch_draws(fitted, x, y, num_draws=20, most_probable=True)
    assert (likely.mean(0)[sure] > 0.5).tolist() == (r > 0.5)[sure].tolist()


@pytest.mark.parametrize("label", [-1, 3])
def test_an_unknown_label_is_named_when_scored(blob_fit, label):
    fitted, x, *_ = blob_fit
    for score in (responsibilities, log_marginals, occam_penalties, true_label_posterior):
        with pytest.raises(DataError, match="0 to 2"):
            score(fitted, x[:2], np.array([0, label]))
    with pytest.raises(DataError, match="must agree"):
        responsibilities(fitted, x[:2], np.array([0]))
    with pytest.raises(DataError, match="missing or infinite"):
        responsibilities(fitted, np.full((1, FEATURES), np.nan), np.array([0]))


def test_the_occam_penalty_charges_flagged_rows(blob_fit):
    fitted, x, y, truth = blob_fit
    occam = occam_penalties(fitted, x, y)
    assert (occam >= -1e-6).all()
    assert occam[y != truth].mean() > 5 * occam[y == truth].mean()


def test_datatree_serves_arviz(blob_fit, tmp_path):
    fitted, x, y, _ = blob_fit
    tree = to_datatree(fitted, x, y, num_draws=50, class_names=["a", "b", "c"])
    assert tree.posterior["transition_matrix"].dims[-2:] == ("true_label", "observed_label")
    matrix = tree.posterior["transition_matrix"].sel(true_label="a", observed_label="b")
    assert float(matrix.mean()) == pytest.approx(0.3, abs=0.12)
    assert tree.log_likelihood["y"].shape == (1, 50, len(y))
    assert tree.constant_data["held_out"].sum() == fitted.held_out.sum()
    expected = log_marginals(fitted, x, y, num_draws=50)
    assert np.allclose(tree.log_likelihood["y"][0], expected)
    summary = arviz_stats.summary(tree, var_names=["rate"], kind="stats")
    assert len(summary) == 3
    tree.to_netcdf(tmp_path / "posterior.nc", engine="h5netcdf")


@untrained
def test_the_same_seed_gives_the_same_fit_and_leaves_random_state_alone():
    x, y, _ = blobs(60)
    state = torch.get_rng_state()
    rs = []
    for _ in range(2):
        torch.manual_seed(1)
        story = LabelFlip(network(), 3)
        before = torch.get_rng_state()
        fitted = fit(story, (x, y), steps=[Joint(epochs=2)], seed=3)
        assert torch.equal(before, torch.get_rng_state())
        rs.append(responsibilities(fitted, x, y))
    torch.set_rng_state(state)
    assert np.array_equal(*rs)


WRITE = """
import os, sys, torch
from nbam_pyro import LabelFlip, fit
from nbam_pyro.inference import Joint
x, y = torch.randn(30, 4), torch.arange(30) % 3
fit(LabelFlip(torch.nn.Linear(4, 3), 3), (x, y), steps=[Joint(epochs=2)], folder=sys.argv[1])
"""


def test_a_fit_writes_only_into_the_folder_it_is_given_and_tidies_up(tmp_path):
    given, here, temporary = (tmp_path / name for name in ("given", "here", "temporary"))
    for folder in (given, here, temporary):
        folder.mkdir()
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", WRITE, str(given)],
        cwd=here,
        env=os.environ | {"TMPDIR": str(temporary)},
        check=True,
    )
    assert [*given.iterdir(), *here.iterdir(), *temporary.iterdir()] == []


def test_objectives_reach_the_same_fit():
    x, y, _ = blobs(90)
    rs = []
    for objective in ("closed", "elbo"):
        torch.manual_seed(2)
        steps = [Anchors(folds=2), WarmUp(), Joint(epochs=3, guide_lr=1e-3)]
        fitted = fit(LabelFlip(network(), 3), (x, y), steps=steps, objective=objective)
        rs.append(responsibilities(fitted, x, y))
    assert rs[0] == pytest.approx(rs[1], abs=0.03)  # the draws differ


@untrained
@pytest.mark.parametrize("family", [AutoMultivariateNormal, AutoDelta])
@pytest.mark.parametrize("objective", ["closed", "elbo"])
def test_another_guide_serves_both_objectives(family, objective):
    x, y, _ = blobs(60)
    story = LabelFlip(network(), 3)
    steps = [Restarts(attempts=[[Joint(epochs=1)]] * 2), Joint(epochs=2)]
    fitted = fit(story, (x, y), steps=steps, guide=family, objective=objective)
    assert isinstance(fitted.guide, family)
    assert transition_matrix(fitted).mean.sum(1) == pytest.approx(np.ones(3), abs=1e-5)
    assert responsibilities(fitted, x, y).shape == (60,)


@untrained
def test_callbacks_of_ones_own_reach_lightning():
    class Count(Callback):
        epochs = 0

        def on_train_epoch_end(self, trainer, pl_module):
            self.epochs += 1

    x, y, _ = blobs(60)
    count = Count()
    fit(LabelFlip(network(), 3), (x, y), steps=[Joint(epochs=3)], trainer={"callbacks": [count]})
    assert count.epochs == 3


def test_a_story_of_ones_own_is_fitted_by_enumeration():
    x, y, _ = blobs(90)
    fitted = fit(ThreeStates(), (x, y), steps=[Joint(epochs=5, lr=1e-2)])
    assert fitted.collapse is None
    r = responsibilities(fitted, x, y, num_draws=5)
    assert r.shape == (90,)
    assert ((r > 0) & (r < 1)).all()
    assert switch_draws(fitted, x[:1], y[:1], num_draws=3).shape == (3, 1)
    assert (occam_penalties(fitted, x, y) > -1e-6).all()
    with pytest.raises(StoryError, match="predictor"):
        predict(fitted, x)
    with pytest.raises(StoryError, match="true label"):
        true_label_posterior(fitted, x, y)
    with pytest.raises(StoryError, match="closed form"):
        fit(ThreeStates(), (x, y), objective="closed")


@untrained
def test_a_data_set_of_images_is_fitted():
    x, y = torch.randn(33, 1, 8, 8), torch.arange(33) % 2
    data = [(x[i], int(y[i])) for i in range(33)]
    for source in (TensorDataset(x, y), data):
        fitted = fit(LabelFlip(small_cnn(1, 2), 2), source, steps=[Joint(epochs=1)], batch_size=16)
        assert responsibilities(fitted, x, y).shape == (33,)


@untrained
def test_locality_is_fitted_and_averaged():
    x, y, _ = blobs(90)
    fitted = fit(LabelFlip(network(), 3, locality=1.0), (x, y), steps=[Joint(epochs=2)])
    assert transition_matrix(fitted, x).mean.sum(1) == pytest.approx(np.ones(3), abs=1e-5)
    with pytest.raises(StoryError, match="pass the rows"):
        transition_matrix(fitted)


@untrained
def test_held_out_rows_can_be_chosen():
    x, y, _ = blobs(60)
    chosen = np.arange(60) < 6
    fitted = fit(LabelFlip(network(), 3), (x, y), steps=[Joint(epochs=1)], held_out=chosen)
    assert (fitted.held_out == chosen).all()
    none = fit(LabelFlip(network(), 3), (x, y), steps=[Joint(epochs=1)], held_out=0)
    assert not none.held_out.any()
    assert "held_out_loss" not in none.history


@untrained
def test_early_stopping_watches_the_noisy_held_out_rows():
    x, y, _ = blobs(60)
    steps = [Joint(epochs=200, lr=0.5, patience=2)]
    fitted = fit(LabelFlip(network(), 3), (x, y), steps=steps)
    assert len(fitted.history) < 200


def test_an_impossible_target_is_refused_at_fit_and_flagged_when_scored():
    x = torch.linspace(0, 5, 20)[:, None]
    y = x[:, 0].clone()

    def story():
        return LatentSwitch(
            switch=BetaSwitch(),
            clean=NormalLikelihood(nn.Linear(1, 1)),
            anomaly=UniformRange(-1.0, 6.0),
        )

    fitted = fit(story(), (x, y), steps=[Joint(epochs=2, lr=0.05)], held_out=0)
    with pytest.warns(SupportWarning, match="1 targets lie outside"):
        r = responsibilities(fitted, x[:2], torch.tensor([0.0, 99.0]))
    assert r[1] == 1.0
    assert r[0] < 1.0
    y[3] = 99.0
    with pytest.raises(SupportError, match="row 3"):
        fit(story(), (x, y))


GOOD = torch.randn(12, 4), torch.arange(12) % 3


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda s: fit(s, (GOOD[0], GOOD[1][:5])), DataError, "must agree"),
        (lambda s: fit(s, (GOOD[0], GOOD[1] + 1)), DataError, "0 to 2"),
        (lambda s: fit(s, (GOOD[0], GOOD[1].float())), DataError, "integers"),
        (lambda s: fit(s, (GOOD[0] * torch.nan, GOOD[1])), DataError, "missing or infinite"),
        (lambda s: fit(s, (GOOD[0][:1], GOOD[1][:1])), DataError, "at least two"),
        (lambda s: fit(s, GOOD, held_out=1.0), DataError, "share"),
        (lambda s: fit(s, GOOD, held_out=np.ones(12, bool)), DataError, "leaves some"),
        (
            lambda s: fit(three_heads(nn.Identity(), 4, 3), GOOD, steps=[Anchors()]),
            StoryError,
            "LabelFlip",
        ),
        (
            lambda s: fit(robust_line(), (GOOD[0], GOOD[0][:, 0]), steps=[WarmUp()]),
            StoryError,
            "networks to train",
        ),
    ],
)
def test_mistakes_are_named(call, error, says):
    with pytest.raises(error, match=says):
        call(LabelFlip(nn.Linear(4, 3), 3))


@untrained
def test_importing_and_fitting_leave_pyros_settings_alone():
    """A user's own SVI over `nn.Parameter`s still trains after using us."""
    before = pyro.settings.get()
    x, y, _ = blobs(30)
    fit(LabelFlip(network(), 3), (x, y), steps=[Joint(epochs=1)])
    assert pyro.settings.get() == before
    assert not dict(pyro.get_param_store().items())

    class Line(pyro.nn.PyroModule):
        def __init__(self):
            super().__init__()
            self.slope = nn.Parameter(torch.tensor(0.0))

        def forward(self, x, y):
            with pyro.plate("data", len(x)):
                pyro.sample("y", pyro.distributions.Normal(self.slope * x, 0.1), obs=y)

    line, x = Line(), torch.linspace(-1, 1, 20)
    elbo = pyro.infer.Trace_ELBO()
    svi = pyro.infer.SVI(line, lambda x, y: None, pyro.optim.Adam({"lr": 0.1}), elbo)
    for _ in range(100):
        svi.step(x, 2 * x)
    pyro.clear_param_store()
    assert line.slope.item() == pytest.approx(2.0, abs=0.05)


def test_importing_stays_light():
    code = (
        "import sys, nbam_pyro; from nbam_pyro import cli;"
        "heavy = {'lightning', 'sklearn', 'torchvision', 'matplotlib', 'pyro', 'torch'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_literal_story_collapses_and_says_so():
    from nbam_pyro.data import flipped_digits

    digits = flipped_digits(seed=50)
    torch.manual_seed(0)
    trunk = nn.Sequential(nn.Linear(64, 64), nn.ReLU())
    with pytest.warns(CollapseWarning, match="LabelFlip"):
        fitted = fit(
            three_heads(trunk, 64, 10), (digits.x, digits.labels.observed), steps=[Joint(epochs=30)]
        )
    assert fitted.collapse.collapsed
    assert fitted.collapse.contamination < 0.02
