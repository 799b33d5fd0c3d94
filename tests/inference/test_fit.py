"""`fit`: seeds, objectives, guides, callbacks and stories of several kinds."""

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pyro
import pytest
import torch
from lightning.pytorch import Callback
from pyro.infer.autoguide import AutoDelta, AutoMultivariateNormal
from torch import nn

from nbam_pyro import LabelFlip, fit, responsibilities, to_datatree, transition_matrix
from nbam_pyro.errors import DataError, StoryError
from nbam_pyro.inference import (
    CrossFit,
    Joint,
    Restarts,
    WarmUp,
    occam_penalties,
    predict,
    switch_draws,
    switch_map,
    true_label_posterior,
)
from nbam_pyro.models import BernoulliLikelihood, BetaSwitch, LatentSwitch, UniformLabels
from tests.cases import ThreeStates
from tests.inference.cases import blobs, network, untrained
from tests.rows import FEATURES


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
where = {"default_root_dir": sys.argv[1]}
fit(LabelFlip(torch.nn.Linear(4, 3), 3), (x, y), steps=[Joint(epochs=2)], trainer=where)
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


# After a few epochs it is open how many labels are wrong.
@pytest.mark.filterwarnings("ignore::nbam_pyro.errors.CannotTellWarning")
def test_objectives_reach_the_same_fit():
    x, y, _ = blobs(90)
    rs = []
    for objective in ("closed", "elbo"):
        torch.manual_seed(2)
        steps = [CrossFit(folds=2), WarmUp(), Joint(epochs=3, guide_lr=1e-3)]
        fitted = fit(LabelFlip(network(), 3), (x, y), steps=steps, objective=objective)
        # The weights of explanations magnify the differences of the draws.
        rs.append(responsibilities(replace(fitted, trust=None), x, y))
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


@untrained
def test_a_story_of_ones_own_is_fitted_by_enumeration():
    x, y, _ = blobs(90)
    fitted = fit(ThreeStates(), (x, y), steps=[Joint(epochs=5, lr=1e-2)])
    assert fitted.collapse.disagreement is None
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
    assert tree.log_likelihood_in_sample["y"].dims == ("chain", "draw", "row", "label")
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
    with pytest.raises(StoryError, match="leave out either dims"):
        LabelFlip(nn.Conv2d(2, 2, 1), 2, dims=("height", "width"), locality=1.0)


@untrained
def test_early_stopping_watches_the_noisy_held_out_rows():
    x, y, _ = blobs(60)
    steps = [Joint(epochs=200, lr=0.5, guide_lr=0.5, patience=2)]
    fitted = fit(LabelFlip(network(), 3), (x, y), steps=steps)
    assert len(fitted.history) < 200


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
