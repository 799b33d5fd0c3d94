"""Bursts of faults in the sensors of SKAB, with clean sensors that may drift.

The first 400 rows of each file train, the other rows are judged. A clean row is Normal, and an
anomaly is Normal with a larger standard deviation. With drift, the covariance of clean rows grows
with the time since the training rows, at a rate per sensor that is the median over the odd files
(the first file in alphabetical order is number 0). Four settings are chosen by F1 on the odd files:
the factor of the drift, the factor of the standard deviation, the power of the likelihoods
(neighbouring rows repeat each other), and the dwell. Figures are given for the odd files, for the
even files, which no setting has seen, and for all files.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Annotated, Literal, final

import numpy as np
import pandas as pd
import torch
import typer

from benchmarks.benchmark import CPU, Benchmark, Case, Row
from benchmarks.report import DOCS, RESULTS, Report
from benchmarks.series.drift import distances, drift_rates
from benchmarks.series.skab_data import PUBLISHED, SkabFile, skab_files
from nbam_pyro import functional as nf
from nbam_pyro.errors import DataError

__all__ = ["SKAB", "Skab"]

_DRIFTS, _WIDTHS = (0.05, 0.1, 0.2, 0.3, 0.5, 1.0), (2.0, 3.0, 4.0)
_POWERS, _DWELLS = (1.0, 1 / 10, 1 / 50), (100.0, 300.0, 1000.0)
_SHARE, _START = 0.3, 0.02
_PARTS = {"all": slice(None), "odd": slice(1, None, 2), "even": slice(0, None, 2)}

Way = Literal["independent", "filtered", "smoothed"]
_METHODS: dict[str, tuple[bool, Way]] = {
    "Gaussian, independent rows": (False, "independent"),
    "Gaussian, Markov switch": (False, "smoothed"),
    "drift, independent rows": (True, "independent"),
    "drift, Markov switch, earlier rows only": (True, "filtered"),
    "drift, Markov switch": (True, "smoothed"),
}


@final
@dataclass(frozen=True, kw_only=True)
class Skab(Benchmark):
    """Bursts of faults in the sensors of a water loop (SKAB), beside published figures."""

    data_dir: Annotated[Path | None, typer.Option(help="Folder of the SKAB files.")] = None

    def measure(self, known: Collection[Case]) -> Iterator[Row]:
        """Yield three rows per method: all files, odd files and even files.

        Raises:
            DataError: The data are missing.
        """
        if self.data_dir is None:
            raise DataError("The option --data-dir is missing. Give the folder of SKAB.")
        files = skab_files(self.data_dir)
        rates = np.median([drift_rates(one.train) for one in files[1::2]], 0)
        for method, (drifts, way) in _METHODS.items():
            cases = {part: _case(method, part) for part in _PARTS}
            if all(case in known for case in cases.values()):
                continue
            flags, chosen = _chosen(files, rates, drifts=drifts, way=way)
            for part, case in cases.items():
                f1, alarms, missed = _figures(files[_PARTS[part]], flags[_PARTS[part]])
                figures = {"f1": f1, "false_alarms": alarms, "missed": missed}
                notes = {"source": "measured", "chosen": chosen}
                yield Row(case=case, figures=figures, notes=notes, device=CPU)
        for method, told in PUBLISHED.items():
            case = _case(f"{method} (published)", "all")
            if case not in known:
                published = dict(zip(("f1", "false_alarms", "missed"), told, strict=True))
                yield Row(case=case, figures=published, notes={"source": "published"}, device=CPU)

    @staticmethod
    def summary(rows: pd.DataFrame) -> str:
        """Return the table of the figures."""
        return skab_table(rows)


def _case(method: str, part: str) -> Case:
    return Case(data="skab", method=method, settings={"files": part})


def _chosen(
    files: Sequence[SkabFile], rates: np.ndarray, *, drifts: bool, way: Way
) -> tuple[list[np.ndarray], str]:
    """Return the flags of all files with the settings of the best F1 on odd files."""
    grid = list(product(_WIDTHS, _POWERS, _DWELLS if way != "independent" else _DWELLS[:1]))
    best: tuple[float, list[np.ndarray], str] = (-1.0, [], "")
    for drift in _DRIFTS if drifts else (0.0,):
        found = [_flags(one, drift * rates, grid, way) for one in files]
        for i, (width, power, dwell) in enumerate(grid):
            flags = [one[i] for one in found]
            f1, _, _ = _figures(files[1::2], flags[1::2])
            if f1 > best[0]:
                text = f"drift {drift:g}, width {width:g}, power {power:g}"
                text += "" if way == "independent" else f", dwell {dwell:g}"
                best = (f1, flags, text)
    return best[1], best[2]


def _flags(
    one: SkabFile, rates: np.ndarray, grid: Sequence[tuple[float, float, float]], way: Way
) -> np.ndarray:
    """Return the flagged rows of a file for each combination of settings, (G, T)."""
    far = torch.from_numpy(distances(one.train, one.test, rates))
    width, power, dwell = torch.tensor(grid, dtype=torch.double).T[..., None]
    sensors = one.train.shape[1]
    # The log likelihood ratio of an anomaly against a clean row.
    ratio = power * (far / 2 * (1 - 1 / width**2) - sensors * width.log())
    share = torch.tensor(_SHARE, dtype=torch.double)
    if way == "independent":
        return (ratio + share.logit() > 0).numpy()
    e = torch.stack([torch.zeros_like(ratio), ratio], -1)
    moves = nf.chain_transitions(share.expand(len(grid)), dwell[:, 0])
    start = nf.chain_start(torch.tensor(_START, dtype=torch.double)).expand(len(grid), 2)
    if way == "filtered":
        return (nf.chain_filter(start, moves, e)[..., 1].exp() > 0.5).numpy()
    return (nf.chain_responsibility(start, moves, e) > 0.5).numpy()


def _figures(files: Sequence[SkabFile], flags: Sequence[np.ndarray]) -> tuple[float, float, float]:
    """Return F1, and false alarms and missed anomalies in percent, of all rows together."""
    truth = np.concatenate([one.anomaly for one in files])
    flagged = np.concatenate(list(flags))
    right = float((truth & flagged).sum())
    return (
        2 * right / float(truth.sum() + flagged.sum()),
        100 * float(flagged[~truth].mean()),
        100 * float(1 - right / truth.sum()),
    )


def skab_table(rows: pd.DataFrame) -> str:
    """Return a table with one line per method and part of the files.

    Args:
        rows: One row per case.
    """
    lines = ["| method | files | F1 | false alarms, % | missed, % |", "|---|---|---|---|---|"]
    for one in rows.to_dict("records"):
        rest = [one["false_alarms"], one["missed"]]
        told = " | ".join("" if pd.isna(value) else f"{value:.1f}" for value in rest)
        lines.append(f"| {one['method']} | {one['files']} | {one['f1']:.3f} | {told} |")
    return "\n".join(lines)


SKAB = Report(
    name="skab",
    results=RESULTS / "skab.parquet",
    document=DOCS / "benchmarks" / "chains.md",
    text=skab_table,
)
