"""What a fit says it can tell, and what it cannot."""

import dataclasses
import json
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import make_classification
from sklearn.metrics import roc_auc_score
from torch import nn

from nbam_pyro import LabelFlip, NBAMClassifier, fit
from nbam_pyro.errors import CollapseWarning, DataError, StoryError
from nbam_pyro.functional import off_diagonal
from nbam_pyro.inference import (
    Anchors,
    ByRows,
    CrossFit,
    Identifiability,
    MutualPair,
    Recount,
    Vertices,
    WarmUp,
    default_steps,
    transition_matrix,
)
from nbam_pyro.inference.diagnostics.identify import permutation_margins
from nbam_pyro.inference.steps.attempts import Attempt
from nbam_pyro.inference.steps.evidence import Evidence
from nbam_pyro.inference.variational.guides import guide_median
from nbam_pyro.models import BetaSwitch, BroadNormal, LatentSwitch, NormalLikelihood
from nbam_pyro.storage import Saved, validated
from nbam_pyro.verified import Verified

SOUND = Identifiability(
    flagged=0.2,
    alarm=None,
    margin=(0.3, 0.3, 0.3),
    margin_probability=(1.0, 1.0, 1.0),
    occupancy=(0.3, 0.3, 0.4),
    band=((0.5, 0.19), (1.0, 0.2), (2.0, 0.21)),
    restarts=(0.0, 0.0, 0.0),
    pairs=(),
)
PAIR = MutualPair((0, 1), (0.4, 0.35), (0.65, 0.6), False)


@pytest.mark.parametrize(
    ("change", "verdict", "words"),
    [
        ({}, "identified", "identified"),
        ({"flagged": 0.004}, "little contamination", "little"),
        ({"alarm": "collapsed to no contamination"}, "cannot tell", "has collapsed"),
        ({"flagged": 0.0, "alarm": "collapsed"}, "cannot tell", "collapsed"),
        ({"occupancy": (0.5, 0.01, 0.49)}, "cannot tell", "taken for bee"),
        ({"margin_probability": (0.8, 0.7, 1.0)}, "cannot tell", "open among ant, bee"),
        (
            {"band": ((0.5, 0.1), (1.0, 0.2), (2.0, 0.26))},
            "cannot tell",
            "How much is wrong is open",
        ),
        ({"echoed": 0.6}, "cannot tell", "Rows around the flagged ones have the same label, 60%"),
        ({"echoed": 0.1}, "identified", "identified"),
        ({"pairs": (PAIR,)}, "weak", "names of ant, bee rest on the assumption"),
        (
            {"pairs": (dataclasses.replace(PAIR, decided=True),), "margin_probability": (0, 0, 1)},
            "identified",
            "verified labels decide",
        ),
        ({"restarts": (0.0, 0.0, 0.3)}, "weak", "other flips of cat"),
        ({"band": ((0.5, 0.1), (1.0, 0.2), (2.0, 0.24))}, "weak", "0.10 to 0.24"),
    ],
)
def test_the_verdict_names_its_reason_and_classes(change, verdict, words):
    report = dataclasses.replace(SOUND, **change)
    assert report.verdict == verdict
    text = "\n".join(report.lines(["ant", "bee", "cat"]))
    assert words in text
    assert f"Verdict: {verdict}." in text


def test_both_readings_of_a_pair_are_printed_at_every_rate():
    for rate in (0.1, 0.4, 0.6):
        pair = MutualPair((5, 6), (rate, rate), (1 - rate, 1 - rate), False)
        line = pair.line()
        assert f"5<->6: {rate:.2f}".replace("0.", ".") in line
        assert f"or {1 - rate:.2f} with the names exchanged".replace("0.", ".") in line
        assert "the data cannot tell" in line
    assert PAIR.line(["ant", "bee"]).startswith("ant<->bee: .40 and .35, or .65 and .60 with")


def test_what_was_supposed_of_frequencies_stands_between_reasons_and_pairs():
    report = dataclasses.replace(SOUND, pairs=(PAIR,), class_prior=50.0)
    plain = dataclasses.replace(report, class_prior=None)
    supposed = (
        "Class frequencies were assumed to be even (Dirichlet, 50 for each class): that is an "
        "assumption, not evidence."
    )
    first, reason, pair = plain.lines()
    assert report.lines() == [first, reason, supposed, pair]
    assert report.verdict == plain.verdict


class Held(Saved):
    report: Identifiability


@pytest.mark.parametrize("class_prior", [None, 50.0])
def test_a_report_survives_json(class_prior):
    report = dataclasses.replace(SOUND, pairs=(PAIR,), class_prior=class_prior)
    text = json.dumps({"report": dataclasses.asdict(report)}).encode()
    assert validated(text, Held, what="model.json").report == report


