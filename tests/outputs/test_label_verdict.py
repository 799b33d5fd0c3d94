"""The verdict on labels, given predicted probabilities."""

import numpy as np
import pytest

from nbam_pyro import from_pred_probs
from tests.verdicts import check_verdict

N = 240
TRUE = np.arange(N) % 3
SURE = 0.94 * np.eye(3)[TRUE] + 0.02


def exchanged(share):
    """Labels of the first two classes are exchanged in a share of the rows."""
    names = np.array([1, 0, 2])
    return np.where(np.random.default_rng(0).random(N) < share, names[TRUE], TRUE)


RANDOM = np.random.default_rng(1).dirichlet(np.ones(3), N)


@pytest.mark.parametrize(
    ("labels", "probabilities", "options", "level", "words"),
    [
        (TRUE, SURE, {}, "identified", "of the labels are wrong"),
        (exchanged(0.3), SURE, {"sharpness": 1.5}, "identified", "Sharpness 1.5 was given"),
        (TRUE, SURE, {"class_prior": 9.0}, "identified", "assumed to be even"),
        (TRUE, RANDOM, {}, "cannot tell", "than the most frequent class does"),
        (exchanged(0.7), SURE, {}, "cannot tell", "of the classes {0} and {1} may be wrong"),
    ],
)
def test_the_verdict_has_three_sentences(labels, probabilities, options, level, words):
    verdict = from_pred_probs(labels, probabilities, **options).verdict
    assert verdict.level == level
    assert words in verdict.sure + verdict.assumed
    check_verdict(verdict)
    exchange = "The names of the classes {0} and {1} are exchanged."
    assert ("may be exchanged" in verdict.sure) == (
        exchange in [one.text for one in verdict.explanations]
    )


def test_probabilities_that_agree_with_every_label_may_have_seen_them():
    labels = np.arange(300) % 3
    memorised = np.full((300, 3), 0.001)
    memorised[np.arange(300), labels] = 0.998
    verdict = from_pred_probs(labels, memorised).verdict
    assert "may have memorised wrong labels" in verdict.assumed
    assert "0.0% of the labels" in verdict.assumed
