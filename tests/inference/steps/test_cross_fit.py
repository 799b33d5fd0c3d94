"""`CrossFit` and `Recount`: evidence, class priors and local contamination."""

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch import nn

from nbam_pyro import LabelFlip, fit
from nbam_pyro.errors import DataError, StoryError
from nbam_pyro.inference import (
    Anchors,
    ByRows,
    CrossFit,
    Recount,
    WarmUp,
    default_steps,
    transition_matrix,
)
from nbam_pyro.inference.variational.guides import guide_median
from nbam_pyro.models import BetaSwitch, BroadNormal, LatentSwitch, NormalLikelihood


def uneven():
    """Ninety rows of which two thirds are of the first class, some of the second called so."""
    torch.manual_seed(0)
    true = torch.tensor([0] * 40 + [1] * 30 + [2] * 20)
    y = torch.where((true == 1) & (torch.arange(90) % 3 == 0), 0, true)
    return 2 * torch.eye(3)[true] + torch.randn(90, 3), y


def cross_fitted(class_prior, locality=0.0):
    """Evidence after `CrossFit` and after `Recount`, rates before and after it, and the fit."""
    seen = []

    def look(run):
        seen.append((run.cross_fitted, guide_median(run.guide_or_new())["rate"]))

    quick = WarmUp(epochs=8, lr=0.05)
    starts = (Anchors(),)
    steps = [
        CrossFit(
            folds=2,
            warm_up=quick,
            starts=starts,
            epochs=3,
            rounds=0,
            lr=0.05,
            class_prior=class_prior,
        ),
        look,
        Recount(),
        look,
    ]
    torch.manual_seed(0)
    network = nn.Sequential(nn.Sequential(nn.Linear(3, 4), nn.Tanh()), nn.Linear(4, 3))
    fitted = fit(LabelFlip(network, 3, locality=locality), uneven(), steps=steps)
    return *seen, fitted


@pytest.mark.filterwarnings("ignore::nbam_pyro.errors.CannotTellWarning")
@pytest.mark.parametrize("locality", [0.0, 1.0])
def test_a_class_prior_shifts_the_evidence_that_is_kept(locality):
    (off, _), _, plain = cross_fitted(None, locality)
    (on, _), (after, _), fitted = cross_fitted(50.0, locality)
    assert off.class_prior is None
    assert on.class_prior == after.class_prior == fitted.label_evidence.class_prior == 50.0
    assert plain.label_evidence.class_prior is None
    shift = on.log_probs - off.log_probs  # by class, but for the normaliser of each row
    shift = shift - shift[:, :1]
    assert torch.allclose(shift, shift[:1].expand_as(shift), atol=1e-4)
    assert shift[0, 1:].min() > 0.05  # towards classes that the network predicts too rarely
    assert torch.allclose(on.log_probs.exp().sum(-1), torch.ones(90))
    if not locality:  # the rows follow the evidence that was kept
        matrix = transition_matrix(fitted).mean
        own = after.log_probs.exp().numpy() * matrix[:, uneven()[1]].T
        own /= own.sum(1, keepdims=True)
        # They are averages over the sharpness of the evidence.
        assert np.abs(fitted.training_rows.true_label - own).mean() < 0.05


@pytest.mark.filterwarnings("ignore::nbam_pyro.errors.CannotTellWarning")
def test_recounting_finds_the_region_of_local_contamination():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(900, 2)).astype(np.float32)
    true = (x[:, 0] > 0).astype(int)
    x[:, 0] += 3 * np.sign(x[:, 0])
    near = x[:, 1] > 0
    contaminated = near & (rng.random(900) < 0.4)
    y = np.where(contaminated, 1 - true, true)

    def fitted(locality):
        torch.manual_seed(0)
        network = nn.Sequential(nn.Sequential(nn.Linear(2, 8), nn.Tanh()), nn.Linear(8, 2))
        return fit(LabelFlip(network, 2, locality=locality), (x, y), epochs=30)

    off, on = fitted(0.0), fitted(3.0)
    median = guide_median(on.guide)
    with torch.no_grad():
        g = on.story.log_predictor(torch.tensor(x), median)[1].numpy()
    assert roc_auc_score(near, g) > 0.95
    error = [((f.training_rows.responsibility - contaminated) ** 2).mean() for f in (off, on)]
    assert error[1] < error[0] < 0.03


def test_class_priors_are_checked_before_anything_is_fitted():
    story = LabelFlip(nn.Linear(3, 3), 3)
    for make in (CrossFit, lambda class_prior: default_steps(story, class_prior=-1.0)):
        with pytest.raises(DataError, match="class_prior is -1"):
            make(class_prior=-1.0)
    steps = default_steps(story, class_prior=20.0)
    (by_rows,) = [s for s in steps if isinstance(s, ByRows)]
    for way in (by_rows.few, by_rows.many):
        assert [s.class_prior for s in way if isinstance(s, CrossFit)] == [20.0]
    switch = LatentSwitch(
        switch=BetaSwitch(), clean=NormalLikelihood(nn.Linear(1, 1)), anomaly=BroadNormal(0, 1)
    )
    with pytest.raises(StoryError, match="class_prior is an option of the recipe"):
        default_steps(switch, class_prior=20.0)


def test_cross_fitting_leaves_evidence_and_needs_a_start():
    torch.manual_seed(0)
    x = 4 * torch.eye(3).repeat(20, 1) + torch.randn(60, 3)
    y = torch.arange(60) % 3
    quick = WarmUp(epochs=15, lr=0.05)
    steps = [
        CrossFit(folds=2, warm_up=quick, skip=3, epochs=3, rounds=1, lr=0.05),
        quick,
        Recount(),
    ]
    fitted = fit(LabelFlip(nn.Linear(3, 3), 3), (x, y), steps=steps)
    assert fitted.training_rows.evidence == "cross-fitted"
    assert fitted.training_rows.true_label.sum(-1) == pytest.approx(1, abs=1e-4)
    own = fitted.training_rows.true_label[np.arange(60), y]
    assert fitted.training_rows.responsibility == pytest.approx(1 - own, abs=1e-5)
    share = fitted.training_rows.share
    assert share.low <= share.high
    assert fitted.label_evidence.occupancy == pytest.approx([1 / 3] * 3, abs=0.1)
    with pytest.raises(StoryError, match="evidence of CrossFit"):
        fit(LabelFlip(nn.Linear(3, 3), 3), (x, y), steps=[quick, Recount()])
    with pytest.raises(StoryError, match="starts"):
        fit(LabelFlip(nn.Linear(3, 3), 3), (x, y), steps=[CrossFit(starts=[], warm_up=quick)])
