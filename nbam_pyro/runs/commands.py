"""What `nbam fit` and `nbam score` do."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nbam_pyro.errors import DataError
from nbam_pyro.estimators import NBAMClassifier, NBAMRegressor
from nbam_pyro.estimators.base import rate_prior
from nbam_pyro.estimators.targets import column, in_words
from nbam_pyro.files import Source, encoding_of, read
from nbam_pyro.folders import new_file, new_folder
from nbam_pyro.priors import Beta
from nbam_pyro.runs.detecting import is_detected, score_detected
from nbam_pyro.runs.flags import flags
from nbam_pyro.runs.folder import read_run, write_run
from nbam_pyro.runs.info import RunInfo
from nbam_pyro.runs.tables import write_table

__all__ = ["fit_file", "parse_contamination", "score_file"]

# More different whole numbers than this are measurements, unless told otherwise.
_LABELS = 20


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
    overwrite: bool = False,
    seed: int = 0,
    progress: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Fit a data file or image folder and write a run folder.

    Args:
        data: CSV, Parquet or NPZ, or a folder with one folder of images per label.
        out: the run folder to write, whole or not at all.
        label: the column or array of targets; None for image folders.
        true_label: the column or array of verified true labels, if there is one.
        contaminated: the column or array that says which targets are verified as right (0, false)
            or wrong (1, true), if there is one.
        task: "classification", "regression", or "auto".
        contamination: prior of the share that is wrong, as of the estimators.
        epochs: of one plain training run, as of the estimators.
        overwrite: replace a run folder that exists.
        seed: of everything random.
        progress: show progress bars.
        say: is told what is done.

    Returns:
        The content of summary.json.

    Raises:
        DataError: the data cannot be used; the message says why.
        FolderError: the folder exists and may not be overwritten, or cannot be written.
    """
    rate_prior(contamination)  # before the slow part
    with new_folder(out, overwrite=overwrite) as draft:
        started = time.perf_counter()
        source = read(data, label=label, beside=_beside(label, true_label, contaminated))
        there, present = column(source.y)
        labels = _are_labels(there, task)
        known = _known(source, labels, true_label, contaminated, texts=there.dtype.kind in "US")
        y = _whole(source.y, there, present) if labels else source.y
        encoding = encoding_of(source)
        encoded = encoding.encode(source.x)
        notes = [*source.notes, *encoded.notes, *_repeats(encoded.x)]
        kind = "labels" if labels else "measurements"
        more = " (if they are not, say so with --task)" if task == "auto" else ""
        say(f"Fitting {int(present.sum())} {kind}{more} ...")
        estimator = (NBAMClassifier if labels else NBAMRegressor)(
            contamination=contamination,
            epochs=epochs,
            random_state=seed,
            progress=progress,
            trainer={"default_root_dir": draft},
        )
        estimator.fit(encoded.x, y, **known)
        info = RunInfo(
            data=data.name,
            label=label,
            classes=getattr(estimator, "classes_", None),
            encoding=encoding,
            true_label=true_label,
            contaminated=contaminated,
        )
        return write_run(
            draft,
            estimator.fit_,
            info,
            encoded.x,
            y,
            rows=source.rows,
            settings={
                "command": "fit",
                "data": str(data),
                "label": label,
                "true_label": true_label,
                "contaminated": contaminated,
                "task": task,
                "contamination": contamination,
                "epochs": epochs,
                "seed": seed,
            },
            notes=notes,
            verified=info.verified(source),
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
        run: a run folder.
        data: rows of the same kind as those of the run.
        out: the file to write, whole or not at all.
        overwrite: replace the file if it exists.
        say: is told what is done.

    Returns:
        What was written.

    Raises:
        DataError: the data are of another kind than those of the run.
        FolderError: the run is incomplete or was changed, or the file exists, is being written by
            another process, or cannot be written.
    """
    with new_file(out, overwrite=overwrite) as draft:
        table = (score_detected if is_detected(run) else _score_labelled)(run, data, say=say)
        write_table(table, draft)
    return table


def _score_labelled(run: Path, data: Path, *, say: Callable[[str], None]) -> pd.DataFrame:
    fit, info = read_run(run)
    source = read(data, label=info.label, beside=info.beside, optional=True)
    encoded = info.encoding.encode(source.x)
    for note in [*source.notes, *encoded.notes]:
        say(f"Note: {note}.")
    y = source.y
    if info.classes is not None and info.classes.dtype.kind in "iu":
        y = _whole(y, *column(y))
    return flags(fit, info, encoded.x, y, source.rows, verified=info.verified(source))


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


def _beside(label: str | None, true_label: str | None, contaminated: str | None) -> list[str]:
    named = [name for name in (label, true_label, contaminated) if name is not None]
    twice = {name for name in named if named.count(name) > 1}
    if twice:
        raise DataError(
            f"{twice.pop()!r} is named twice by --label, --true-label and --contaminated; each "
            "needs a column of its own."
        )
    return [name for name in named if name != label]


def _known(
    source: Source,
    labels: bool,
    true_label: str | None,
    contaminated: str | None,
    *,
    texts: bool,
) -> dict[str, np.ndarray]:
    """What is verified, as the estimators' `fit` takes it."""
    known = {}
    if contaminated is not None:
        known["contaminated"] = source.beside[contaminated]
    if true_label is not None:
        if not labels:
            raise DataError(
                "--true-label is for labels, and these are measurements: say with --contaminated "
                "which of them are wrong."
            )
        there, present = column(source.beside[true_label])
        values = np.full(len(present), None, dtype=object)
        values[present] = in_words(there) if texts and there.dtype.kind in "biuf" else there
        known["true_label"] = values
    return known


def _are_labels(y: np.ndarray, task: str) -> bool:
    if task not in ("auto", "classification", "regression"):
        raise DataError(f"--task is {task!r}; give auto, classification or regression.")
    if task != "auto":
        return task == "classification"
    whole = y.dtype.kind in "USbiu" or (y.dtype.kind == "f" and _all_whole(y))
    return whole and (y.dtype.kind in "USb" or len(np.unique(y)) <= _LABELS)


def _whole(y: np.ndarray, there: np.ndarray, present: np.ndarray) -> np.ndarray:
    """Whole numbers as integers, where missing cells have made them floats."""
    if there.dtype.kind != "f" or not _all_whole(there):
        return y
    whole = np.full(len(y), None, dtype=object)
    whole[present] = there.astype(int)
    return whole if not present.all() else there.astype(int)


def _repeats(x: np.ndarray) -> list[str]:
    repeated = int(pd.DataFrame(x.reshape(len(x), -1)).duplicated().sum())
    if not repeated:
        return []
    return [
        f"{repeated} rows have the features of an earlier row: wrong labels that are repeated are "
        "easily taken for right"
    ]


def _all_whole(y: np.ndarray) -> bool:
    # Beyond 2^53 neighbouring whole numbers are the same float.
    return bool((np.isfinite(y) & (np.abs(y) < 2**53)).all() and (y == np.round(y)).all())
