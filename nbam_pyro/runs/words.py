"""A summary in words."""

from collections.abc import Iterator
from typing import Any

import pandas as pd


def show_lines(summary: dict[str, Any]) -> list[str]:
    """What a run found, line by line.

    Args:
        summary: the content of summary.json.
    """
    if summary["task"] == "detection":
        return list(_anomalies(summary))
    lines = [*_what(summary), *_how_much(summary)]
    if summary["task"] == "classification":
        wrong = summary["contamination"]["mean"] * summary["labelled"]
        lines += _directions(summary["directions"], wrong)
    else:
        lines += _sides(summary)
    return [*lines, *_how_sure(summary), *summary.get("identifiability", [])]


def scored_line(table: pd.DataFrame) -> str:
    """What scoring new rows found.

    Args:
        table: from `score_file`.

    Example:
        >>> scored_line(pd.DataFrame({"score": [2.0, 1.0], "flagged": [True, False]}))
        '2 rows scored; 1 of them is flagged'
    """
    n = len(table)
    if "responsibility" in table:
        expected = table["responsibility"].sum()
        return (
            f"{n} rows scored; about {expected:.0f} of them ({expected / n:.1%}) are probably wrong"
        )
    flagged = int(table["flagged"].sum())
    return f"{n} rows scored; {flagged} of them {'is' if flagged == 1 else 'are'} flagged"


def _what(summary: dict[str, Any]) -> Iterator[str]:
    kind = f"labels in {summary['classes']} classes" if "classes" in summary else "measurements"
    unlabelled = summary["rows"] - summary["labelled"]
    more = f" and {unlabelled} rows without one" if unlabelled else ""
    yield f"{summary['data']}: {summary['labelled']} {kind}{more}."
    yield from (f"Note: {note}." for note in summary["notes"])


def _anomalies(summary: dict[str, Any]) -> Iterator[str]:
    n, rate = summary["rows"], summary["rate"]
    yield f"{summary['data']}: {n} rows of {summary['features']} features."
    yield from (f"Note: {note}." for note in summary["notes"])
    if summary["rate_high"] is None:
        yield f"How many: {rate:.1%} of the rows, as was given."
    elif rate == 0:
        yield (
            "How many: cannot be told; there is no share at which independent models agree best "
            "which rows are anomalies, so nothing is flagged. Look at the highest scores, or give "
            "--contamination."
        )
    else:
        low, high = summary["rate_low"], summary["rate_high"]
        yield (
            f"How many: perhaps {rate:.1%} of the rows ({low:.1%} to {high:.1%}), the share at "
            "which independent models agree best which they are. They also agree about normal rows "
            "that are rare and alike: look at some flagged rows, or give --contamination."
        )
    yield (
        f"Which: {_rows(summary['flagged'])} flagged, with a score above "
        f"{summary['threshold']:.4g}. Scores order rows; they are no probabilities."
    )


def _how_much(summary: dict[str, Any]) -> Iterator[str]:
    share, n = summary["contamination"], summary["labelled"]
    yield (
        f"How much: about {share['mean']:.1%} are probably wrong, {share['mean'] * n:.0f} of {n} "
        f"({share['probability']:.0%} interval {share['low'] * n:.0f} to {share['high'] * n:.0f})."
    )
    if "verified" in summary:
        right, wrong = summary["verified"]["clean"], summary["verified"]["contaminated"]
        yield f"Verified: {_rows(right + wrong)}, {right} of them right and {wrong} wrong."


def _directions(directions: list[dict[str, Any]], wrong: float) -> Iterator[str]:
    if not directions:
        yield "Which directions: none stands out."
        return
    others = wrong - sum(one["rows"] for one in directions)
    yield "Which directions:"
    for one in directions:
        yield (
            f"  {one['true']!r} is labelled {one['observed']!r} in {one['rate']:.0%} of cases "
            f"(90% interval {one['low']:.0%} to {one['high']:.0%}), about {_rows(one['rows'])}"
        )
    if others >= 1:
        yield f"  all other flips together: about {_rows(others)}"


def _sides(summary: dict[str, Any]) -> Iterator[str]:
    if not summary["flagged"]:
        yield "Which way: no row is more probably wrong than right."
        return
    above, flagged = summary["flagged_above"], summary["flagged"]
    yield (
        f"Which way: of {_rows(flagged, 'flagged row')} {above} lie above and {flagged - above} "
        f"below what the features predict, typically by {summary['flagged_error']:.4g}."
    )
    if summary["clean_error"] is not None:
        yield f"The other rows scatter around the prediction by {summary['clean_error']:.4g}."


def _how_sure(summary: dict[str, Any]) -> Iterator[str]:
    yield (
        f"How sure: {_rows(summary['flagged'])} flagged (more probably wrong than right), of which "
        f"about {summary['flagged_wrong']:.0f} expected to be wrong; {_rows(summary['sure'])} "
        f"above 90%, {_rows(summary['doubtful'])} between 10% and 90%."
    )
    if summary["doubtful"] > summary["labelled"] / 2:
        yield (
            "Most rows are neither clearly right nor clearly wrong: the data are too few or too "
            "hard to predict for these flags to mean much."
        )
    if summary["collapse"]:
        yield f"Do not trust these flags: the fit has {summary['collapse']}."
    yield (
        f"All of this is {summary['evidence']} and conditional on the fitted network: its errors "
        "are not in the intervals, and the truth may lie outside them."
    )


def _rows(number: float, noun: str = "row") -> str:
    return f"{number:.0f} {noun}{'' if round(number) == 1 else 's'}"
