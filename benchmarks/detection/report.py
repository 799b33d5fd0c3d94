"""Tables of detectors in docs/benchmarks/detection.md: means over seeds and data sets."""

import pandas as pd

from benchmarks.detection.methods import IMAGE, PYOD, TABULAR
from benchmarks.report import DOCS, RESULTS, Report

__all__ = ["CONTAMINATED_AD", "tables"]

ORDER = [*TABULAR, *IMAGE]
CASE = ["family", "alpha0", "alpha", "scale", "epochs"]


def tables(rows: pd.DataFrame) -> str:
    """Make one table for each family of methods, true share, assumed share, scale and epochs.

    Args:
        rows: One row per case, as `rows.wide` returns them.
    """
    parts = []
    for case, part in rows.assign(family=rows["method"].map(_family)).groupby(CASE):
        family, alpha0, alpha, scale, epochs = case
        head = f"### {family}, share {alpha0:g}"
        head += "" if alpha == alpha0 else f", assumed {alpha:g}"
        head += "" if scale == "range" else ", features as they are"
        length = f"{epochs} epochs, " if epochs else ""
        about = f"{length}{part['seed'].nunique()} seeds; *mean*: over the data that all have."
        parts.append(f"{head}\n\nAUC / F1 in percent, {about}\n\n{table(part)}\n")
    return "\n".join(parts)


def table(rows: pd.DataFrame) -> str:
    """Make a table of data sets by methods. The mean is over data sets with all methods."""
    methods = sorted(set(rows["method"]), key=ORDER.index)
    wide = 100 * rows.pivot_table(index="data", columns="method", values=["auc", "f1"])
    lines = ["| data | " + " | ".join(f"`{name}`" for name in methods) + " |"]
    lines.append("|" + "---|" * (1 + len(methods)))
    for name, values in wide.iterrows():
        lines.append(f"| {name} | {_cells(values, methods)} |")
    whole = wide.dropna()
    if len(whole) > 1:
        lines.append(f"| *mean of {len(whole)}* | {_cells(whole.mean(), methods)} |")
    return "\n".join(lines)


def _family(method: str) -> str:
    """Return the table of a method: the name of its backbone, or "PyOD"."""
    if method in PYOD:
        return "PyOD"
    return "svdd" if method == "deepsad" else method.partition("-")[0]


def _cells(values: pd.Series, methods: list[str]) -> str:
    pairs = [(values["auc", method], values["f1", method]) for method in methods]
    return " | ".join("" if pd.isna(auc) else f"{auc:.1f} / {f1:.1f}" for auc, f1 in pairs)


CONTAMINATED_AD = Report(
    name="contaminated-ad",
    results=RESULTS / "contaminated-ad.parquet",
    document=DOCS / "benchmarks" / "detection.md",
    text=tables,
)
