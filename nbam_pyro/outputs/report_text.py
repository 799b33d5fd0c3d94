"""The text of a `ContaminationReport`, rounded, with the most suspicious rows."""

from collections.abc import Sequence

import pandas as pd

__all__ = ["percent", "report_text"]

# Number of rows in the table of the most suspicious rows.
_SHOWN = 20


def report_text(
    kind: str,
    rows: pd.DataFrame,
    *,
    interval: tuple[float, float],
    probability: float,
    told: Sequence[str],
    flagged: float,
) -> str:
    """Return the text of a report.

    Args:
        kind: Name of the targets, such as "labels".
        rows: Rows of the report, with the column "responsibility".
        interval: Ends of the interval of the contaminated share.
        probability: Probability that the interval contains.
        told: Sentences to add at the end, one in each line.
        flagged: Responsibility above which a row is shown as suspicious.
    """
    r = rows["responsibility"]
    low, high = map(percent, interval)
    share = (
        f"Contaminated share of these {len(rows):,} {kind}: {percent(r.mean())} "
        f"({probability:.0%} interval {low} to {high})."
    )
    return "\n".join([share, _suspicious(rows, flagged), *told])


def _suspicious(rows: pd.DataFrame, flagged: float) -> str:
    r = rows["responsibility"]
    number = int((r > flagged).sum())
    if not number:
        return f"No row is suspicious: the largest responsibility is {percent(r.max())}."
    worst = rows.sort_values("responsibility", ascending=False, kind="stable")
    shown = worst.head(min(number, _SHOWN))
    table = shown.to_string(formatters={"responsibility": percent}, float_format="{:.3g}".format)
    return (
        f"{number:,} rows have a responsibility above {flagged:g}"
        + (f"; the {_SHOWN} most suspicious" if number > _SHOWN else "")
        + f":\n{table}"
    )


def percent(share: float) -> str:
    """Return a share as a text that is never rounded to 0 % or 100 %.

    Args:
        share: Share, from 0 to 1.

    Example:
        >>> [percent(share) for share in (0.0, 0.0004, 0.123, 0.9999, 1.0)]
        ['0 %', 'below 0.1 %', '12.3 %', 'above 99.9 %', '100 %']
    """
    if share in (0, 1):
        return f"{100 * share:.0f} %"
    if not 0.001 <= share <= 0.999:
        return "below 0.1 %" if share < 0.5 else "above 99.9 %"
    return f"{100 * share:.1f} %"
