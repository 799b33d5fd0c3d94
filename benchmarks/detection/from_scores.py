"""`from_scores` and other estimates of the share of anomalies, on scores of four detectors.

Every detector of `scored.DETECTORS` is fitted twice on a table: on all rows, and on the normal rows
alone. The methods see only the scores. The Brier score is that of the responsibilities against the
true anomalies; the error of the share is absolute.

The constants of the method (priors of the shape, rows that a likelihood counts) were chosen on the
tables in `DEVELOPMENT`, every third table of both folders by name. The other tables were evaluated
once, after that.
"""

import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, final

import numpy as np
import pandas as pd
import typer

from benchmarks.benchmark import CPU, Benchmark, Case, Row
from benchmarks.detection.scored import RIVALS, Scored, rival, scored_tables
from benchmarks.options import DataRoot, Names, given
from benchmarks.report import DOCS, RESULTS, Report
from nbam_pyro.outputs import from_scores

__all__ = ["FROM_SCORES", "FromScores", "comparison"]

DEVELOPMENT = (
    "12_fault",
    "19_landsat",
    "35_SpamBase",
    "43_WDBC",
    "46_WPBC",
    "7_Cardiotocography",
    "cardio",
    "pendigits",
    "thyroid",
)
"""Tables on which constants were chosen."""

_OURS = "from_scores"

TableNames = Annotated[
    Names | None,
    typer.Option(parser=Names.of, metavar="NAME,...", help="Tables to use. Default: all."),
]
Methods = Annotated[
    Names,
    typer.Option(
        parser=Names.among([_OURS, *RIVALS]),
        metavar="NAME,...",
        help="Methods to measure. Default: all. Most need the package pythresh.",
    ),
]


@final
@dataclass(frozen=True, kw_only=True)
class FromScores(Benchmark):
    """Shares and responsibilities that are estimated from scores of anomaly detectors."""

    data_root: DataRoot = None
    cache: Annotated[
        Path | None, typer.Option(help="Folder where scores and results of rivals are kept.")
    ] = None
    tables: TableNames = None
    methods: Methods = Names([_OURS, *RIVALS])

    def measure(self, known: Collection[Case]) -> Iterator[Row]:
        """Yield one row per table, detector, method, with and without anomalies.

        Rivals are measured only with anomalies.

        Raises:
            DataError: PyOD or pythresh is not installed, or data are missing.
        """
        for one in scored_tables(given(self.data_root), only=self.tables, cache=self.cache):
            for method in self.methods:
                case = Case(
                    data=one.table,
                    method=method,
                    settings={
                        "detector": one.detector,
                        "anomalies": "removed" if one.removed else "kept",
                        "part": "development" if one.table in DEVELOPMENT else "evaluation",
                    },
                )
                if case not in known and (method == _OURS or not one.removed):
                    yield _measured(case, one, self.cache)

    @staticmethod
    def summary(rows: pd.DataFrame) -> str:
        """Return the comparison on development and evaluation tables."""
        return comparison(rows)


def _measured(case: Case, one: Scored, cache: Path | None) -> Row:
    if case.method != _OURS:
        return Row(
            case=case, figures=_figures(rival(case.method, one, cache=cache), one), device=CPU
        )
    started = time.perf_counter()
    report = from_scores(one.scores)
    seconds = round(time.perf_counter() - started, 2)
    low, high = report.contamination_interval
    return Row(
        case=case,
        figures={
            **_figures(report.rows["responsibility"].to_numpy(), one),
            "low": low,
            "high": high,
            "seconds": seconds,
        },
        notes={"level": report.verdict.level},
        device=CPU,
    )


def _figures(r: np.ndarray, one: Scored) -> dict[str, float | None]:
    truth, share = float(one.anomaly.mean()), float(r.mean())
    return {
        "truth": truth,
        "share": share,
        "error": abs(share - truth),
        "brier": float(((r - one.anomaly) ** 2).mean()),
    }


def comparison(rows: pd.DataFrame) -> str:
    """Return a table of means for each part, and the counts of tables where `from_scores` is ahead.

    Args:
        rows: One row per case.
    """
    return "\n\n".join(
        f"## {str(part).capitalize()} tables\n\n{_of_part(chosen)}"
        for part, chosen in rows.groupby("part")
    )


def _of_part(rows: pd.DataFrame) -> str:
    kept = rows[rows["anomalies"] == "kept"]
    means = kept.groupby(["method", "data"])[["share", "error", "brier"]].mean()
    ours = means.loc[_OURS]
    lines = [
        "| method | share | error of the share | Brier score | tables with a larger error than "
        "`from_scores` | tables with a larger Brier score |",
        "|---|---|---|---|---|---|",
    ]
    for method in [_OURS, *(name for name in RIVALS if name in means.index)]:
        own = means.loc[method]
        same = ours.loc[own.index]
        figures = " | ".join(f"{own[name].mean():.3f}" for name in ("share", "error", "brier"))
        ahead = [
            "" if method == _OURS else f"{int((own[name] > same[name]).sum())} of {len(own)}"
            for name in ("error", "brier")
        ]
        fewer = (
            f" (`{_OURS}` on these tables: error {same['error'].mean():.3f}, Brier score "
            f"{same['brier'].mean():.3f})"
            if len(own) < len(ours)
            else ""
        )
        lines.append(f"| `{method}`{fewer} | {figures} | {' | '.join(ahead)} |")
    removed = rows[(rows["method"] == _OURS) & (rows["anomalies"] == "removed")]
    own_rows = kept[kept["method"] == _OURS]
    levels = own_rows.groupby("level", sort=True)
    inside = ", ".join(
        f"{level} {((part['low'] <= part['truth']) & (part['truth'] <= part['high'])).sum()} "
        f"of {len(part)}"
        for level, part in levels
    )
    return (
        "\n".join(lines)
        + f"\n\nMeans over tables, true share {own_rows['truth'].mean():.3f}. Share that "
        f"`from_scores` reports after anomalies were removed: {removed['share'].mean():.3f}, at "
        f"most {removed['share'].max():.3f}. Intervals that contain the true share, by verdict: "
        f"{inside}."
    )


FROM_SCORES = Report(
    name="from-scores",
    results=RESULTS / "from-scores.parquet",
    document=DOCS / "benchmarks" / "scores.md",
    text=comparison,
)
