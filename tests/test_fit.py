import os
import subprocess
import sys

import arviz_stats
import numpy as np
import pyro
import pytest
import torch
from lightning.pytorch import Callback, LightningDataModule
from pyro.infer.autoguide import AutoDelta, AutoMultivariateNormal
from torch import nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset, default_collate

from nbam_pyro import LabelFlip, fit, flip_matrix, responsibilities, to_datatree, transition_matrix
from nbam_pyro.errors import CollapseWarning, DataError, StoryError, SupportError, SupportWarning
from nbam_pyro.inference import (
    Anchors,
    ClosedObjective,
    CrossFit,
    Joint,
    Restarts,
    RobustStart,
    Spread,
    Vertices,
    WarmUp,
    log_marginals,
    make_guide,
    occam_penalties,
    predict,
    switch_draws,
    switch_map,
    true_label_posterior,
)
from nbam_pyro.models import (
    BernoulliLikelihood,
    BetaSwitch,
    BroadCounts,
    BroadNormal,
    BroadStudentT,
    LaplaceLikelihood,
    LatentSwitch,
    NegativeBinomialLikelihood,
    NormalLikelihood,
    PoissonLikelihood,
    ShiftedNormal,
    StudentTLikelihood,
    UniformLabels,
    UniformRange,
    robust_regression,
    small_cnn,
    three_heads,
)
from nbam_pyro.training.rows import Batch
from nbam_pyro.training.sources import as_rows
from tests.cases import FEATURES, ThreeStates, robust_line

