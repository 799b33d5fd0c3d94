"""Tables and figure of docs/benchmarks/label_noise.md."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.label_noise.methods import METHODS
from benchmarks.label_noise.problems import DATASETS, KINDS
from benchmarks.report import DOCS, RESULTS, Report
from nbam_pyro.errors import DataError

__all__ = ["LABEL_NOISE", "figure", "tables"]

CASE = ["data", "kind", "rate_per_class", "train_size", "epochs"]
# Headers of the table, and the field of which each column shows the mean.
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


def _ordered(rows: pd.DataFrame) -> pd.DataFrame:
    """Sort rows by data set, kind of noise and method."""
    orders = {"data": DATASETS, "kind": KINDS, "method": METHODS}
    kinds = {column: pd.CategoricalDtype(list(names)) for column, names in orders.items()}
    return rows.astype(kinds).sort_values([*CASE, "method", "seed"])


def tables(rows: pd.DataFrame) -> str:
    """Make one table per case, with one line per method. Values are means over seeds.

    Args:
        rows: One row per case, as `rows.wide` returns them.
    """
    cases = _ordered(rows).groupby(CASE, observed=True)
    return "\n".join(_heading(part) + _table(part) for _, part in cases)


def _heading(rows: pd.DataFrame) -> str:
    first = rows.iloc[0]
    seeds = rows.groupby("method", observed=True)["seed"].nunique()
    count = f"{seeds.min()}" if seeds.nunique() == 1 else f"{seeds.min()} to {seeds.max()}"
    rate, share = f"{first['rate_per_class']:g}", _number(rows["rate_true"].mean())
    devices = "; ".join(sorted(set(rows["device"])))
    return (
        f"### {first['data']}, {first['kind']}, {rate} per source class\n\n"
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
    """Format a number, such as ".949". The text is empty if the number is undefined."""
    if pd.isna(value):
        return ""
    return f"{value:.{places}f}".removeprefix("0")


def figure(rows: pd.DataFrame) -> Figure:
    """Plot means over seeds against the rate of asymmetric noise, one column per data set.

    Args:
        rows: One row per case, as `rows.wide` returns them.

    Raises:
        DataError: There are no rows of asymmetric noise.
    """
    ordered = _ordered(rows)
    chosen = ordered[ordered["kind"] == "asymmetric"]
    datasets = list(chosen.groupby("data", observed=True))
    if not datasets:
        raise DataError("The figure needs rows of asymmetric noise, but the file has none.")
    size = 3 + 3.2 * len(datasets), 7.5
    picture, axes = plt.subplots(
        len(DRAWN), len(datasets), figsize=size, sharex="col", squeeze=False
    )
    for (dataset, part), column in zip(datasets, axes.T, strict=True):
        for (field, label), ax in zip(DRAWN.items(), column, strict=True):
            draw(part, field, ax)
            ax.set_ylabel(label)
        column[0].set_title(dataset)
        column[-1].set_xlabel("share of each source class flipped")
    lines = {line.get_label(): line for ax in axes.flat for line in ax.get_lines()}
    picture.legend(handles=[lines[name] for name in METHODS if name in lines], loc="center right")
    picture.tight_layout(rect=(0, 0, 1 - 1.7 / size[0], 1))
    return picture


def draw(rows: pd.DataFrame, field: str, ax: Axes) -> None:
    """Plot one field of every method against the rate. `nbam` is black."""
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


LABEL_NOISE = Report(
    name="label-noise",
    results=RESULTS / "label-noise.parquet",
    document=DOCS / "benchmarks" / "label_noise.md",
    text=tables,
    figure=DOCS / "figures" / "label_noise.png",
    draw=figure,
)
