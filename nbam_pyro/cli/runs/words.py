"""The summary of a run, and of scored rows, in words."""

from collections.abc import Iterator
from typing import Any

from nbam_pyro.cli.runs.scored import Scored
from nbam_pyro.outputs.wording.sentences import about, percent

__all__ = ["NONE_SUSPICIOUS", "corrected_lines", "probability", "scored_line", "show_lines"]

NONE_SUSPICIOUS = "no label or measurement is wrong with a probability of 0.001 or more"


def show_lines(summary: dict[str, Any]) -> list[str]:
    """Describe what a run found, in lines of text.

    Args:
        summary: Content of summary.json.
    """
    if summary["task"] == "detection":
        return list(_anomalies(summary))
    lines = [*_what(summary), *_how_much(summary)]
    if "directions" in summary:
        wrong = summary["contamination"] * summary["labelled"]
        lines += _directions(summary["directions"], wrong)
    if summary["task"] == "regression":
        lines += _sides(summary)
    return [*lines, *_how_sure(summary), *_verdict(summary)]


def scored_line(found: Scored) -> str:
    """Describe in one line what scoring new rows found.

    Args:
        found: Sums that `score_file` returned.

    Example:
        >>> scored_line(Scored(rows=2, expected=1.0, suspicious=1, flagged=1))
        '2 rows scored; 1 of them is flagged'
    """
    if found.flagged is not None:
        are = "is" if found.flagged == 1 else "are"
        return f"{found.rows} rows scored; {found.flagged} of them {are} flagged"
    if not found.suspicious:
        return f"{found.rows} rows scored; none of them is suspicious: {NONE_SUSPICIOUS}"
    share = percent(found.expected / found.rows)
    return (
        f"{found.rows} rows scored; about {found.expected:.0f} of them ({share}) are probably wrong"
    )


def corrected_lines(summary: dict[str, Any]) -> list[str]:
    """Describe what the review of a run found, in lines of text.

    Args:
        summary: Content of reviewed.json.
    """
    share, n = summary["contamination"], summary["rows"]
    low, high = summary["contamination_low"], summary["contamination_high"]
    what = "anomalies" if summary["task"] == "detection" else "wrong"
    return [
        f"Reviewed: {_rows(summary['reviewed'])} of a random sample; {summary['contaminated']} of "
        f"them are {what}.",
        f"How much: {about(share)} of the rows are {what}, {share * n:.0f} of {n} "
        f"({summary['contamination_probability']:.0%} interval {low * n:.0f} to {high * n:.0f}). "
        f"The run said {percent(summary['contamination_before'])}.",
        summary["note"],
    ]


def probability(value: float) -> str:
    """Write a probability with three decimals. Only exactly 0 or 1 is written as 0.000 or 1.000.

    Args:
        value: Probability between 0 and 1.

    Example:
        >>> probability(0.25), probability(0.0), probability(0.0001), probability(0.9999)
        ('0.250', '0.000', '<0.001', '>0.999')
    """
    text = f"{value:.3f}"
    if value > 0 and text == "0.000":
        return "<0.001"
    return ">0.999" if value < 1 and text == "1.000" else text


def _what(summary: dict[str, Any]) -> Iterator[str]:
    kind = f"labels in {summary['classes']} classes" if "classes" in summary else "measurements"
    unlabelled = summary["rows"] - summary["labelled"]
    more = f", and {unlabelled} rows without one" if unlabelled else ""
    yield f"'{summary['data']}': {summary['labelled']} {kind}{more}."
    if "annotations" in summary:
        share, low, high = (
            percent(summary[f"wrong_annotations{end}"]) for end in ("", "_low", "_high")
        )
        yield (
            f"Labels are the most probable ones among {summary['annotations']} annotations of "
            f"{summary['annotators']} annotators. Wrong annotations: {share} (90% interval {low} "
            f"to {high})."
        )
    yield from (f"Note: {note}." for note in summary["notes"])


def _anomalies(summary: dict[str, Any]) -> Iterator[str]:
    n, features = summary["rows"], summary["features"]
    kind = "scores" if features is None else f"rows of {features} features"
    yield f"'{summary['data']}': {n} {kind}."
    yield from (f"Note: {note}." for note in summary["notes"])
    share, low, high = (percent(summary[f"contamination{end}"]) for end in ("", "_low", "_high"))
    yield f"How many: {share} of the rows are probably anomalies (90% interval {low} to {high})."
    if summary["threshold"] is None:
        yield f"Which: {_rows(summary['flagged'])} flagged, with a probability above one half."
    else:
        yield (
            f"Which: {_rows(summary['flagged'])} flagged, with a score above "
            f"{summary['threshold']:.4g}."
        )
    yield from _verdict(summary)


