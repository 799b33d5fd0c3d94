"""What `nbam fit` and `nbam score` do."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nbam_pyro.cli.files import read
from nbam_pyro.cli.files.precision import rounded
from nbam_pyro.cli.runs.detecting import is_detected, score_detected
from nbam_pyro.cli.runs.features import learn, named, oddities
from nbam_pyro.cli.runs.flags import flags
from nbam_pyro.cli.runs.folder import read_run, write_run
from nbam_pyro.cli.runs.info import RunInfo
from nbam_pyro.cli.runs.tables import write_table
from nbam_pyro.cli.runs.targets import TrainingTargets, columns_beside
from nbam_pyro.errors import DataError
from nbam_pyro.estimators import NBAMClassifier, NBAMRegressor
from nbam_pyro.estimators.base import rate_prior
from nbam_pyro.folders import new_file, new_folder
from nbam_pyro.priors import Beta

__all__ = ["fit_file", "parse_contamination", "score_file"]


def fit_file(
    data: Path,
    out: Path,
    *,
    label: str | None = None,
    true_label: str | None = None,
    contaminated: str | None = None,
    task: str = "auto",
    contamination: float | Beta | None = None,
    epochs: int | None = None,
    drop: Sequence[str] = (),
    keep: Sequence[str] = (),
    overwrite: bool = False,
    seed: int = 0,
    progress: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Fit a data file or image folder and write a run folder.

    Args:
        data: A CSV, Parquet or NPZ file, or a folder with one folder of images per label.
        out: The run folder to write, whole or not at all.
        label: The column or array of targets; None for image folders.
        true_label: The column or array of verified true labels, if there is one.
        contaminated: The column or array that says which targets are verified as right (0, false)
            or wrong (1, true), if there is one.
        task: "classification", "regression", or "auto".
        contamination: Prior of the share that is wrong, as in the estimators.
        epochs: Epochs of one plain training run, as in the estimators.
        drop: Columns that are no features. Columns that are named as identifiers usually are,
            and whose values all differ, are left out too.
        keep: Columns that are features though they look like identifiers.
        overwrite: Whether a run folder that exists is replaced.
        seed: Seed of weights, folds and batches.
        progress: Whether progress bars are shown.
        say: Takes sentences on what is done.

    Returns:
        The content of summary.json.

    Raises:
        DataError: The data cannot be used; the message says why.
        FolderError: The folder exists and may not be overwritten, or cannot be written.
    """
    rate_prior(contamination)  # before the slow part
    with new_folder(out, overwrite=overwrite) as draft:
        started = time.perf_counter()
        source = read(
            data,
            label=label,
            beside=columns_beside(label, true_label, contaminated),
            spelling="numbers" if task == "regression" else "auto",
        )
        targets = TrainingTargets.of(
            source, task=task, true_label=true_label, contaminated=contaminated
        )
        learned = learn(source, data=data.name, drop=drop, keep=keep)
        notes = [*source.notes, *learned.notes, *_lost_digits(targets), *_repeats(learned.x)]
        kind = "labels" if targets.labels else "measurements"
        more = " (if they are something else, use --task)" if task == "auto" else ""
        say(f"Fitting {len(targets.column.values)} {kind}{more} ...")
        estimator = (NBAMClassifier if targets.labels else NBAMRegressor)(
            contamination=contamination,
            epochs=epochs,
            random_state=seed,
            progress=progress,
            trainer={"default_root_dir": draft},
        )
        x = named(learned.encoding, learned.x)
        estimator.fit(x, targets.column, **targets.verified)
        info = RunInfo(
            data=data.name,
            label=label,
            classes=getattr(estimator, "classes_", None),
            encoding=learned.encoding,
            true_label=true_label,
            contaminated=contaminated,
        )
        return write_run(
            draft,
            estimator.fit_,
            info,
            learned.x,
            estimator.targets_,
            rows=source.rows,
            settings={
                "command": "fit",
                "data": str(data),
                "label": label,
                "true_label": true_label,
                "contaminated": contaminated,
                "task": task,
                "drop": list(drop),
                "keep": list(keep),
                "contamination": contamination,
                "epochs": epochs,
                "seed": seed,
            },
            notes=notes,
            further={"seconds": round(time.perf_counter() - started, 1)},
        )


def score_file(
    run: Path,
    data: Path,
    out: Path,
    *,
    overwrite: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> pd.DataFrame:
    """Score new rows with a saved run and write them as CSV, the most suspicious first.

    Args:
        run: A run folder.
        data: Rows of the same kind as those of the run.
        out: The file to write, whole or not at all.
        overwrite: Whether a file that exists is replaced.
        say: Takes sentences on what is done.

    Returns:
        The table that was written.

    Raises:
        DataError: The data are of another kind than those of the run.
        FolderError: The run is incomplete or was changed, or the file exists, is being written by
            another process, or cannot be written.
    """
    with new_file(out, overwrite=overwrite) as draft:
        table = (score_detected if is_detected(run) else _score_labelled)(run, data, say=say)
        write_table(table, draft)
    return table


def _score_labelled(run: Path, data: Path, *, say: Callable[[str], None]) -> pd.DataFrame:
    fit, info = read_run(run)
    source = read(data, label=info.label, beside=info.beside, optional=True, spelling=info.spelling)
    encoded = info.encoding.encode(source.x)
    for note in [
        *source.notes,
        *encoded.notes,
        *oddities(info.encoding, source, encoded.x, data=data.name),
    ]:
        say(f"Note: {note}.")
    return flags(fit, info, encoded.x, info.targets(source), source.rows)


def parse_contamination(text: str | None) -> float | Beta | None:
    """A prior from "0.05" or "beta:2,8".

    Raises:
        DataError: it is neither.

    Example:
        >>> parse_contamination("beta:2,8")
        Beta(a=2.0, b=8.0)
    """
    if text is None:
        return None
    try:
        if text.startswith("beta:"):
            a, b = (float(part) for part in text.removeprefix("beta:").split(","))
            return rate_prior(Beta(a, b))
        share = float(text)
        rate_prior(share)
    except ValueError as error:  # a DataError is one too
        raise DataError(
            f"--contamination is {text!r}; give a share between 0 and 1 such as 0.05, or beta:2,8 "
            "with positive numbers."
        ) from error
    return share


def _repeats(x: np.ndarray) -> list[str]:
    repeated = int(pd.DataFrame(x.reshape(len(x), -1)).duplicated().sum())
    if not repeated:
        return []
    return [
        f"{repeated} rows have the features of an earlier row: wrong labels that are repeated are "
        "easily taken for right"
    ]


def _lost_digits(targets: TrainingTargets) -> list[str]:
    values = targets.column.values
    if targets.labels or values.dtype.kind not in "iuf":
        return []
    lost = rounded(values, values.astype(np.float64))
    return [] if lost is None else [f"measurements: {lost}"]
