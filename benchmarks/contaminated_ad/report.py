"""The tables of detectors, from the files of rows.

    python -m benchmarks.contaminated_ad.report

They go into docs/detection.md between its markers: means over seeds, and over data sets.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from benchmarks.arguments import Parser
from benchmarks.contaminated_ad.__main__ import KEY
from benchmarks.contaminated_ad.methods import IMAGE, PYOD, TABULAR
from benchmarks.documents import insert
from benchmarks.rows import RowFile
from nbam_pyro.errors import DataError

ROOT = Path(__file__).parent.parent
RESULTS, DOCUMENT = ROOT / "results" / "contaminated_ad", ROOT.parent / "docs" / "detection.md"
NAME = "benchmarks.contaminated_ad.report"
ORDER = [*TABULAR, *IMAGE]
CASE = ["family", "alpha0", "alpha", "scale", "epochs"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the tables."""
    parser = Parser(
        prog=f"python -m {NAME}",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the rows")
    parser.add_argument("--document", type=Path, default=DOCUMENT, help="to write into")
    given = parser.parse_args(arguments)
    try:
        insert(given.document, tables(load(given.results)), made_by=NAME)
    except DataError as error:
        parser.error(str(error))


def load(folder: Path) -> pd.DataFrame:
    """The rows of all files of a folder.

    Raises:
        DataError: there are none.
    """
    rows = [row for path in sorted(folder.glob("*.json")) for row in RowFile(path, KEY).read()]
    if not rows:
        raise DataError(f"{folder} has no files of rows; run benchmarks.contaminated_ad first.")
    return pd.DataFrame(rows)


def tables(rows: pd.DataFrame) -> str:
    """One table for each family of methods, true and assumed share, scale and epochs."""
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
    """Data sets by methods, and the mean over data sets that have all of them."""
    methods = sorted(set(rows["method"]), key=ORDER.index)
    wide = 100 * rows.pivot_table(index="dataset", columns="method", values=["auc", "f1"])
    lines = ["| data | " + " | ".join(f"`{name}`" for name in methods) + " |"]
    lines.append("|" + "---|" * (1 + len(methods)))
    for name, values in wide.iterrows():
        lines.append(f"| {name} | {_cells(values, methods)} |")
    whole = wide.dropna()
    if len(whole) > 1:
        lines.append(f"| *mean of {len(whole)}* | {_cells(whole.mean(), methods)} |")
    return "\n".join(lines)


def _family(method: str) -> str:
    """Methods of one backbone share a table, and so do PyOD's."""
    if method in PYOD:
        return "PyOD"
    return "svdd" if method == "deepsad" else method.partition("-")[0]


def _cells(values: pd.Series, methods: list[str]) -> str:
    pairs = [(values["auc", method], values["f1", method]) for method in methods]
    return " | ".join("" if pd.isna(auc) else f"{auc:.1f} / {f1:.1f}" for auc, f1 in pairs)


if __name__ == "__main__":
    main()
