"""`Crowd`: consensus labels of five public sets of crowd labels.

The data are those of Zhang et al. (2014), `{name}_crowd.txt` with item, worker and label in each
line, and `{name}_truth.txt` with item and true label. The settings of the library were the same for
all sets. Items without a true label count in the estimates and not in the error.
"""

import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, final

import numpy as np
import pandas as pd
import typer

from benchmarks.annotators.baselines import dawid_skene, majority
from benchmarks.benchmark import CPU, Benchmark, Case, Row
from benchmarks.options import Names
from benchmarks.report import DOCS, RESULTS, Report
from nbam_pyro.errors import DataError
from nbam_pyro.outputs import AnnotationReport, from_annotations
from nbam_pyro.outputs.annotations.reading import Annotated as Encoded

__all__ = ["CROWD", "Crowd", "table"]

SETS = ("bluebird", "rte", "dog", "trec", "web")
_METHODS = ("nbam", "majority", "dawid-skene")

SetNames = Annotated[
    Names,
    typer.Option(parser=Names.among(SETS), metavar="NAME,...", help="Sets to use. Default: all."),
]


@final
@dataclass(frozen=True, kw_only=True)
class Crowd(Benchmark):
    """Consensus labels of five public sets of crowd labels, and the accuracy of annotators."""

    data_dir: Annotated[Path | None, typer.Option(help="Folder of the text files.")] = None
    sets: SetNames = Names(SETS)

    def measure(self, known: Collection[Case]) -> Iterator[Row]:
        """Yield one row per set and method.

        Raises:
            DataError: A file is missing.
        """
        if self.data_dir is None:
            raise DataError("The option --data-dir is missing. Give the folder of the text files.")
        for name in self.sets:
            annotations, truth = _read(self.data_dir, name)
            for method in _METHODS:
                case = Case(data=name, method=method)
                if case not in known:
                    yield _measured(case, annotations, truth)

    @staticmethod
    def summary(rows: pd.DataFrame) -> str:
        """Return a table of the errors."""
        return table(rows)


def _read(folder: Path, name: str) -> tuple[pd.DataFrame, pd.Series]:
    try:
        crowd = np.loadtxt(folder / f"{name}_crowd.txt", dtype=np.int64)
        truth = np.loadtxt(folder / f"{name}_truth.txt", dtype=np.int64)
    except OSError as error:
        raise DataError(f"{error}. Give --data-dir the folder of the crowd files.") from error
    true = pd.Series(truth[:, 1], index=truth[:, 0])
    annotations = pd.DataFrame(crowd, columns=["item", "annotator", "label"])
    return annotations, true[~true.index.duplicated()]


def _measured(case: Case, annotations: pd.DataFrame, truth: pd.Series) -> Row:
    started = time.perf_counter()
    classes = sorted({*annotations["label"], *truth})
    if case.method == "nbam":
        report = from_annotations(annotations, classes=classes)
        q, extra = report.probabilities, _annotators(report, annotations, truth)
        notes = {"level": report.verdict.level}
    else:
        data = Encoded.of(annotations, None, verified=None, classes=classes)
        rule = majority if case.method == "majority" else dawid_skene
        q = pd.DataFrame(rule(data.triples), index=data.items, columns=data.classes)
        extra, notes = {}, {}
    seconds = time.perf_counter() - started
    known = q.reindex(truth.index).dropna()
    values = known.to_numpy()
    best = np.isclose(values, values.max(-1, keepdims=True))
    right = best[np.arange(len(known)), known.columns.get_indexer(pd.Index(truth[known.index]))]
    return Row(
        case=case,
        figures={
            "error": 100 * float(1 - (right / best.sum(-1)).mean()),
            **extra,
            "seconds": round(seconds, 1),
        },
        notes=notes,
        device=CPU,
    )


def _annotators(
    report: AnnotationReport, annotations: pd.DataFrame, truth: pd.Series
) -> dict[str, float]:
    """Return how often intervals contain the share right of annotators with known items only."""
    true = annotations["item"].map(truth)
    right = (true == annotations["label"]).groupby(annotations["annotator"]).mean()
    complete = true.notna().groupby(annotations["annotator"]).all()
    found = report.annotators.loc[complete.index[complete]]
    inside = (found["low"] <= right[found.index]) & (right[found.index] <= found["high"])
    check = float(report.agreement["agrees"].all())
    return {"coverage": float(inside.mean()) if len(found) else np.nan, "agrees": check}


def table(rows: pd.DataFrame) -> str:
    """Return the errors as a table, one row per method and one column per set.

    Args:
        rows: One row per case.
    """
    names = [name for name in SETS if name in set(rows["data"])]
    errors = rows.pivot_table(index="method", columns="data", values="error")
    lines = [f"| error in percent | {' | '.join(names)} |", "|---" * (1 + len(names)) + "|"]
    for method in (one for one in _METHODS if one in errors.index):
        cells = " | ".join(f"{value:.2f}" for value in errors.loc[method, names])
        lines.append(f"| `{method}` | {cells} |")
    ours = rows[rows["method"] == "nbam"].set_index("data")
    if len(ours):
        shown = {
            "coverage of 90 % intervals": [f"{ours['coverage'].get(n, np.nan):.2f}" for n in names],
            "agreement as predicted": ["yes" if ours["agrees"].get(n) else "no" for n in names],
            "verdict": [str(ours["level"].get(n)) for n in names],
        }
        lines += [f"| `nbam`: {what} | {' | '.join(cells)} |" for what, cells in shown.items()]
    return "\n".join(lines)


CROWD = Report(
    name="crowd",
    results=RESULTS / "crowd.parquet",
    document=DOCS / "benchmarks" / "crowd.md",
    text=table,
)
