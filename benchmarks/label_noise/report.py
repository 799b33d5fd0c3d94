"""Tables and a figure from the files of rows.

    python -m benchmarks.label_noise.report

Tables go into docs/benchmarks.md between its markers, the figure beside it.
"""

import argparse
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes

from benchmarks.arguments import Parser
from benchmarks.documents import insert
from benchmarks.label_noise.grid import RESULTS
from benchmarks.label_noise.methods import METHODS
from benchmarks.label_noise.problems import DATASETS, KINDS
from benchmarks.label_noise.runner import KEY
from benchmarks.rows import RowFile
from nbam_pyro.errors import DataError

DOCS = Path(__file__).parent.parent.parent / "docs"
NAME = "benchmarks.label_noise.report"
CASE = ["dataset", "kind", "rate_per_class", "train_size", "epochs"]
# Heads of the table, and the fields that they are the means of.
COLUMNS = [
    ("accuracy, last", "accuracy_last"),
    ("selected", "accuracy_selected"),
    ("resolvable", "accuracy_resolvable"),
    ("AUROC", "auroc"),
    ("resolvable", "auroc_resolvable"),
    ("within label", "auroc_within_label"),
    ("AP", "average_precision"),
    ("Brier", "brier"),
    ("resolvable", "brier_resolvable"),
    ("ECE", "ece"),
    ("rate", "rate_estimate"),
    ("flagged", "flagged"),
    ("M error", "transition_error"),
    ("seconds", "seconds"),
]
FIELDS = [field for _, field in COLUMNS]
DIRECTIONS = ["directions_found", "directions_false", "directions_total"]
DRAWN = {
    "accuracy_selected": "accuracy",
    "auroc": "AUROC of the flags",
    "brier": "Brier score of the flags",
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the tables and the figure."""
    parser = Parser(
        prog=f"python -m {NAME}",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the files")
    parser.add_argument("--document", type=Path, default=DOCS / "benchmarks.md")
    parser.add_argument("--figure", type=Path, default=DOCS / "label_noise.png")
    given = parser.parse_args(arguments)
    try:
        frame = load(sorted(given.results.glob("*.json")))
        figure(frame, given.figure)
        link = Path(os.path.relpath(given.figure, given.document.parent)).as_posix()
        text = f"![Every method against the rate]({link})\n\n{tables(frame)}"
        insert(given.document, text, made_by=NAME)
    except DataError as error:
        parser.error(str(error))


def load(paths: Iterable[Path]) -> pd.DataFrame:
    """The rows of all files, in the order of data sets, kinds and methods.

    Raises:
        DataError: there are none, or a file is of something else.
    """
    frame = pd.DataFrame([row for path in paths for row in RowFile(path, KEY).read()])
    if frame.empty:
        raise DataError("there are no rows to report; run benchmarks.label_noise.grid first.")
    orders = {"dataset": DATASETS, "kind": KINDS, "method": METHODS}
    for column, names in orders.items():
        frame[column] = pd.Categorical(frame[column], list(names))
    # A column of nothing but null is of objects otherwise.
    frame = frame.astype(dict.fromkeys([*FIELDS, *DIRECTIONS, "rate_true"], float))
    return frame.sort_values([*CASE, "method", "seed"])


def tables(frame: pd.DataFrame) -> str:
    """One table per case: a line per method, means over seeds."""
    cases = frame.groupby(CASE, observed=True)
    return "\n".join(_heading(rows) + _table(rows) for _, rows in cases)


def _heading(rows: pd.DataFrame) -> str:
    first = rows.iloc[0]
    seeds = rows.groupby("method", observed=True)["seed"].nunique()
    count = f"{seeds.min()}" if seeds.nunique() == 1 else f"{seeds.min()} to {seeds.max()}"
    rate, share = f"{first['rate_per_class']:g}", _number(rows["rate_true"].mean())
    devices = "; ".join(sorted(set(rows["device"])))
    return (
        f"### {first['dataset']}, {first['kind']}, {rate} per source class\n\n"
        f"{share} of {first['train_size']} rows contaminated; {first['epochs']} epochs; "
        f"means of {count} seeds; {devices}.\n\n"
    )


def _table(rows: pd.DataFrame) -> str:
    means = rows.groupby("method", observed=True)[[*FIELDS, *DIRECTIONS]].mean()
    heads = ["method", *(head for head, _ in COLUMNS), "directions"]
    lines = [heads, ["---"] * len(heads)]
    for method, row in means.iterrows():
        figures = [_number(row[field], 1 if field == "seconds" else 3) for field in FIELDS]
        lines.append([f"`{method}`", *figures, _named(*row[DIRECTIONS])])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _named(found: float, false: float, total: float) -> str:
    return "" if pd.isna(found) else f"{found:.1f} of {total:.0f}, {false:.1f} false"


def _number(value: float, places: int = 3) -> str:
    """.949 for shares, nothing for what is undefined."""
    if pd.isna(value):
        return ""
    return f"{value:.{places}f}".removeprefix("0")


def figure(frame: pd.DataFrame, path: Path) -> None:
    """Means over seeds against the rate of asymmetric noise, a column of panels per data set."""
    chosen = frame[frame["kind"] == "asymmetric"]
    datasets = list(chosen.groupby("dataset", observed=True))
    if not datasets:
        raise DataError("there are no rows of asymmetric noise to draw.")
    size = 3 + 3.2 * len(datasets), 7.5
    picture, axes = plt.subplots(
        len(DRAWN), len(datasets), figsize=size, sharex="col", squeeze=False
    )
    for (dataset, rows), column in zip(datasets, axes.T, strict=True):
        for (field, label), ax in zip(DRAWN.items(), column, strict=True):
            draw(rows, field, ax)
            ax.set_ylabel(label)
        column[0].set_title(dataset)
        column[-1].set_xlabel("share of each source class flipped")
    lines = {line.get_label(): line for ax in axes.flat for line in ax.get_lines()}
    picture.legend(handles=[lines[name] for name in METHODS if name in lines], loc="center right")
    picture.tight_layout(rect=(0, 0, 1 - 1.7 / size[0], 1))
    picture.savefig(path, dpi=110)
    plt.close(picture)


def draw(rows: pd.DataFrame, field: str, ax: Axes) -> None:
    """One figure of every method against the rate, ours in black."""
    for place, method in enumerate(METHODS):
        mean = rows[rows["method"] == method].groupby("rate_per_class")[field].mean().dropna()
        if len(mean):
            ours = method == "nbam"
            style = {"nbam_literal": "--", "label_only": ":"}.get(method, "-")
            colour = "black" if ours else plt.get_cmap("tab20")(place)
            ax.plot(
                mean, style, color=colour, lw=2.5 if ours else 1, marker="o", ms=3, label=method
            )
    ax.grid(alpha=0.3)


if __name__ == "__main__":
    main()
