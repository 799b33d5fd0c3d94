"""P(label is wrong): ranking, calibration, and the share of wrong labels, by method.

Other benchmarks of label noise compare the accuracy of classifiers. This one compares the
probabilities that labels are wrong, for planted noise and for labels that people gave.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Annotated, final

import pandas as pd
import typer

from benchmarks.benchmark import Benchmark, Case, Row
from benchmarks.label_noise.features import NAME
from benchmarks.label_noise.label_noise import rows_of
from benchmarks.label_noise.methods import METHODS
from benchmarks.label_noise.parts import PEOPLE, Part, parts
from benchmarks.label_noise.problems import DATASETS, KINDS
from benchmarks.label_noise.pruning import require_cleanlab
from benchmarks.label_noise.reliability import reliability
from benchmarks.options import (
    DataRoot,
    Device,
    Epochs,
    FeatureFile,
    FirstSeed,
    Names,
    Seeds,
    TrainingRows,
)
from benchmarks.report import DOCS, RESULTS, Report

__all__ = ["P_WRONG", "PWrong"]

_METHODS = Names(
    ["nbam", "pred_probs", "cleanlab", "cross_entropy", "forward", "elr", "label_only"]
)
_PLANTED = (
    ("asymmetric", 0.2),
    ("asymmetric", 0.4),
    ("asymmetric", 0.6),
    ("symmetric", 0.4),
    ("pair", 0.4),
    ("instance", 0.4),
    ("local", 0.4),
)
_DATA = (*DATASETS, NAME)
# Figures of the table, with their headers.
_COLUMNS = {
    "AUROC": "auroc",
    "AP": "average_precision",
    "Brier": "brier",
    "ECE": "ece",
    "log score": "log_score",
    "share": "rate_estimate",
    "width": "interval_width",
    "covers": "interval_covers",
    "false .05": "false_discoveries_strict",
    "false .1": "false_discoveries",
    "accuracy": "accuracy_resolvable",
    "seconds": "seconds",
}
# Figures that are also measured without rows whose class is in a mutual pair of which most labels
# are flipped: exchanged names explain these labels as well.
_RESOLVABLE = ("auroc", "average_precision", "brier", "ece")


@final
@dataclass(frozen=True, kw_only=True)
class PWrong(Benchmark):
    """Probabilities that labels are wrong: ranking, calibration and share, for all methods."""

    data: Annotated[
        Names,
        typer.Option(parser=Names.among(_DATA), metavar="NAME,...", help="Data sets to use."),
    ] = Names(["digits", NAME])
    noise: Annotated[
        Names,
        typer.Option(
            parser=Names.among([*KINDS, PEOPLE]), metavar="NAME,...", help="Kinds of noise to use."
        ),
    ] = Names([*KINDS, PEOPLE])
    methods: Annotated[
        Names,
        typer.Option(parser=Names.among(METHODS), metavar="NAME,...", help="Methods to measure."),
    ] = _METHODS
    features: FeatureFile = None
    train_size: TrainingRows = None
    seeds: Seeds = 3
    first_seed: FirstSeed = 0
    epochs: Epochs = None
    data_root: DataRoot = None
    device: Device = None

    def measure(self, known: Collection[Case]) -> Iterator[Row]:
        """Yield one row per data set, noise, seed and method.

        Raises:
            DataError: cleanlab is not installed, or data are missing.
        """
        if "cleanlab" in self.methods:
            require_cleanlab()
        chosen = parts(
            self.data,
            self.noise,
            _PLANTED,
            features=self.features,
            train_size=self.train_size,
            epochs=self.epochs,
            root=self.data_root,
        )
        for part in chosen:
            for seed in range(self.first_seed, self.first_seed + self.seeds):
                yield from self._rows(part, seed, known)

    def _rows(self, part: Part, seed: int, known: Collection[Case]) -> Iterator[Row]:
        data = part.data
        settings = {
            "noise": part.noise,
            "rate_per_class": part.rate,
            "train_size": data.train_size,
            "epochs": data.epochs,
        }
        cases = [
            Case(data=part.name, method=method, seed=seed, settings=settings)
            for method in self.methods
        ]
        yield from rows_of(
            [case for case in cases if case not in known],
            partial(part.problem, seed=seed),
            data,
            seed=seed,
            device=self.device,
        )

    @staticmethod
    def summary(rows: pd.DataFrame) -> str:
        """Return one table per data set and kind of noise; values are means over seeds."""
        keys = ["data", "noise", "rate_per_class", "train_size", "epochs"]
        shown = rows.assign(
            **{
                name: rows[f"{name}_resolvable"].fillna(rows[name])
                for name in _RESOLVABLE
                if f"{name}_resolvable" in rows
            }
        )
        parts = shown.groupby(keys, sort=False, dropna=False)
        return "\n".join(_heading(part) + _table(part) for _, part in parts)


def _heading(rows: pd.DataFrame) -> str:
    first = rows.iloc[0]
    given = first["rate_per_class"]
    rate = "" if pd.isna(given) else f", {given:g} per class"
    most = not pd.isna(given) and given > 0.5
    return (
        f"### {first['data']}, {first['noise']}{rate}\n\n"
        f"True share {rows['rate_true'].mean():.3f} of {first['train_size']} rows; "
        f"{first['epochs']} epochs; {_seeds(rows)}."
        f"{' AUROC, AP, Brier, ECE and accuracy are those of resolvable rows.' if most else ''}\n\n"
    )


def _seeds(rows: pd.DataFrame) -> str:
    """Return a clause about the number of seeds, which may be larger for some methods."""
    counts = rows.groupby("method", sort=False)["seed"].nunique()
    numbers = sorted({*counts}, reverse=True)
    clauses = {one: f"{one} seed{'s' if one > 1 else ''}" for one in numbers}
    if len(clauses) == 1:
        return f"means of {clauses[counts.iloc[0]]}"
    named = [
        f"{clause} ({', '.join(f'`{name}`' for name in counts.index[counts == count])})"
        for count, clause in clauses.items()
    ]
    return "means of " + " and of ".join(named)


def _table(rows: pd.DataFrame) -> str:
    means = rows.groupby("method", sort=False)[list(_COLUMNS.values())].mean()
    lines = [["method", *_COLUMNS], ["---"] * (1 + len(_COLUMNS))]
    for method, row in means.iterrows():
        places = (1 if field == "seconds" else 3 for field in _COLUMNS.values())
        cells = [
            "" if pd.isna(row[field]) else f"{row[field]:.{count}f}"
            for field, count in zip(_COLUMNS.values(), places, strict=True)
        ]
        lines.append([f"`{method}`", *cells])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


P_WRONG = Report(
    name="p-wrong",
    results=RESULTS / "p-wrong.parquet",
    document=DOCS / "benchmarks" / "p_wrong.md",
    text=PWrong.summary,
    figure=DOCS / "figures" / "p_wrong.png",
    draw=reliability,
)
