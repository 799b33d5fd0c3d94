"""The work of `nbam fit`."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nbam_pyro.cli.files import read
from nbam_pyro.cli.files.messages import counted
from nbam_pyro.cli.files.precision import rounded
from nbam_pyro.cli.runs.annotated import (
    annotation_entries,
    annotations_of_rows,
    check_annotations_alone,
    with_names,
    write_annotation_report,
)
from nbam_pyro.cli.runs.command_words import command_words
from nbam_pyro.cli.runs.continuing import continuing
from nbam_pyro.cli.runs.features import learn, named
from nbam_pyro.cli.runs.folder import write_run
from nbam_pyro.cli.runs.frozen import FeatureOptions, with_features
from nbam_pyro.cli.runs.info import RunInfo
from nbam_pyro.cli.runs.priors import check_label_options, clean_error_text
from nbam_pyro.cli.runs.sizes import size_notes
from nbam_pyro.cli.runs.targets import TrainingTargets, columns_beside
from nbam_pyro.cli.runs.verified_files import check_one_source, verified_targets
from nbam_pyro.estimators.contamination import rate_prior
from nbam_pyro.models import Beta, CleanErrorLike
from nbam_pyro.storage import Command
from nbam_pyro.training.contexts import deterministic_algorithms
from nbam_pyro.training.folds import row_hashes

__all__ = ["fit_file"]


def fit_file(
    data: Path,
    out: Path,
    *,
    label: str | None = None,
    annotations: Path | None = None,
    true_label: str | None = None,
    contaminated: str | None = None,
    verified: Sequence[Path] = (),
    task: str = "auto",
    contamination: float | Beta | None = None,
    clean_error: CleanErrorLike = None,
    difficulty: float | None = None,
    head: str | None = None,
    features: FeatureOptions | None = None,
    epochs: int | None = None,
    drop: Sequence[str] = (),
    keep: Sequence[str] = (),
    overwrite: bool = False,
    restart: bool = False,
    seed: int = 0,
    n_jobs: int | None = None,
    devices: int | None = None,
    deterministic: bool = False,
    progress: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Fit a data file or image folder and write a run folder.

    Args:
        data: CSV, Parquet or NPZ file, or a folder that contains one folder of images per label.
        out: Run folder to write. It is written completely or not at all.
        label: Name of the column or array of targets; None for image folders and annotations.
        annotations: CSV or Parquet file of labels of several annotators, whose items are rows of
            `data`; None if `data` have one target per row.
        true_label: Name of the column or array of verified true labels; None if there is none.
        contaminated: Name of the column or array that says which targets are verified as wrong (1,
            true) or right (0, false); None if there is none.
        verified: Files of verified rows that `nbam verify` wrote, instead of such columns.
        task: "classification", "regression" or "auto".
        contamination: Prior of the share of wrong targets, as in the estimators.
        clean_error: Prior of the clean error, as in `NBAMClassifier`; None for measurements.
        difficulty: Difficulty, as in `NBAMClassifier`; None for measurements.
        head: Kind of the classifier of a table or of features, as in `NBAMClassifier`; None for a
            network, and for measurements.
        features: Network that computes features of images; None to use the pixels.
        epochs: Epochs of one ordinary training run, as in the estimators.
        drop: Names of columns to leave out. Identifiers are left out, too.
        keep: Names of columns to keep although they look like identifiers.
        overwrite: True to replace an existing run folder.
        restart: True to throw away the progress of an interrupted command.
        seed: Seed for weights, folds and batches.
        n_jobs: Number of processes for independent fits, as in `fit`.
        devices: Number of devices that share each training run; None for one. With several, an
            interrupted command begins again.
        deterministic: Whether only algorithms that give the same bits in every run are used.
        progress: True to show progress bars.
        say: Function that is called with each message about the progress.

    Returns:
        The content of summary.json.

    Raises:
        DataError: The data cannot be used. The message says why.
        FolderError: The folder exists and `overwrite` is False, it cannot be written, or another
            command was interrupted that would have written it.
    """
    from nbam_pyro.estimators import NBAMClassifier, NBAMRegressor

    rate_prior(contamination)  # before the slow part
    check_one_source(verified, true_label, contaminated)
    if annotations is not None:
        check_annotations_alone(
            label=label, contaminated=contaminated, verified=verified, task=task
        )
    settings: dict[str, Any] = {
        "command": "fit",
        "data": str(data),
        "label": label,
        "annotations": None if annotations is None else str(annotations),
        "true_label": true_label,
        "contaminated": contaminated,
        "verified": [str(file) for file in verified],
        "task": task,
        "drop": list(drop),
        "keep": list(keep),
        "contamination": contamination,
        "clean_error": clean_error_text(clean_error),
        "difficulty": difficulty,
        "head": head,
        "features": None if features is None else features.to_json(),
        "epochs": epochs,
        "seed": seed,
    }
    several = devices is not None and devices > 1
    command = Command(["nbam", *command_words(settings)], settings)
    with continuing(out, command, overwrite=overwrite, restart=restart, say=say) as place:
        started = time.perf_counter()
        source = read(
            data,
            label=label,
            beside=columns_beside(label, true_label, contaminated),
            labelled=annotations is None,
            spelling="numbers" if task == "regression" else "auto",
        )
        source, targets = verified_targets(
            source,
            verified,
            task="classification" if annotations else task,
            true_label=true_label,
            contaminated=contaminated,
        )
        given: dict[str, Any] = {"y": targets.column}
        if annotations is not None:
            given = {"annotations": annotations_of_rows(annotations, source.rows, data=data.name)}
        check_label_options(
            labels=targets.labels, clean_error=clean_error, difficulty=difficulty, head=head
        )
        source = with_features(source, features, data=data.name, progress=progress, say=say)
        learned = learn(source, data=data.name, drop=drop, keep=keep)
        source = source.without_features()  # many rows take much memory
        notes = [*source.notes, *learned.notes, *_lost_digits(targets), *_repeats(learned.x)]
        kind = "labels" if targets.labels else "measurements"
        more = " (if they are something else, use --task)" if task == "auto" else ""
        if annotations is None:
            say(f"Fitting {len(targets.column.values)} {kind}{more} ...")
        else:
            say(f"Fitting {len(given['annotations'])} annotations ...")
        options: dict[str, Any] = {
            "contamination": contamination,
            "epochs": epochs,
            "random_state": seed,
            "n_jobs": n_jobs,
            "progress": progress,
            **({"trainer": {"devices": devices}} if several else {"progress_folder": place.folder}),
        }
        if targets.labels:
            options |= {
                "head": head or "network",
                "clean_error": clean_error,
                "difficulty": difficulty,
            }
        estimator = NBAMClassifier(**options) if targets.labels else NBAMRegressor(**options)
        x = named(learned.encoding, learned.x)
        with deterministic_algorithms(deterministic):
            estimator.fit(x, **given, **targets.verified)
        notes += [*_chosen(estimator, head), *size_notes(estimator, len(estimator.targets_.codes))]
        info = RunInfo(
            data=data.name,
            label=label,
            classes=getattr(estimator, "classes_", None),
            encoding=learned.encoding,
            true_label=true_label,
            contaminated=contaminated,
            annotated=annotations is not None,
        )
        further: dict[str, Any] = {}
        if annotations is not None:
            report = with_names(estimator.annotation_report_, source.rows)
            write_annotation_report(report, place.draft)
            further = annotation_entries(report)
        return write_run(
            place.draft,
            estimator.fit_,
            info,
            learned.x,
            estimator.targets_,
            rows=source.rows,
            settings=settings | {"sha256": source.sha256},
            notes=notes,
            further=further | {"seconds": round(time.perf_counter() - started, 1)},
        )


def _repeats(x: np.ndarray) -> list[str]:
    repeated = len(x) - len(np.unique(row_hashes(x.reshape(len(x), -1))))
    if not repeated:
        return []
    return [
        f"{counted(repeated, 'row', were=('has', 'have'))} the same features as an earlier row; a "
        "wrong label that is repeated in such rows is hard to find"
    ]


def _chosen(estimator: Any, head: str | None) -> list[str]:
    """Say which head was chosen, if that was asked for."""
    if head != "auto":  # None for measurements
        return []
    compared = ", ".join(map(str, estimator.head_.scores.index))
    return [
        f"The classifier is {estimator.head_.choice}: the simplest of {compared} that predicts "
        "labels out of fold as well as the best."
    ]


def _lost_digits(targets: TrainingTargets) -> list[str]:
    values = targets.column.values
    if targets.labels or values.dtype.kind not in "iuf":
        return []
    lost = rounded(values, values.astype(np.float64))
    return [] if lost is None else [f"measurements: {lost}"]