SHORT = [
    CrossFit(
        folds=2,
        warm_up=WarmUp(epochs=15, lr=1e-2),
        starts=[Anchors(), Vertices()],
        epochs=5,
        rounds=1,
        lr=1e-2,
    ),
    Joint(epochs=6, lr=1e-2, guide_lr=0.0, spread_lr=0.0),
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
    x, y, truth = blobs(600)
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
    with pytest.raises(DataError, match=r"missing .* or infinite"):
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
        steps = [CrossFit(folds=2), WarmUp(), Joint(epochs=3, guide_lr=1e-3)]
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


class Module(LightningDataModule):
    """Rows of its own for training and for noisy validation."""

    def setup(self, stage):
        x, y, _ = blobs(90)
        rows = TensorDataset(torch.as_tensor(x), torch.as_tensor(y))
        self.parts = torch.utils.data.random_split(rows, [70, 20])

    def train_dataloader(self):
        return DataLoader(self.parts[0], batch_size=16, shuffle=True)

    def val_dataloader(self):
        return DataLoader(self.parts[1], batch_size=20)


@untrained
def test_a_loader_lends_its_batches_and_its_collation():
    x, y, _ = blobs(60)
    sizes = []

    def collate(pairs):
        sizes.append(len(pairs))
        return default_collate([(row * 1.0, label) for row, label in pairs])

    loader = DataLoader(
        TensorDataset(torch.as_tensor(x), torch.as_tensor(y)), batch_size=10, collate_fn=collate
    )
    fitted = fit(LabelFlip(network(), 3), loader, steps=[Joint(epochs=1)])
    assert 10 in sizes
    assert fitted.held_out.sum() == 10


@untrained
def test_a_data_module_brings_its_own_held_out_rows():
    fitted = fit(LabelFlip(network(), 3), Module(), steps=[Joint(epochs=1)])
    assert fitted.held_out.tolist() == [False] * 70 + [True] * 20
    without = fit(LabelFlip(network(), 3), Module(), steps=[Joint(epochs=1)], held_out=0.5)
    assert without.held_out.sum() == 45


def test_weights_count_rows():
    """A row of weight two is worth the row twice, in value and gradient of the objective."""
    x, y, _ = blobs(12)
    x, y = torch.as_tensor(x), torch.as_tensor(y)
    story = LabelFlip(network(), 3)
    guide = make_guide(story, x, y)
    objective = ClosedObjective(story, guide)
    weights = torch.tensor([2.0, 0.0] * 6)
    gradients = []
    for batch in (Batch(x, y, weights), Batch(x[::2], y[::2], torch.ones(6))):
        torch.manual_seed(0)
        value = objective(batch, 12)
        gradients.append(torch.autograd.grad(value, list(story.parameters())))
    for one, other in zip(*gradients, strict=True):
        assert torch.allclose(one, other, atol=1e-6)


@untrained
def test_weights_reach_the_fit():
    x, y, truth = blobs(240)
    without = np.where(y == truth, 1.0, 0.0)
    fitted = fit(LabelFlip(network(), 3), (x, y), weights=without, steps=SHORT, batch_size=16)
    assert transition_matrix(fitted).mean[0, 1] < 0.1


@untrained
def test_several_switches_per_row_are_fitted_and_scored(tmp_path):
    torch.manual_seed(1)
    x = torch.randn(60, FEATURES)
    truth = (x[:, :2] > 0).float()
    tags = truth.clone()
    tags[:6, 0] = 1 - tags[:6, 0]
    story = LatentSwitch(
        switch=BetaSwitch(shape=(2,)),
        clean=BernoulliLikelihood(nn.Linear(FEATURES, 2), multi_label=True),
        anomaly=UniformLabels(2, shape=(2,)),
        dims=("label",),
    )
    fitted = fit(story, (x, tags), steps=[Joint(epochs=60, lr=0.05)])
    r = responsibilities(fitted, x, tags)
    assert r.shape == (60, 2)
    assert r[:6, 0].mean() > 2 * r[6:, 0].mean()
    assert predict(fitted, x).shape == (60, 2)
    assert switch_map(fitted, x, tags).shape == (60, 2)
    tree = to_datatree(fitted, x, tags, num_draws=5)
    assert tree.log_likelihood["y"].dims == ("chain", "draw", "row", "label")
    with pytest.raises(DataError, match=r"\(rows, label\)"):
        fit(story, (x, tags[:, 0]), steps=[Joint(epochs=1)])


@untrained
def test_pixels_are_fitted_and_scored():
    torch.manual_seed(0)
    x = torch.randn(24, 2, 5, 5)
    truth = x.argmax(1)
    y = truth.clone()
    y[:, 0, 0] = 1 - y[:, 0, 0]
    steps = [
        CrossFit(folds=2, warm_up=WarmUp(epochs=20, lr=0.05), lr=0.05),
        WarmUp(epochs=20, lr=0.05),
        Joint(epochs=10, guide_lr=1e-2),
    ]
    story = LabelFlip(nn.Conv2d(2, 2, 1), 2, dims=("height", "width"))
    fitted = fit(story, (x, y), steps=steps, batch_size=4)
    r = responsibilities(fitted, x, y)
    assert r.shape == (24, 5, 5)
    assert ((r > 0.5) == (y != truth).numpy()).mean() > 0.97
    assert true_label_posterior(fitted, x, y).shape == (24, 5, 5, 2)
    with pytest.raises(StoryError, match="give them or dims"):
        LabelFlip(nn.Conv2d(2, 2, 1), 2, dims=("height", "width"), locality=1.0)


@pytest.mark.parametrize(
    ("clean", "anomaly", "noise"),
    [
        (LaplaceLikelihood, BroadNormal, lambda n: torch.randn(n) * 0.1),
        (StudentTLikelihood, BroadStudentT, lambda n: torch.randn(n) * 0.1),
    ],
)
def test_other_families_find_outliers_too(clean, anomaly, noise):
    torch.manual_seed(0)
    x = torch.linspace(-1, 1, 80)[:, None]
    y = 2 * x[:, 0] + noise(80)
    y[::10] += 7
    story = LatentSwitch(switch=BetaSwitch(), clean=clean(nn.Linear(1, 1)), anomaly=anomaly(0, 6))
    fitted = fit(story, (x, y), held_out=0)
    assert ((responsibilities(fitted, x, y) > 0.5) == (np.arange(80) % 10 == 0)).all()


@pytest.mark.parametrize("clean", [PoissonLikelihood, NegativeBinomialLikelihood])
def test_counts_that_went_wrong_are_found(clean):
    torch.manual_seed(0)
    x = torch.linspace(-1, 1, 120)[:, None]
    y = torch.poisson((1.5 + x[:, 0]).exp())
    y[::12] = 90
    story = LatentSwitch(
        switch=BetaSwitch(), clean=clean(nn.Linear(1, 1)), anomaly=BroadCounts(60.0)
    )
    fitted = fit(story, (x, y), steps=[Joint(epochs=150, lr=0.05)], held_out=0)
    assert ((responsibilities(fitted, x, y) > 0.5) == (np.arange(120) % 12 == 0)).all()


def test_the_default_recipe_takes_the_side_on_which_errors_lie():
    """Errors of both signs, upwards and downwards; more than half cannot be wrong."""
    torch.manual_seed(0)
    x = torch.linspace(-1, 1, 120)[:, None]
    wrong = torch.arange(120) % 3 == 0
    for shift in (5.0, -5.0):
        y = 2 * x[:, 0] + 0.2 * torch.randn(120) + shift * wrong
        fitted = fit(robust_regression(nn.Linear(1, 1), y), (x, y))
        assert (torch.as_tensor(responsibilities(fitted, x, y) > 0.5) == wrong).all()
        assert fitted.story.anomaly.delta.item() == pytest.approx(shift, abs=0.5)


@untrained
def test_locality_is_fitted_and_averaged():
    x, y, _ = blobs(90)
    fitted = fit(LabelFlip(network(), 3, locality=1.0), (x, y), steps=[Joint(epochs=2)])
    assert transition_matrix(fitted, x).mean.sum(1) == pytest.approx(np.ones(3), abs=1e-5)
    with pytest.raises(StoryError, match="pass rows to average over"):
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
    steps = [Joint(epochs=200, lr=0.5, guide_lr=0.5, patience=2)]
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


class Endless(IterableDataset):
    def __iter__(self):
        yield from zip(*GOOD, strict=True)


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda s: fit(s, (GOOD[0], GOOD[1][:5])), DataError, "must agree"),
        (lambda s: fit(s, (GOOD[0], GOOD[1] + 1)), DataError, "0 to 2"),
        (lambda s: fit(s, (GOOD[0], GOOD[1].float())), DataError, "integers"),
        (lambda s: fit(s, (GOOD[0] * torch.nan, GOOD[1])), DataError, "missing .* or infinite"),
        (lambda s: fit(s, (GOOD[0][:1], GOOD[1][:1])), DataError, "at least two"),
        (lambda s: fit(s, GOOD, held_out=1.0), DataError, "share"),
        (lambda s: fit(s, Endless()), DataError, "no length"),
        (lambda s: fit(s, 3), DataError, "this is a int"),
        (lambda s: fit(s, []), DataError, "empty"),
        (lambda s: fit(s, GOOD, weights=np.ones(3)), DataError, "weights have shape"),
        (lambda s: fit(s, GOOD, weights=-np.ones(12)), DataError, "negative"),
        (lambda s: fit(ThreeStates(), GOOD, weights=np.ones(12)), StoryError, "every row once"),
        (lambda s: fit(s, GOOD, steps=[RobustStart()]), StoryError, "location and a scale"),
        (lambda s: RobustStart(share=1.0), DataError, "share"),
        (lambda s: fit(s, GOOD, held_out=np.ones(12, bool)), DataError, "leaves some"),
        (
            lambda s: fit(three_heads(nn.Identity(), 4, 3), GOOD, steps=[CrossFit()]),
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


def test_a_story_whose_parts_do_not_fit_the_targets_is_refused():
    x, tags = torch.randn(8, FEATURES), torch.randint(2, (8, 8)).float()
    story = LatentSwitch(
        switch=BetaSwitch(),
        clean=BernoulliLikelihood(nn.Linear(FEATURES, 8), multi_label=True),
        anomaly=UniformLabels(2, shape=(8,)),
        dims=("label",),
    )
    with pytest.raises(StoryError, match="The switch conditional has batch shape"):
        fit(story, (x, tags))
    clean, other = (NormalLikelihood(nn.Linear(FEATURES, 1)) for _ in range(2))
    with pytest.raises(StoryError, match="the same module"):
        LatentSwitch(switch=BetaSwitch(), clean=clean, anomaly=ShiftedNormal(other, shift=3.0))


@untrained
def test_scoring_changes_nothing():
    """Networks are evaluated, not trained, wherever targets are checked."""
    torch.manual_seed(0)
    x, y = torch.randn(40, FEATURES), torch.arange(40) % 3
    trunk = nn.Sequential(nn.Linear(FEATURES, 5), nn.BatchNorm1d(5))
    fitted = fit(three_heads(trunk, 5, 3), (x, y), steps=[Joint(epochs=1)])
    before = responsibilities(fitted, x, y)
    assert responsibilities(fitted, x[:1], y[:1]) == pytest.approx(before[:1], abs=1e-5)
    assert np.array_equal(responsibilities(fitted, x, y), before)


def test_targets_of_another_shape_are_refused_when_scored():
    x = torch.linspace(-1, 1, 30)[:, None]
    y = 2 * x[:, 0] + 0.1 * torch.randn(30)
    fitted = fit(robust_regression(nn.Linear(1, 1), y), (x, y), steps=[Joint(epochs=1)])
    with pytest.raises(DataError, match="Targets have shape"):
        responsibilities(fitted, x, y[:, None])
    with pytest.raises(DataError, match="units"):
        robust_regression(nn.Linear(1, 1), 1e25 * y)
    assert predict(fitted, x.numpy()[::-1]).shape == (30,)


def test_rows_stay_where_they_are_without_a_gpu_or_room_on_it(monkeypatch):
    rows = as_rows((torch.zeros(4, 2), torch.zeros(4)))
    assert rows.near(torch.device("cpu")) is rows
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (100, 1000))
    assert rows.near(torch.device("cuda")) is rows
    assert not rows.copies
