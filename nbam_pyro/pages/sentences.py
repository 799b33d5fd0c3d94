"""The findings in plain sentences."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import pandas as pd

from nbam_pyro.outputs.share import Share
from nbam_pyro.outputs.wording.sentences import about, percent, rows_are
from nbam_pyro.pages.findings import Findings

__all__ = ["WORDS", "Words", "directions", "how_much", "how_sure", "meaning", "new_rows", "sides"]

_SURE, _DOUBTFUL = 0.9, 0.1
# A direction is listed if its rate is surely above this and at least one row is flagged in it.
_RARE = 0.01


@dataclass(frozen=True, kw_only=True)
class Words:
    """Words for one kind of targets.

    Attributes:
        title: Beginning of the title of a page.
        one: What a target is called.
        many: The same in the plural.
        wrong: What a contaminated target is.
        contaminated: What is said of a row with a contaminated target.
        hidden: What contaminated targets are called that were not found.
        chance: Heading of a column of responsibilities.
        responsibility: What a responsibility is.
    """

    title: str
    one: str
    many: str
    wrong: str
    contaminated: str
    hidden: str
    chance: str
    responsibility: str


WORDS: Mapping[str, Words] = MappingProxyType(
    {
        "labels": Words(
            title="Wrong labels",
            one="label",
            many="labels",
            wrong="wrong",
            contaminated="has a wrong label",
            hidden="wrong labels",
            chance="P(wrong)",
            responsibility="the probability that the label of the row is wrong",
        ),
        "measurements": Words(
            title="Wrong measurements",
            one="measurement",
            many="measurements",
            wrong="wrong",
            contaminated="has a wrong measurement",
            hidden="wrong measurements",
            chance="P(wrong)",
            responsibility="the probability that the measurement of the row is wrong",
        ),
        "scores": Words(
            title="Anomalies",
            one="row",
            many="rows",
            wrong="anomalies",
            contaminated="is an anomaly",
            hidden="anomalies",
            chance="P(anomaly)",
            responsibility="the probability that the row is an anomaly",
        ),
        "series": Words(
            title="Bursts",
            one="row",
            many="rows",
            wrong="contaminated",
            contaminated="is contaminated",
            hidden="contaminated rows",
            chance="P(contaminated)",
            responsibility="the probability that the row is contaminated, given its whole series",
        ),
    }
)
"""Words for each kind of targets."""

_MEANINGS = MappingProxyType(
    {
        "identified": "The data show which rows are contaminated. You can act on the list below.",
        "weak": "A part of the result rests on an assumption. Read the assumption before you act.",
        "cannot tell": "The data do not show which rows are contaminated. Do not act on the "
        "probabilities below before you have checked some rows.",
    }
)


def meaning(findings: Findings) -> str:
    """Return a sentence that says what the level of the verdict means for the reader."""
    return _MEANINGS[findings.verdict]


def how_much(findings: Findings) -> str:
    """Return a sentence about the contaminated share.

    Args:
        findings: What was found.
    """
    words, share, n = WORDS[findings.kind], findings.share, len(findings.rows)
    return (
        f"{about(share.mean).capitalize()} of the {words.many} are probably {words.wrong}: "
        f"{share.mean * n:,.0f} of {n:,} ({share.probability:.0%} interval {share.low * n:,.0f} to "
        f"{share.high * n:,.0f})."
    )


def new_rows(findings: Findings) -> str:
    """Return a sentence about new rows of the same kind.

    Args:
        findings: What was found.
    """
    rate, words = findings.rate, WORDS[findings.kind]
    chance = f"{percent(rate.mean)} ({_interval(rate)})"
    return f"A new row {words.contaminated} with a probability of {chance}."


def _interval(share: Share) -> str:
    low, high = percent(share.low), percent(share.high)
    return f"{share.probability:.0%} interval {low} to {high}"


def how_sure(findings: Findings) -> Iterator[str]:
    """Yield sentences about the flags.

    Args:
        findings: What was found.
    """
    r, words = findings.responsibility, WORDS[findings.kind]
    flagged = findings.flagged
    number, right = int(flagged.sum()), float(r[flagged].sum())
    if number:
        yield (
            f"{rows_are(number)} flagged. By the probabilities, about {right:,.0f} of the flags "
            f"are right and {number - right:,.0f} are false alarms."
        )
    else:
        yield "No row is flagged."
    sure, doubtful = int((r > _SURE).sum()), int(((r > _DOUBTFUL) & (r < _SURE)).sum())
    yield (
        f"The probability is above 90% for {sure:,} {'row' if sure == 1 else 'rows'}, and between "
        f"10% and 90% for {doubtful:,}."
    )
    missed = float(r[~flagged].sum())
    if missed >= 1:
        yield f"About {missed:,.0f} {words.hidden} are expected among the rows without a flag."
    if findings.basis:
        yield findings.basis


def sides(findings: Findings) -> str:
    """Return a sentence about flagged measurements above and below their predictions.

    Args:
        findings: What was found.
    """
    rows = findings.rows[findings.flagged]
    if findings.kind != "measurements" or "prediction" not in rows or not len(rows):
        return ""
    error = rows["label"].to_numpy(dtype=float) - rows["prediction"].to_numpy(dtype=float)
    above = int((error > 0).sum())
    return (
        f"Of {len(rows):,} flagged measurements, {above:,} lie above and {len(rows) - above:,} "
        f"below the prediction, typically by {np.median(np.abs(error)):.4g}."
    )


def directions(findings: Findings, *, most: int = 20) -> pd.DataFrame | None:
    """Return the flips that stand out, the most frequent first; None if they are not known.

    Args:
        findings: What was found.
        most: Largest number of flips.

    Returns:
        A table with the columns true, observed, rate, low, high (NaN without intervals) and rows,
        the number of flagged rows with these two labels.
    """
    matrix, names = findings.matrix, findings.classes
    if matrix is None or names is None or "suggested_label" not in findings.rows:
        return None
    counts = _flagged_pairs(findings, names)
    nothing = np.full_like(matrix.mean, np.nan)
    low = nothing if matrix.low is None else matrix.low
    high = nothing if matrix.high is None else matrix.high
    surely = matrix.mean if matrix.low is None else matrix.low
    pairs = np.argwhere((surely > _RARE) & (counts >= 1) & ~np.eye(len(names), dtype=bool))
    found = [
        (names[c], names[o], matrix.mean[c, o], low[c, o], high[c, o], counts[c, o])
        for c, o in pairs
    ]
    table = pd.DataFrame(found, columns=["true", "observed", "rate", "low", "high", "rows"])
    return table.sort_values("rows", ascending=False, kind="stable").head(most)


def _flagged_pairs(findings: Findings, names: Sequence[str]) -> np.ndarray:
    """Return the numbers of flagged rows by suggested and observed label, (K, K)."""
    place = {name: c for c, name in enumerate(names)}
    rows = findings.rows[findings.flagged]
    counts = np.zeros((len(names), len(names)), dtype=int)
    suggested, observed = (rows[name].map(place) for name in ("suggested_label", "label"))
    np.add.at(counts, (suggested.to_numpy(dtype=int), observed.to_numpy(dtype=int)), 1)
    return counts
