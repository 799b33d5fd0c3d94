"""Files of predicted probabilities and of predictions of measurements, given for `nbam fit`."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from nbam_pyro.checks.arguments import as_numbers
from nbam_pyro.cli.files import read
from nbam_pyro.cli.files.column_names import NAMELESS
from nbam_pyro.cli.files.messages import listing
from nbam_pyro.errors import DataError

__all__ = ["PredProbs", "Predictions", "check_alone", "pred_probs_of", "predictions_of"]

_QUANTILE, _DRAW = re.compile(r"q(0?\.\d+)"), re.compile(r"draw_\d+")
_COLUMNS = (
    "It needs the column mean (and scale, if it is known), or quantiles such as q0.05, q0.5 and "
    "q0.95, or draws draw_1, draw_2, ..., and only one of the three kinds."
)


@dataclass(frozen=True, kw_only=True)
class PredProbs:
    """Probabilities of classes.

    Attributes:
        classes: Names of the classes in the type of the labels, sorted, (K,).
        probabilities: Probabilities of the classes, (N, K).
    """

    classes: np.ndarray
    probabilities: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """Predictions of measurements, as arguments of `from_predictions`.

    Attributes:
        mean: Predicted means, (N,), or None.
        scale: Predicted standard deviations, (N,), or None.
        quantiles: Predicted quantiles by level, (N,) each, or None.
        draws: Draws of the measurements, (N, S), or None.
    """

    mean: np.ndarray | None = None
    scale: np.ndarray | None = None
    quantiles: dict[float, np.ndarray] | None = None
    draws: np.ndarray | None = None


def check_alone(
    *,
    epochs: int | None,
    difficulty: float | None,
    head: str | None,
    drop: Sequence[str],
    keep: Sequence[str],
    features: str | None,
    jobs: int | None,
    devices: int | None,
    deterministic: bool,
    both: bool,
) -> None:
    """Raise an error for options that have no effect if nothing is trained.

    Args:
        epochs: Value of `--epochs`.
        difficulty: Value of `--difficulty`.
        head: Value of `--head`.
        drop: Values of `--drop`.
        keep: Values of `--keep`.
        features: Value of `--features`.
        jobs: Value of `--jobs`.
        devices: Value of `--devices`.
        deterministic: Value of `--deterministic`.
        both: Whether `--pred-probs` and `--predictions` are given together.

    Raises:
        DataError: One of the options is given, or both files.
    """
    if both:
        raise DataError("Give --pred-probs for labels or --predictions for measurements, not both.")
    values = (epochs, difficulty, head, features, jobs, devices)
    if drop or keep or deterministic or not all(given is None for given in values):
        raise DataError(
            "With --pred-probs or --predictions nothing is trained, and features are not used. "
            "Leave out --epochs, --difficulty, --head, --drop, --keep, --features, --jobs, "
            "--devices and --deterministic."
        )


def pred_probs_of(path: Path, labels: np.ndarray, *, rows: int) -> PredProbs:
    """Read a file with one column of probabilities per class.

    Args:
        path: CSV or Parquet file. The names of its columns are the classes.
        labels: Labels without the missing ones, (n,). The classes get the type of these labels.
        rows: Number of rows of the data.

    Raises:
        DataError: The file cannot be read, has another number of rows, or lacks a class.
    """
    table = _table(path, rows)
    names = [str(name) for name in table.columns]
    try:
        classes = np.array([_like(name, labels) for name in names])
    except ValueError as error:
        raise DataError(
            f"The columns of '{path}' are {listing(names)}, but the labels are numbers such as "
            f"{labels[0]}. Name each column by its class, and leave out other columns."
        ) from error
    known = set(classes.tolist())
    absent = [str(one) for one in np.unique(labels).tolist() if one not in known]
    if absent:
        raise DataError(
            f"'{path}' has no column for the classes {listing(absent)}. Its columns are: "
            f"{listing(names)}. Add one column of probabilities for each class."
        )
    order = np.argsort(classes, kind="stable")
    values = as_numbers(table, f"'{path}'").astype(float)[:, order]
    return PredProbs(classes=classes[order], probabilities=values)


def predictions_of(path: Path | None, *, rows: int) -> Predictions:
    """Read a file with predictions of measurements.

    Args:
        path: CSV or Parquet file with the columns mean and scale, or q0.05 and others, or draw_1
            and others. Other columns are ignored.
        rows: Number of rows of the data.

    Raises:
        DataError: The file cannot be read, has another number of rows, or lacks these columns.
    """
    if path is None:
        raise DataError("No predictions are given. Name a file with --predictions.")
    table = _table(path, rows)
    names = [str(name) for name in table.columns]
    levels = {name: found[1] for name in names if (found := _QUANTILE.fullmatch(name))}
    drawn = [name for name in names if _DRAW.fullmatch(name)]
    if ("mean" in names) + bool(levels) + bool(drawn) != 1:
        raise DataError(f"'{path}' has the columns {listing(names)}. {_COLUMNS}")
    if "mean" in names:
        return Predictions(
            mean=as_numbers(table["mean"], "mean"),
            scale=as_numbers(table["scale"], "scale") if "scale" in names else None,
        )
    if levels:
        quantiles = {float(level): as_numbers(table[name], name) for name, level in levels.items()}
        return Predictions(quantiles=quantiles)
    return Predictions(draws=as_numbers(table[drawn], "draws"))


def _table(path: Path, rows: int) -> pd.DataFrame:
    source = read(path, label=None, labelled=False)
    table = source.x
    if not isinstance(table, pd.DataFrame):
        raise DataError(f"'{path}' is not a table. Give a CSV or Parquet file with named columns.")
    if len(table) != rows:
        raise DataError(
            f"'{path}' has {len(table)} rows, but the data have {rows}. Give one row for each row "
            "of the data, in the same order, even if the label or measurement is missing."
        )
    return table.drop(columns=[NAMELESS], errors="ignore")


def _like(name: str, labels: np.ndarray) -> object:
    """Return the name of a class in the type of the labels.

    Raises:
        ValueError: Labels are numbers, and the name is not.
    """
    match labels.dtype.kind:
        case "b":
            return {"true": True, "false": False}[name.lower()]
        case "i" | "u":
            return int(float(name)) if float(name).is_integer() else float(name)
        case "f":
            return float(name)
        case _:
            return name
