"""Effect of a wrong contamination rate, and of an estimated rate, on the AUC.

The report uses rows of `ntl-blind`, `ntl-soft` and `ntl-auto`. Its figure shows the AUC by true and
assumed share. Its table in docs/benchmarks/detection.md compares `ntl-auto` with the other two.
"""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from benchmarks.report import DOCS, RESULTS, Report
from nbam_pyro.errors import DataError

__all__ = ["TOLD_RATES", "by_told", "differences", "draw"]

PAIR = ["data", "seed"]
# Difference between a wrong rate and the true rate.
_OFF = 0.1


def by_told(rows: pd.DataFrame) -> pd.DataFrame:
    """Return AUCs by data set and seed, with columns (true share, assumed share).

    The assumed share of `ntl-blind` is 0 and that of `ntl-auto` is "auto". Pairs of data set and
    seed without all columns are left out.

    Raises:
        DataError: Rows that the comparison needs are missing, or rows differ in scale or epochs.
    """
    rows = rows[rows["method"].isin(["ntl-blind", "ntl-soft", "ntl-auto"])]
    if len(rows[["scale", "epochs"]].drop_duplicates()) != 1:
        raise DataError("The NTL rows of the file must have one scale and one number of epochs.")
    told = rows["alpha"].where(rows["method"] == "ntl-soft", 0.0).astype(object)
    told = told.where(rows["method"] != "ntl-auto", "auto")
    once = rows.assign(told=told).drop_duplicates([*PAIR, "alpha0", "told"])
    wide = once.pivot(index=PAIR, columns=["alpha0", "told"], values="auc")
    for share in rows["alpha0"].unique():
        has = list(wide[share].columns)
        if not ({"auto", share, 0.0} <= set(has) and _wrong(share, has)):
            raise DataError(
                f"Rows of the true share {share:g} are missing. Required: ntl-auto, ntl-blind, "
                f"and ntl-soft with the true share and with one that differs by {_OFF}. "
                f"Found: {has}."
            )
    return wide.dropna()


def differences(cells: pd.DataFrame) -> str:
    """Make the table of paired differences of AUC, in percentage points, with standard errors."""
    lines = [
        "| share | auto | told the truth | auto less that | auto less the worse of wrong ones |"
        " auto less blind |",
        "|---|---|---|---|---|---|",
    ]
    for share in sorted(cells.columns.get_level_values(0).unique()):
        auc = 100 * cells[share]
        worse = min(_wrong(share, list(auc.columns)), key=auc.mean().__getitem__)
        means = f"{auc['auto'].mean():.1f} | {auc[share].mean():.1f}"
        others = " | ".join(_difference(auc["auto"] - auc[one]) for one in (share, worse, 0.0))
        lines.append(f"| {share:g} | {means} | {others} |")
    sets = cells.index.get_level_values("data").unique()
    return (
        "\n".join(lines) + f"\n\nAUC in percent, means over {len(cells)} pairs of data and seed "
        f"({', '.join(sets)}) ± standard errors.\n"
    )


def _wrong(share: float, told: Sequence[object]) -> list[float]:
    """Return the assumed rates that differ from the true share by `_OFF`."""
    near = [round(share - _OFF, 2), round(share + _OFF, 2)]
    found = [max(rate, 0.0) for rate in near if max(rate, 0.0) in told]
    return [rate for rate in found if rate != share]


def _difference(values: pd.Series) -> str:
    auc = values.to_numpy(float)
    return f"{auc.mean():+.2f} ± {auc.std(ddof=1) / np.sqrt(len(auc)):.2f}"


def draw(cells: pd.DataFrame) -> Figure:
    """Draw the mean AUC by true share and assumed share."""
    means = (100 * cells).mean().unstack("told")
    told: list[Any] = [*sorted(name for name in means.columns if name != "auto"), "auto"]
    table = means[told].to_numpy(float)
    picture, ax = plt.subplots(figsize=(7.5, 4), layout="constrained")
    image = ax.imshow(table, cmap="viridis", aspect="auto")
    middle = (np.nanmin(table) + np.nanmax(table)) / 2
    for (i, j), value in np.ndenumerate(table):
        text = "" if np.isnan(value) else f"{value:.1f}"
        color = "black" if value > middle else "white"
        ax.text(j, i, text, ha="center", va="center", color=color)
    ax.set_xticks(range(len(told)), ["0: blind" if name == 0 else str(name) for name in told])
    ax.set_yticks(range(len(means)), [f"{share:g}" for share in means.index])
    ax.set_xlabel("share that Soft is told")
    ax.set_ylabel("true share in training")
    ax.set_title(f"AUC of NTL in percent, mean of {len(cells)} pairs of data and seed")
    picture.colorbar(image)
    return picture


TOLD_RATES = Report(
    name="told-rates",
    results=RESULTS / "told-rates.parquet",
    document=DOCS / "benchmarks" / "detection.md",
    text=lambda rows: differences(by_told(rows)),
    figure=DOCS / "figures" / "told_rates.png",
    draw=lambda rows: draw(by_told(rows)),
)
