"""Verdicts in words and in files, and shares with intervals."""

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from nbam_pyro.outputs import Explanation, Verdict
from nbam_pyro.outputs.share import NETWORK_ERROR, ShareDraws, rate_of

VERDICT = Verdict(
    level="weak",
    sure="Half of the labels are wrong.",
    assumed="The names of {0} and {2} rest on an assumption.",
    decides="Verify rows of {2}.",
    explanations=(
        Explanation(text="{0} is named {0}.", contamination=0.2, weight=0.75),
        Explanation(text="{0} is named {2}.", contamination=0.8),
    ),
)


def test_names_of_classes_replace_their_numbers_everywhere():
    names = ["ant", "bee", 7.5]
    named = VERDICT.named(names)
    assert named.lines() == [
        "Verdict: weak",
        "Half of the labels are wrong.",
        "The names of ant and 7.5 rest on an assumption.",
        "Verify rows of 7.5.",
    ]
    assert str(named) == "\n".join(named.lines())
    assert "Verify rows of 2." in str(VERDICT)
    table = named.table()
    assert table["explanation"].tolist() == ["ant is named ant.", "ant is named 7.5."]
    assert table["contamination"].tolist() == [0.2, 0.8]
    np.testing.assert_equal(table["weight"].to_numpy(), [0.75, np.nan])
    assert VERDICT.table()["explanation"][1] == "0 is named 2."


def share_of(r, *, parts=1, known=None, **options):
    draws = ShareDraws()
    for one in np.array_split(np.arange(r.shape[1]), parts):
        draws.add(r[:, one], known=None if known is None else known[one])
    return draws.summary(**options)


def test_a_share_does_not_depend_on_the_parts_in_which_rows_are_added():
    r = np.random.default_rng(1).random((2000, 40))
    known = np.arange(40) < 10
    one, many = (share_of(r, parts=n, known=known, error=NETWORK_ERROR) for n in (1, 7))
    assert one.mean == pytest.approx(many.mean)
    assert (one.low, one.high) == pytest.approx((many.low, many.high), abs=0.03)


def test_sentences_that_are_empty_are_left_out():
    verdict = Verdict(level="identified", sure="One label is wrong.")
    assert verdict.lines() == ["Verdict: identified", "One label is wrong."]
    assert verdict.table().empty


def test_a_verdict_is_read_as_it_was_written():
    saved = json.loads(json.dumps(dataclasses.asdict(VERDICT)))
    assert Verdict.from_saved(saved) == VERDICT
    with pytest.raises(ValidationError, match="level"):
        Verdict.from_saved(saved | {"level": "sure"})


@given(st.integers(1, 50), st.integers(1, 30), st.integers(0, 1000), st.floats(0.5, 0.99))
def test_intervals_lie_within_the_draws(draws, rows, seed, probability):
    r = np.random.default_rng(seed).random((draws, rows))
    share = share_of(r, probability=probability)
    assert share.mean == pytest.approx(r.mean())
    assert 0 <= share.low <= share.high <= 1
    rate = rate_of(r[:, 0], probability=probability)
    assert r[:, 0].min() <= rate.low <= rate.high <= r[:, 0].max()


def test_the_band_has_the_explanations_that_compete():
    explanations = (
        Explanation(text="One.", contamination=0.1, weight=0.9),
        Explanation(text="Two.", contamination=0.4, weight=0.06),
        Explanation(text="Three.", contamination=0.3, weight=0.01),
        Explanation(text="Names are exchanged.", contamination=0.8),
    )
    bands = {
        level: Verdict(level=level, sure="", explanations=explanations).band
        for level in ("identified", "weak", "cannot tell")
    }
    assert bands == {"identified": [], "weak": [0.1, 0.4], "cannot tell": [0.1, 0.4]}


def test_the_error_of_an_estimate_widens_the_interval_of_rows_that_are_not_verified():
    r = np.full((4000, 300), 0.2)
    plain, wider = share_of(r), share_of(r, error=NETWORK_ERROR)
    assert plain.low > wider.low
    assert plain.high < wider.high
    assert plain.mean == wider.mean
    verified = np.zeros((500, 300))
    verified[:, :60] = 1
    known = share_of(verified, error=NETWORK_ERROR, known=np.full(300, True))
    assert (known.low, known.high) == pytest.approx((0.2, 0.2))
    none = share_of(np.zeros((500, 300)), error=NETWORK_ERROR)
    assert (none.low, none.high) == (0, 0)