@given(st.integers(2, 6), st.integers(0, 1000))
def test_margins_of_no_contamination_are_what_an_exchange_costs(k, seed):
    share = np.random.default_rng(seed).dirichlet(np.ones(k))
    margins = permutation_margins(np.eye(k)[None], share)[0]
    others = [min(share[j] for j in range(k) if j != c) for c in range(k)]
    assert margins == pytest.approx(share + others)


def test_the_margin_of_a_mutual_pair_vanishes_at_one_half():
    def pair(rate):
        return np.array([[[1 - rate, rate, 0], [rate, 1 - rate, 0], [0, 0, 1.0]]])

    third = np.full(3, 1 / 3)
    assert permutation_margins(pair(0.5), third)[0, :2] == pytest.approx(0)
    assert (permutation_margins(pair(0.4), third)[0, :2] > 0).all()
    assert (permutation_margins(pair(0.6), third)[0, :2] < 0).all()


def predictions(matrix, n=900, seed=0, noise=0.05):
    """Predicted probabilities of observed labels near the vertices of a transition matrix."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(len(matrix), size=n)
    probs = rng.dirichlet(np.ones(len(matrix)), n) * noise + (1 - noise) * matrix[truth]
    labels = np.array([rng.choice(len(matrix), p=matrix[c]) for c in truth])
    return (
        Evidence(
            torch.tensor(probs, dtype=torch.float).log(),
            torch.tensor(labels),
            torch.ones(n),
            None,
        ),
        truth,
    )


def rows_of(counts):
    return (counts / counts.sum(1, keepdim=True)).numpy()


MODERATE = np.array([[0.7, 0.3, 0.0], [0.0, 0.8, 0.2], [0.0, 0.0, 1.0]])
CHAIN = np.array([[0.4, 0.6, 0.0], [0.0, 0.4, 0.6], [0.0, 0.0, 1.0]])


@pytest.mark.parametrize("start", [Anchors(), Vertices(), Vertices(restarts=5)])
def test_every_start_finds_moderate_rates(start):
    evidence, _ = predictions(MODERATE)
    assert rows_of(start.counts(evidence, seed=0)) == pytest.approx(MODERATE, abs=0.08)


def test_vertices_find_a_chain_above_one_half_and_anchors_do_not():
    evidence, _ = predictions(CHAIN)
    assert rows_of(Vertices(restarts=5).counts(evidence, seed=0)) == pytest.approx(CHAIN, abs=0.08)
    assert abs(rows_of(Anchors().counts(evidence, seed=0)) - CHAIN).max() > 0.3


def test_verified_rows_name_the_vertices_of_a_mutual_pair():
    pair = np.array([[0.4, 0.6, 0.0], [0.6, 0.4, 0.0], [0.0, 0.0, 1.0]])
    evidence, truth = predictions(pair)
    unaided = rows_of(Vertices(restarts=5).counts(evidence, seed=0))
    assert unaided == pytest.approx(pair[[1, 0, 2]], abs=0.08)
    known = np.where(np.arange(900) < 20, truth, -1)
    verified = Verified.of(evidence.labels, true_label=known)
    told = dataclasses.replace(evidence, verified=verified)
    assert rows_of(Vertices(restarts=5).counts(told, seed=0)) == pytest.approx(pair, abs=0.08)


def test_fewer_rows_than_classes_start_from_anchors():
    evidence = Evidence(torch.eye(4)[:2].log_softmax(-1), torch.tensor([0, 1]), torch.ones(2), None)
    assert Vertices().counts(evidence, seed=0).shape == (4, 4)


def test_a_flat_pool_is_sharpened_to_what_the_labels_bear_out():
    torch.manual_seed(0)
    log_f = (2 * torch.randn(20_000, 3)).log_softmax(-1)
    matrix = torch.as_tensor(MODERATE, dtype=torch.float)
    labels = torch.multinomial(log_f.exp() @ matrix, 1).flatten()
    flat = Evidence((log_f / 2).log_softmax(-1), labels, torch.ones(20_000), None)
    latents = {"rate": 1 - matrix.diagonal(), "flip": off_diagonal(matrix + 1e-6)}
    latents["flip"] = latents["flip"] / latents["flip"].sum(-1, keepdim=True)
    latents["rate"] = latents["rate"].clamp_min(1e-6)
    sharpened = flat.sharpened(latents)
    assert torch.allclose(sharpened.log_probs.exp(), log_f.exp(), atol=0.03)
    assert sharpened.log_marginals(latents).mean() > flat.log_marginals(latents).mean()


def test_of_equally_probable_attempts_the_more_informative_one_is_preferred():
    rate, small = 0.4, 1e-6
    labels = torch.tensor([0] * 60 + [1] * 40 + [1] * 100)

    def attempt(first, matrix):
        probs = torch.tensor([[first, 1 - first]] * 100 + [[small, 1 - small]] * 100)
        matrix = torch.tensor(matrix)
        transition = SimpleNamespace(rate=1 - matrix.diagonal(), flip=torch.eye(2).flip(0))
        return Attempt(Anchors(), Evidence(probs.log(), labels, torch.ones(200), None), transition)

    unsure = attempt(1 - rate, [[1 - small, small], [small, 1 - small]])
    sure = attempt(1 - small, [[1 - rate, rate], [small, 1 - small]])
    assert sure.log_marginals() == pytest.approx(unsure.log_marginals(), abs=1e-4)
    assert sure.gain(unsure, information=0.05) > 2
    assert unsure.gain(sure, information=0.05) < -2


def test_merging_two_classes_is_no_gain_of_information():
    labels = torch.tensor([0, 1] * 50)
    apart = Evidence(
        torch.eye(2).repeat(50, 1).clamp_min(1e-6).log(), labels, torch.ones(100), None
    )
    merged = dataclasses.replace(apart, log_probs=apart.log_probs[:1].expand(100, 2))
    assert merged.entropy.sum() == pytest.approx(apart.entropy.sum())
    assert merged.occupied_entropy < 0.01 < apart.occupied_entropy


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


@pytest.mark.filterwarnings("ignore::nbam_pyro.errors.CollapseWarning")
@pytest.mark.parametrize("locality", [0.0, 1.0])
def test_a_class_prior_shifts_the_evidence_that_is_kept(locality):
    (off, _), _, plain = cross_fitted(None, locality)
    (on, _), (after, _), fitted = cross_fitted(50.0, locality)
    assert off.class_prior is None
    assert on.class_prior == after.class_prior == fitted.identifiability.class_prior == 50.0
    assert plain.identifiability.class_prior is None
    shift = on.log_probs - off.log_probs  # by class, but for the normaliser of each row
    shift = shift - shift[:, :1]
    assert torch.allclose(shift, shift[:1].expand_as(shift), atol=1e-4)
    assert shift[0, 1:].min() > 0.05  # towards classes that the network predicts too rarely
    assert torch.allclose(on.log_probs.exp().sum(-1), torch.ones(90))
    if not locality:  # the rows follow the evidence that was kept
        matrix = transition_matrix(fitted).mean
        own = after.log_probs.exp().numpy() * matrix[:, uneven()[1]].T
        own /= own.sum(1, keepdims=True)
        assert fitted.training_rows.true_label == pytest.approx(own, abs=0.01)


@pytest.mark.filterwarnings("ignore::nbam_pyro.errors.CollapseWarning")
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
    with pytest.raises(StoryError, match="class_prior is for the recipe"):
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
    assert fitted.identifiability.occupancy == pytest.approx([1 / 3] * 3, abs=0.1)
    with pytest.raises(StoryError, match="evidence of CrossFit"):
        fit(LabelFlip(nn.Linear(3, 3), 3), (x, y), steps=[quick, Recount()])
    with pytest.raises(StoryError, match="starts"):
        fit(LabelFlip(nn.Linear(3, 3), 3), (x, y), steps=[CrossFit(starts=[], warm_up=quick)])


def test_a_line_where_none_is_right_cannot_tell():
    """A cluster that a linear network cannot explain is not wrong."""
    x, y = make_classification(
        200, 6, n_informative=4, weights=[0.85], class_sep=1.5, flip_y=0.0, random_state=1
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CollapseWarning)
        model = NBAMClassifier(network=nn.Linear, random_state=0).fit(x, y)
    report = model.fit_.identifiability
    assert report.verdict == "cannot tell"
    assert report.echoed > 0.3


def test_flips_above_one_half_are_no_misfit():
    """Most of the rows around a flipped one are flipped, too, and the fit knows that."""
    rng = np.random.default_rng(0)
    true = np.arange(600) % 4
    x = 6 * np.eye(4)[true] + rng.normal(size=(600, 4))
    y = np.where((true == 0) & (rng.random(600) < 0.6), 1, true)
    model = NBAMClassifier(random_state=0).fit(x, y)
    assert ((model.responsibility_ > 0.5) == (y != true)).mean() > 0.97
    report = model.fit_.identifiability
    assert abs(report.echoed) < 0.1
    assert report.verdict != "cannot tell"
