"""The verdict on labels: its reasons, both readings of mutual pairs, and what separates them."""

import dataclasses
import json
import re
import warnings

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.datasets import make_classification
from sklearn.metrics import roc_auc_score
from torch import nn

from nbam_pyro import NBAMClassifier
from nbam_pyro.errors import CannotTellWarning
from nbam_pyro.inference import LabelEvidence, MutualPair
from nbam_pyro.inference.diagnostics.identify import exchanged_contamination, permutation_margins
from nbam_pyro.inference.diagnostics.label_evidence import DECIDING
from nbam_pyro.inference.diagnostics.label_verdict import label_verdict
from nbam_pyro.models.priors.class_frequency import class_prior_sentence
from nbam_pyro.storage import Saved, validated
from tests.verdicts import check_verdict

SOUND = LabelEvidence(
    rows=500,
    contamination=0.2,
    flagged=0.2,
    alarm=None,
    margin=(0.3, 0.3, 0.3),
    margin_probability=(1.0, 1.0, 1.0),
    occupancy=(0.3, 0.3, 0.4),
    share=(0.19, 0.21),
    all_right=0.0,
    restarts=(0.0, 0.0, 0.0),
    pairs=(),
)


PAIR = MutualPair((0, 1), (0.4, 0.35), (0.65, 0.6), False, 0.45)
# With exchanged names nearly all labels of two classes would be wrong.
RARE = MutualPair((0, 1), (0.07, 0.1), (0.93, 0.9), False, 0.6)


@pytest.mark.parametrize(
    ("change", "level", "words"),
    [
        ({}, "identified", "identified"),
        ({"flagged": 0.004}, "identified", "so there is little contamination"),
        ({"flagged": 0.004, "pairs": (PAIR,)}, "weak", "rest on the assumption"),
        ({"alarm": "collapsed to no contamination"}, "cannot tell", "has collapsed"),
        ({"flagged": 0.0, "alarm": "collapsed"}, "cannot tell", "collapsed"),
        (
            {"occupancy": (0.5, 0.01, 0.49)},
            "cannot tell",
            "to the class bee, because other",
        ),
        (
            {"margin_probability": (0.8, 0.7, 1.0)},
            "cannot tell",
            "Verify the true labels of 20 to 100 rows of the classes ant and bee.",
        ),
        (
            {"share": (0.1, 0.45)},
            "cannot tell",
            "cannot tell how many labels are wrong: the 90% interval reaches from 10.0% to 45.0%.",
        ),
        ({"open_error": True}, "cannot tell", "cannot tell wrong labels from ambiguous rows"),
        (
            {"share": (0.05, 0.25), "disagreement": 0.3},
            "weak",
            "it is 30.0% if all of these labels are wrong, and 0.0% if none is",
        ),
        ({"echoed": 0.6}, "cannot tell", "by 60 percentage points"),
        ({"echoed": 0.1}, "identified", "identified"),
        ({"pairs": (PAIR,)}, "weak", "names of the classes ant and bee rest on the assumption"),
        ({"pairs": (RARE,)}, "identified", "identified"),
        (
            {"pairs": (dataclasses.replace(PAIR, decided=True),), "margin_probability": (0, 0, 1)},
            "identified",
            "verified labels confirm the names of the classes ant and bee.",
        ),
        ({"restarts": (0.0, 0.0, 0.3)}, "weak", "The flips of the class cat depend on the start"),
        ({"share": (0.1, 0.24)}, "weak", "Between 10.0% and 24.0%"),
        (
            {"share": (0.0, 0.06), "all_right": 0.5},
            "weak",
            "probability of 50% no label is wrong",
        ),
        ({"share": (0.0, 0.06), "all_right": 0.05}, "identified", "identified"),
        ({"share": (0.0, 0.02), "contamination": 0.003, "all_right": 0.5}, "identified", ""),
        ({"class_prior": 50.0}, "identified", class_prior_sentence(50.0).removesuffix(".")),
        ({"share": (0.56, 0.62)}, "cannot tell", "62.0% of the labels may be wrong"),
        ({}, "identified", "rows that look like the class of their label are not counted"),
    ],
)
def test_the_verdict_names_its_reason_and_classes(change, level, words):
    verdict = label_verdict(dataclasses.replace(SOUND, **change))
    assert verdict.level == level
    text = str(verdict.named(["ant", "bee", "cat"]))
    assert words in text
    assert text.startswith(f"Verdict: {level}\n")
    assert "{" not in text
    check_verdict(verdict)


