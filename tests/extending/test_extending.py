"""Parts that a user writes, with public names only, get all that the library's own parts get."""

import numpy as np
import pytest
import torch
from torch import nn

from nbam_pyro import LatentSwitch, Verified, fit, load, responsibilities, save, to_datatree
from nbam_pyro.detection import AnomalyDetector, load_detector, save_detector
from nbam_pyro.inference import Joint, predict
from nbam_pyro.models import BetaSwitch, BroadNormal
from nbam_pyro.testing import check_backbone, check_component, check_step, check_story
from tests.extending.parts import Logistic, Middle, Shrink, halve
from tests.extending.three_states import ThreeStates


def labelled(n=240, share=0.15):
    """Two classes that a line separates, some labels turned, and which those are."""
    x = torch.randn(n, 2)
    wrong = torch.arange(n) < share * n
    return x, ((x.sum(-1) > 0) ^ wrong).long(), wrong.numpy()


def measured(n=120):
    """A line with logistic noise, and ten gross errors at its beginning."""
    x = torch.linspace(-1, 1, n)[:, None]
    y = 3 * x[:, 0] + 0.1 * torch.randn(n)
    y[:10] += 15.0
    return x, y


def test_a_story_of_three_states():
    """A recipe, a report, posteriors, a DataTree and saving, without touching the library."""
    x, y, wrong = labelled()
    fitted = fit(ThreeStates(nn.Linear(2, 2)), (x, y), epochs=60, seed=1)
    assert not fitted.collapse.collapsed, str(fitted.collapse)
    assert fitted.collapse.disagreement is not None
    r = responsibilities(fitted, x, y)
    assert r[wrong].mean() > r[~wrong].mean() + 0.2
    assert predict(fitted, x).shape == (len(x), 2)


@pytest.fixture(scope="module")
def three_states():
    torch.manual_seed(0)
    x, y, _ = labelled(60)
    verified = Verified.of(y, contaminated=np.where(np.arange(60) < 3, 1, -1))
    fitted = fit(ThreeStates(nn.Linear(2, 2)), (x, y), epochs=3, verified=verified)
    return fitted, x, y, verified


def test_a_story_is_saved_and_loaded(three_states, tmp_path):
    fitted, x, y, _ = three_states
    save(fitted, tmp_path / "fit")
    again = load(tmp_path / "fit", allow=["tests.extending.three_states"])
    assert isinstance(again.story, ThreeStates)
    assert (responsibilities(again, x, y) == responsibilities(fitted, x, y)).all()
    assert again.collapse == fitted.collapse


def test_a_story_takes_verified_rows(three_states):
    fitted, x, y, verified = three_states
    assert (fitted.training_rows.responsibility[:3] == 1).all()
    assert (responsibilities(fitted, x, y, verified=verified)[:3] == 1).all()
    assert fitted.collapse.verified_accuracy is not None


def test_a_story_as_a_datatree(three_states):
    fitted, x, y, _ = three_states
    tree = to_datatree(fitted, x, y, num_draws=20)
    assert tree["posterior"]["shares"].shape == (1, 20, 3)
    seen = (~fitted.held_out).sum()
    assert tree["log_likelihood_in_sample"]["y"].shape == (1, 20, seen)
    assert tree["posterior_predictive"]["y"].dtype == np.int64
    assert set(tree["log_prior"]) == {"shares"}


def test_a_component_within_a_latent_switch(tmp_path):
    x, y = measured()
    story = LatentSwitch(
        switch=BetaSwitch(1.0, 9.0),
        clean=Logistic(nn.Linear(1, 1)),
        anomaly=BroadNormal.of(y),
    )
    fitted = fit(story, (x, y), steps=[Joint(epochs=60, lr=0.05)])
    r = responsibilities(fitted, x, y)
    assert r[:10].min() > 0.5 > r[10:].max()
    assert fitted.collapse is not None
    save(fitted, tmp_path / "fit")
    again = load(tmp_path / "fit", allow=["tests.extending.parts.Logistic"])
    assert (responsibilities(again, x, y) == r).all()
    assert to_datatree(fitted, x, y, num_draws=5)["posterior"]["contamination"].shape == (1, 5)


def test_a_component_has_a_default_recipe():
    x, y = measured(40)
    story = LatentSwitch(
        switch=BetaSwitch(), clean=Logistic(nn.Linear(1, 1)), anomaly=BroadNormal.of(y)
    )
    assert set(fit(story, (x, y), epochs=2).history.step) == {"joint"}


def test_a_backbone_of_a_detector(tmp_path):
    x = np.random.default_rng(0).normal(size=(100, 3))
    x[:10] += 9
    detector = AnomalyDetector(Middle, contamination=0.1, epochs=3, random_state=0).fit(x)
    assert detector.labels_[:10].all()
    save_detector(detector, tmp_path / "detector")
    again = load_detector(tmp_path / "detector", allow=["tests.extending.parts.Middle"])
    assert (again.decision_function(x) == detector.decision_function(x)).all()


@pytest.mark.filterwarnings("ignore::nbam_pyro.errors.CannotTellWarning")
def test_steps_of_a_recipe():
    x, y, _ = labelled(40)
    story = ThreeStates(nn.Linear(2, 2))
    before = story.network.weight.detach().clone()
    fitted = fit(story, (x, y), steps=[halve])
    assert torch.equal(story.network.weight, before / 2)
    assert fitted.history.empty
    steps = [halve, Shrink(epochs=2), Joint(epochs=1)]
    fitted = fit(ThreeStates(nn.Linear(2, 2)), (x, y), steps=steps)
    assert list(fitted.history.step) == ["shrink", "shrink", "joint"]


def test_what_a_user_wrote_passes_the_contract_suites():
    x, y, _ = labelled(12)
    check_story(ThreeStates(nn.Linear(2, 2)), x, y)
    check_component(Logistic(nn.Linear(2, 1)), x, torch.randn(12))
    check_backbone(Middle, x)
    for step in (halve, Shrink()):
        check_step(step, ThreeStates(nn.Linear(2, 2)), (x, y))
