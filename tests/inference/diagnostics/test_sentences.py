"""Verdicts of all kinds have at most three sentences, whatever they say."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbam_pyro.inference import CollapseReport, LabelEvidence, MutualPair
from nbam_pyro.inference.diagnostics.held_out_verdict import held_out_verdict
from nbam_pyro.inference.diagnostics.label_verdict import label_verdict
from nbam_pyro.inference.diagnostics.measurement_verdict import modes_verdict
from nbam_pyro.inference.diagnostics.verdicts import verdict_of
from nbam_pyro.inference.variational.peak import Peak
from nbam_pyro.outputs.predictions.fitting import PredictionsPosterior
from nbam_pyro.outputs.predictions.wording import predictions_verdict
from nbam_pyro.outputs.scores.fitting import ScoresPosterior
from nbam_pyro.outputs.scores.lone import Lone
from nbam_pyro.outputs.scores.wording import scores_verdict
from tests.verdicts import check_verdict

UNIT = st.floats(0, 1)
K = 10
NONE = np.zeros(1)


@st.composite
def evidence(draw):
    """Numbers about ten classes, of which none to all fail a check."""
    low, high = sorted((draw(UNIT), draw(UNIT)))
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    good = draw(UNIT)  # how often a class passes a check
    margin, occupancy = np.where(rng.random((2, K)) < good, 1.0, 0.005)
    pairs = [
        MutualPair((c, d), (0.3, 0.3), (rng.uniform(0.6, 0.9), 0.7), rng.random() < 0.2, 0.4)
        for c, d in itertools.combinations(range(K), 2)
    ]
    return LabelEvidence(
        rows=draw(st.integers(1, 10_000)),
        contamination=draw(st.floats(0, 0.5)),
        flagged=draw(UNIT),
        alarm=draw(st.sampled_from([None, None, "collapsed to no contamination"])),
        margin=(0.1,) * K,
        margin_probability=tuple(margin),
        occupancy=tuple(occupancy),
        share=draw(st.sampled_from([None, (low, high), (0.1, 0.12)])),
        all_right=draw(st.floats(0, 0.9)),
        restarts=tuple(np.where(rng.random(K) < good, 0.0, 0.3)),
        pairs=tuple(draw(st.sampled_from([(), pairs[:1], pairs[:4], pairs]))),
        echoed=draw(st.sampled_from([None, 0.6])),
        class_prior=draw(st.sampled_from([None, 50.0])),
        open_error=draw(st.booleans()),
    )


@settings(max_examples=80, deadline=None)
@given(evidence())
def test_labels(numbers):
    check_verdict(label_verdict(numbers))


def test_ten_classes_that_may_all_be_exchanged_are_in_the_table_and_not_in_the_sentences():
    pairs = tuple(
        MutualPair((c, d), (0.3, 0.3), (0.6 + 0.01 * c, 0.6 + 0.01 * d), False, 0.4)
        for c, d in itertools.combinations(range(K), 2)
    )
    verdict = label_verdict(
        LabelEvidence(
            rows=500,
            contamination=0.3,
            flagged=0.3,
            alarm=None,
            margin=(0.1,) * K,
            margin_probability=(1.0,) * K,
            occupancy=(0.1,) * K,
            share=(0.28, 0.32),
            all_right=0.0,
            restarts=(0.0,) * K,
            pairs=pairs,
        )
    )
    check_verdict(verdict)
    assert (
        "the pairs ({0}, {1}), ({0}, {2}), ({1}, {2}) and 42 more (see verdict.table()) rest on"
    ) in verdict.assumed
    assert len(verdict.table()) == 46
    assert max(map(len, verdict.lines())) < 300


def modes(count):
    return [Peak(-0.5 * i, (np.arange(12) % count == i).astype(float)) for i in range(count)]


@pytest.mark.parametrize("count", range(1, 7))
def test_modes(count):
    check_verdict(modes_verdict(modes(count)))
    check_verdict(modes_verdict([Peak(0.0, np.zeros(4)), *modes(count)[1:1]]))


def test_a_share_that_may_be_one_half_is_weak():
    verdict = modes_verdict(modes(1), most=0.54)
    check_verdict(verdict)
    assert verdict.level == "weak"
    assert "reaches 54.0%" in verdict.assumed
    assert modes_verdict(modes(1), most=0.49).level == "identified"


def test_clean_means_that_depend_on_rows_in_doubt_are_weak():
    one = [Peak(0.0, np.array([0.0, 0.0, 1.0, 0.4, 0.6, 0.0]))]
    verdict = modes_verdict(one, widening=lambda: 1.34)
    check_verdict(verdict)
    assert verdict.level == "weak"
    assert "are 1.3 times as large" in verdict.assumed
    assert "rows 3, 4 are" in verdict.decides
    assert modes_verdict(one, widening=lambda: 1.1).level == "identified"


def test_modes_state_what_all_of_them_share():
    both = [Peak(0.0, np.array([1.0, 1, 1, 0, 0])), Peak(-1.0, np.array([1.0, 0, 0, 1, 1]))]
    verdict = modes_verdict(both)
    assert verdict.sure == "1 row is contaminated in every explanation, and 4 only in some of them."
    assert "a probability of 73%" in verdict.assumed


@pytest.mark.parametrize("report", [CollapseReport(0.0, 0.4), CollapseReport(0.1, None)])
def test_stories_without_further_checks(report):
    verdict = verdict_of(report, None)
    check_verdict(verdict)


def test_held_out_rows():
    rng = np.random.default_rng(0)
    for n in (0, 12, 60):
        y = rng.standard_t(2, n)
        check_verdict(held_out_verdict(y, np.zeros(n), np.ones(n)))


@settings(max_examples=80, deadline=None)
@given(
    *(UNIT,) * 7,
    st.sampled_from([0, 1, 3]),
    st.sampled_from([0, 50]),
    st.sampled_from([5, 100]),
)
def test_scores_and_measurements(
    weight, share, overlap, tied, one, other, probability, lone, verified, count
):
    interval = min(one, other), max(one, other)
    common = {"verified": verified, "tied": tied, "interval": interval, "probability": 0.9}
    scores = ScoresPosterior(
        second_part=weight,
        responsibility=NONE,
        share_bulk=0.01,
        share_mixed=share,
        overlap=overlap,
        lone=Lone(count=lone, probability=probability),
        lone_responsibility=probability,
        contamination=NONE,
        population_rate=NONE,
    )
    check_verdict(scores_verdict(scores, rows=200, different=count, **common))
    residuals = PredictionsPosterior(
        weights=np.array([1 - weight, 0, weight, 0]),
        shares=np.array([0, 0, share, share]),
        responsibility=NONE,
        overlap=overlap,
        contamination=NONE,
        population_rate=NONE,
    )
    check_verdict(predictions_verdict(residuals, count=count, **common))
