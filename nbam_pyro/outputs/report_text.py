"""The text of a `ContaminationReport`, rounded, with the most suspicious rows."""

from collections.abc import Sequence

import pandas as pd

from nbam_pyro.outputs.wording.sentences import percent

__all__ = ["report_text"]

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
