"""The verdict of a fit, its reasons, and both readings of mutual pairs."""

import dataclasses
import json
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import make_classification
from torch import nn

from nbam_pyro import NBAMClassifier
from nbam_pyro.errors import CollapseWarning
from nbam_pyro.inference import Identifiability, MutualPair
from nbam_pyro.inference.diagnostics.identify import permutation_margins
from nbam_pyro.models.priors.class_frequency import class_prior_sentence
from nbam_pyro.storage import Saved, validated

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
        ({"occupancy": (0.5, 0.01, 0.49)}, "cannot tell", "following classes: bee"),
        (
            {"margin_probability": (0.8, 0.7, 1.0)},
            "cannot tell",
            "among the following classes: ant, bee",
        ),
        (
            {"band": ((0.5, 0.1), (1.0, 0.2), (2.0, 0.26))},
            "cannot tell",
            "cannot tell how many labels are wrong",
        ),
        ({"echoed": 0.6}, "cannot tell", "by 60 percentage points"),
        ({"echoed": 0.1}, "identified", "identified"),
        ({"pairs": (PAIR,)}, "weak", "names of the classes ant, bee rest on the assumption"),
        (
            {"pairs": (dataclasses.replace(PAIR, decided=True),), "margin_probability": (0, 0, 1)},
            "identified",
            "verified labels decide",
        ),
        ({"restarts": (0.0, 0.0, 0.3)}, "weak", "other flips of the classes cat"),
        ({"band": ((0.5, 0.1), (1.0, 0.2), (2.0, 0.24))}, "weak", "between 0.10 and 0.24"),
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
        assert f"the data cannot tell which; the fit uses {rate:.2f}".replace("0.", ".") in line
    assert PAIR.line(["ant", "bee"]).startswith("ant<->bee: .40 and .35, or .65 and .60 with")


def test_what_was_supposed_of_frequencies_stands_between_reasons_and_pairs():
    report = dataclasses.replace(SOUND, pairs=(PAIR,), class_prior=50.0)
    plain = dataclasses.replace(report, class_prior=None)
    first, reason, pair = plain.lines()
    assert report.lines() == [first, reason, class_prior_sentence(50.0), pair]
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