def test_both_readings_of_an_open_pair_compete():
    verdict = label_verdict(dataclasses.replace(SOUND, pairs=(PAIR,)))
    used, exchanged = verdict.explanations
    assert used.text == "As the fit reads the labels."
    assert "65% of {0} are labelled {1} (instead of 40%)" in exchanged.text
    assert "60% of {1} are labelled {0} (instead of 35%)" in exchanged.text
    assert (used.contamination, exchanged.contamination) == (0.2, 0.45)
    assert f"at least {DECIDING} rows of this pair" in verdict.decides
    decided = dataclasses.replace(PAIR, decided=True)
    assert label_verdict(dataclasses.replace(SOUND, pairs=(decided,))).explanations == ()


@given(st.floats(0, 0.6), st.floats(0.01, 0.4))
def test_a_wide_interval_names_how_many_rows_halve_it(low, width):
    share = low, low + width
    assume(share[1] < 0.5)
    verdict = label_verdict(dataclasses.replace(SOUND, share=share))
    if width < 0.12 - 1e-9:
        assert verdict.level == "identified"
        assert not verdict.decides
    elif width > 0.12 + 1e-9:
        rows = int(re.search(r"about (\d+) rows", verdict.decides)[1])
        middle = low + width / 2

        def width_of(rows):
            return 2 * 1.6449 * (middle * (1 - middle) * (1 / rows - 1 / SOUND.rows)) ** 0.5

        assert width_of(rows) <= width / 2 + 1e-4 < width_of(rows - 1) + 2e-4


def test_right_labels_compete_with_wrong_ones():
    """The share is an average over both explanations."""
    verdict = label_verdict(
        dataclasses.replace(SOUND, contamination=0.06, share=(0.0, 0.13), all_right=0.4)
    )
    used, right = verdict.explanations
    assert (used.weight, right.weight) == (0.6, 0.4)
    assert (used.contamination, right.contamination) == (pytest.approx(0.1), 0.0)
    with_pair = dataclasses.replace(SOUND, share=(0.0, 0.13), all_right=0.4, pairs=(PAIR,))
    assert [one.weight for one in label_verdict(with_pair).explanations] == [None, None, 0.4]


def test_an_exchange_of_names_exchanges_what_is_right():
    """Rows of label 0 are right with probability .9; after the exchange with .1."""
    posterior = np.array([[0.9, 0.1, 0.0], [0.3, 0.7, 0.0], [0.0, 0.0, 1.0]])
    labels = np.array([0, 1, 2])
    assert exchanged_contamination(posterior, labels, 0, 1) == pytest.approx((0.9 + 0.7) / 3)


class Held(Saved):
    report: LabelEvidence


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


def test_a_line_where_none_is_right_cannot_tell():
    """A cluster that a linear network cannot explain is not wrong."""
    x, y = make_classification(
        200, 6, n_informative=4, weights=[0.85], class_sep=1.5, flip_y=0.0, random_state=1
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CannotTellWarning)
        model = NBAMClassifier(network=nn.Linear, random_state=0).fit(x, y)
    assert model.verdict_.level == "cannot tell"
    assert model.fit_.label_evidence.echoed > 0.3


def test_flips_above_one_half_are_no_misfit():
    """Most of the rows around a flipped one are flipped, too, and the fit knows that."""
    rng = np.random.default_rng(0)
    true = np.arange(600) % 4
    x = 6 * np.eye(4)[true] + rng.normal(size=(600, 4))
    y = np.where((true == 0) & (rng.random(600) < 0.6), 1, true)
    model = NBAMClassifier(random_state=0).fit(x, y)
    assert roc_auc_score(y != true, model.responsibility_) > 0.99
    assert abs(model.fit_.label_evidence.echoed) < 0.1
    assert model.verdict_.level != "cannot tell"