def _how_much(summary: dict[str, Any]) -> Iterator[str]:
    share, n = summary["contamination"], summary["labelled"]
    low, high = summary["contamination_low"], summary["contamination_high"]
    interval = f"{summary['contamination_probability']:.0%} interval"
    yield (
        f"How much: {about(share)} are probably wrong, {share * n:.0f} of {n} "
        f"({interval} {low * n:.0f} to {high * n:.0f})."
    )
    rate = percent(summary["population_rate"])
    low, high = summary["population_rate_low"], summary["population_rate_high"]
    yield (
        f"Probability that a new row is wrong: {rate} ({interval} {percent(low)} to "
        f"{percent(high)})."
    )
    if "verified" in summary:
        right, wrong = summary["verified"]["clean"], summary["verified"]["contaminated"]
        yield f"Verified: {_rows(right + wrong)}, {right} of them right and {wrong} wrong."


def _directions(directions: list[dict[str, Any]], wrong: float) -> Iterator[str]:
    if not directions:
        yield "Which directions: no direction stands out."
        return
    others = wrong - sum(one["rows"] for one in directions)
    yield "Which directions:"
    for one in directions:
        rate, low, high = (percent(one[key], 0) for key in ("rate", "low", "high"))
        yield (
            f"  {one['true']!r} is labelled {one['observed']!r} in {rate} of cases "
            f"(90% interval {low} to {high}), about {_rows(one['rows'])}"
        )
    if others >= 1:
        yield f"  all other flips together: about {_rows(others)}"


def _sides(summary: dict[str, Any]) -> Iterator[str]:
    if not summary["flagged"]:
        yield "Which way: unknown, because no row is more probably wrong than right."
        return
    above, flagged = summary["flagged_above"], summary["flagged"]
    yield (
        f"Which way: of {_rows(flagged, 'flagged row')}, {above} lie above and {flagged - above} "
        f"below the prediction, typically by {summary['flagged_error']:.4g}."
    )
    if summary["clean_error"] is not None:
        yield f"The other rows scatter around the prediction by {summary['clean_error']:.4g}."


def _how_sure(summary: dict[str, Any]) -> Iterator[str]:
    yield (
        f"How sure: {_rows(summary['flagged'])} flagged (more probably wrong than right), of which "
        f"about {summary['flagged_wrong']:.0f} are expected to be wrong. Probability of being "
        f"wrong: above 90% for {_rows(summary['sure'])}, between 10% and 90% for "
        f"{_rows(summary['doubtful'])}."
    )
    if not summary["flagged"] and not summary["doubtful"]:
        yield "No row is suspicious: none is wrong with a probability above 10%."
    if summary["doubtful"] > summary["labelled"] / 2:
        yield (
            "Most rows are neither clearly right nor clearly wrong: there are too few data, or "
            "they are too hard to predict. These flags are not reliable."
        )
    if summary["verdict"] == "cannot tell":
        yield "Do not trust these flags: the verdict below gives the reason."
    if summary["evidence"] == "out-of-sample":
        yield "All figures rest on the given predictions, which must be out of sample."
        return
    if "annotations" in summary:
        yield (
            "Shares and probabilities follow from all annotations and from predictions out of "
            "fold. The directions of flips assume that the network is right."
        )
        return
    if summary["evidence"] == "cross-fitted":
        yield (
            "Shares and probabilities are cross-fitted, and averaged over how far the network can "
            "be trusted. The directions of flips assume that it is right."
        )
        return
    yield (
        f"All figures are {summary['evidence']} and assume that the fitted network is right. "
        "The intervals do not include its errors, so the truth may lie outside them."
    )


def _verdict(summary: dict[str, Any]) -> Iterator[str]:
    yield from summary["verdict_lines"]
    if summary["explanations"]:
        yield "All competing explanations: 'explanations' in summary.json."


def _rows(number: float, noun: str = "row") -> str:
    return f"{number:.0f} {noun}{'' if round(number) == 1 else 's'}"
