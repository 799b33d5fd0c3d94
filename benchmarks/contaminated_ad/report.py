"""The table of detectors, from the files of rows.

    python -m benchmarks.contaminated_ad.report

It goes into docs/detection.md between its markers: means over seeds, and over data sets.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from benchmarks.arguments import Parser
from benchmarks.contaminated_ad.__main__ import KEY
from benchmarks.rows import RowFile

ROOT = Path(__file__).parent.parent
RESULTS, DOCUMENT = ROOT / "results" / "contaminated_ad", ROOT.parent / "docs" / "detection.md"
START, END = (
    "<!-- detection: made by benchmarks.contaminated_ad.report -->",
    "<!-- detection ends -->",
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the tables."""
    parser = Parser(
        prog="python -m benchmarks.contaminated_ad.report",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the rows")
    parser.add_argument("--document", type=Path, default=DOCUMENT, help="to write into")
    given = parser.parse_args(arguments)
    rows = [
        row for path in sorted(given.results.glob("*.json")) for row in RowFile(path, KEY).read()
    ]
    if not rows:
        parser.error(f"{given.results} has no files of rows")
    text = given.document.read_text()
    before, _, rest = text.partition(START)
    _, found, after = rest.partition(END)
    if not found:
        parser.error(f"{given.document} lacks the markers {START} and {END}")
    given.document.write_text(f"{before}{START}\n\n{tables(pd.DataFrame(rows))}\n{END}{after}")


def tables(rows: pd.DataFrame) -> str:
    """One table for every true and assumed share and family of methods: AUC and F1 in percent."""
    rows = rows.assign(family=rows["method"].str.partition("-")[0])
    parts = []
    for (family, alpha0, alpha), part in rows.groupby(["family", "alpha0", "alpha"]):
        assumed = "" if alpha == alpha0 else f", assumed {alpha:g}"
        seeds = f"{part['seed'].nunique()} seeds; *mean*: over the data that all methods have."
        head = f"### {family}, share {alpha0:g}{assumed}\n\nAUC / F1 in percent, {seeds}"
        parts.append(f"{head}\n\n{table(part)}\n")
    return "\n".join(parts)


def table(rows: pd.DataFrame) -> str:
    """Data sets by methods, and the mean over data sets that have all of them."""
    methods = list(dict.fromkeys(rows["method"]))
    wide = 100 * rows.pivot_table(index="dataset", columns="method", values=["auc", "f1"])
    lines = ["| data | " + " | ".join(f"`{name}`" for name in methods) + " |"]
    lines.append("|" + "---|" * (1 + len(methods)))
    for name, values in wide.iterrows():
        lines.append(f"| {name} | {_cells(values, methods)} |")
    lines.append(f"| *mean* | {_cells(wide.dropna().mean(), methods)} |")
    return "\n".join(lines)


def _cells(values: pd.Series, methods: list[str]) -> str:
    pairs = [(values["auc", method], values["f1", method]) for method in methods]
    return " | ".join("" if pd.isna(auc) else f"{auc:.1f} / {f1:.1f}" for auc, f1 in pairs)


if __name__ == "__main__":
    main()
