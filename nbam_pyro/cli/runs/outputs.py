"""The work of `nbam fit` with `--pred-probs` or `--predictions`: outputs of any model."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from nbam_pyro.cli.files import read
from nbam_pyro.cli.runs.given import pred_probs_of, predictions_of
from nbam_pyro.cli.runs.priors import check_label_options, clean_error_text
from nbam_pyro.cli.runs.schema import Settings, Summary
from nbam_pyro.cli.runs.scores import REPORT, share_entries
from nbam_pyro.cli.runs.tables import write_table
from nbam_pyro.cli.runs.targets import TrainingTargets, columns_beside
from nbam_pyro.cli.runs.verified_files import (
    check_one_source,
    check_true_labels,
    verified_targets,
)
from nbam_pyro.errors import DataError
from nbam_pyro.estimators.contamination import rate_prior
from nbam_pyro.estimators.targets import encode_labels, encode_measurements
from nbam_pyro.estimators.verified import verified_rows
from nbam_pyro.models.priors.clean_error import CleanErrorLike
from nbam_pyro.models.priors.pseudo_counts import Beta, FlipPrior
from nbam_pyro.outputs.contamination_report import FLAGGED, ContaminationReport
from nbam_pyro.outputs.pred_probs import from_pred_probs
from nbam_pyro.outputs.predictions.from_predictions import from_predictions
from nbam_pyro.storage import new_folder, write_json, write_manifest
from nbam_pyro.verified import Verified

__all__ = ["fit_outputs"]

_SURE, _DOUBTFUL = 0.9, 0.1


@dataclass(frozen=True, kw_only=True)
class _Found:
    """Report on a file, and what is written about it."""

    report: ContaminationReport
    table: pd.DataFrame
    verified: Verified
    counts: dict[str, int]
    further: dict[str, Any]
    names: list[object] | None


def fit_outputs(
    data: Path,
    out: Path,
    *,
    pred_probs: Path | None = None,
    predictions: Path | None = None,
    label: str | None = None,
    true_label: str | None = None,
    contaminated: str | None = None,
    verified: Sequence[Path] = (),
    task: str = "auto",
    contamination: float | Beta | None = None,
    clean_error: CleanErrorLike = None,
    overwrite: bool = False,
    restart: bool = False,
    seed: int = 0,
) -> dict[str, Any]:
    """Find wrong labels or measurements by outputs of a model, and write a run folder.

    Args:
        data: File with the labels or measurements, as in `fit_file`.
        out: Run folder to write. It is written completely or not at all.
        pred_probs: CSV or Parquet file with one column of out-of-sample probabilities per class,
            and the rows of `data` in their order. None for measurements.
        predictions: CSV or Parquet file of out-of-sample predictions, with the rows of `data` in
            their order: columns mean and scale, or q0.05, q0.5, ..., or draw_1, draw_2, .... None
            for labels.
        label: Name of the column or array of targets; None for image folders.
        true_label: Name of the column of verified true labels; None if there is none.
        contaminated: Name of the column that says which targets are verified as wrong (1, true) or
            right (0, false); None if there is none.
        verified: Files of verified rows that `nbam verify` wrote, instead of such columns.
        task: "classification", "regression" or "auto".
        contamination: Prior of the share of wrong targets, as in the estimators.
        clean_error: Prior of the clean error, as in `from_pred_probs`; None for measurements.
        overwrite: True to replace an existing run folder.
        restart: True to throw away the progress of an interrupted command.
        seed: Seed for the draws.

    Returns:
        The content of summary.json.

    Raises:
        DataError: The data or the outputs cannot be used. The message says why.
        FolderError: The folder exists and `overwrite` is False, or it cannot be written.
    """
    prior = None if contamination is None else rate_prior(contamination)
    check_one_source(verified, true_label, contaminated)
    labels = pred_probs is not None
    expected = "classification" if labels else "regression"
    if task not in ("auto", expected):
        option = "--pred-probs" if labels else "--predictions"
        raise DataError(f"--task is {task!r}, but {option} is for {expected}. Leave out --task.")
    check_label_options(labels=labels, clean_error=clean_error)
    with new_folder(out, overwrite=overwrite, restart=restart) as draft:
        started = time.perf_counter()
        source = read(
            data,
            label=label,
            beside=columns_beside(label, true_label, contaminated),
            spelling="auto" if labels else "numbers",
            features=False,
        )
        source, targets = verified_targets(
            source, verified, task=expected, true_label=true_label, contaminated=contaminated
        )
        present = targets.column.present
        if not present.any():
            raise DataError(f"'{data}' has no label or measurement. Give at least one.")
        if pred_probs is not None:
            found = _labels(
                pred_probs, targets, rows=source.rows, prior=prior, clean_error=clean_error
            )
        else:
            found = _measurements(predictions, targets, prior=prior, seed=seed)
        table = found.table
        table.insert(0, "row", source.rows)
        known = found.verified
        if len(known):
            table["verified"] = known.known.numpy()
        summary = {
            "data": data.name,
            "label": label,
            "task": expected,
            "rows": len(present),
            "labelled": int(present.sum()),
            **share_entries(found.report, names=found.names),
            "contamination_probability": found.report.probability,
            "evidence": "out-of-sample",
            **({} if not len(known) else {"verified": found.counts}),
            **_flagged(table["responsibility"].to_numpy()[present]),
            "collapse": None,
            **found.further,
            "notes": [*source.notes, found.report.note.removesuffix(".")],
            "seconds": round(time.perf_counter() - started, 1),
        }
        settings = {
            "command": "fit-outputs",
            "data": str(data),
            "sha256": source.sha256,
            "pred_probs": None if pred_probs is None else str(pred_probs),
            "predictions": None if predictions is None else str(predictions),
            "label": label,
            "true_label": true_label,
            "contaminated": contaminated,
            "verified": [str(file) for file in verified],
            "task": task,
            "contamination": contamination,
            "clean_error": clean_error_text(clean_error),
            "seed": seed,
        }
        ordered = table.sort_values("responsibility", ascending=False, kind="stable")
        write_table(ordered, draft / "flags.csv")
        write_json(draft / "summary.json", summary, Summary)
        write_json(draft / "settings.json", settings, Settings)
        found.report.save(draft / REPORT)
        write_manifest(draft)
        return summary


def _labels(
    path: Path,
    targets: TrainingTargets,
    *,
    rows: np.ndarray,
    prior: Beta | None,
    clean_error: CleanErrorLike,
) -> _Found:
    column = targets.column
    present = column.present
    given = pred_probs_of(path, column.values, rows=len(present))
    codes = encode_labels(column.values, given.classes)
    verified = verified_rows(
        codes,
        present,
        true_label=targets.verified.get("true_label"),
        contaminated=targets.verified.get("contaminated"),
        encode=lambda values: encode_labels(values, given.classes),
    )
    known = _of_present(verified, codes, present)
    check_true_labels(known, codes, rows[present])
    report = from_pred_probs(
        given.classes[codes],
        given.probabilities[present],
        classes=given.classes.tolist(),
        verified=known if len(known) else None,
        prior=None if prior is None else FlipPrior(rate=prior),
        clean_error=clean_error,
    )
    # A row without a label has the probability that a new row is wrong.
    r = np.full(len(present), report.population_rate)
    suggested = given.classes[given.probabilities.argmax(1)]
    chance = given.probabilities.max(1)
    r[present] = report.rows["responsibility"]
    suggested[present] = report.rows["suggested_label"]
    chance[present] = report.rows["suggested_probability"]
    table = pd.DataFrame(
        {
            "label": column.cells,
            "responsibility": r,
            "suggested_label": suggested,
            "suggested_probability": chance,
        }
    )
    return _Found(
        report=report,
        table=table,
        verified=verified,
        counts=_counts(known, codes),
        further={"classes": len(given.classes)},
        names=given.classes.tolist(),
    )


def _measurements(
    path: Path | None, targets: TrainingTargets, *, prior: Beta | None, seed: int
) -> _Found:
    column = targets.column
    measured = encode_measurements(column.values)
    verified = verified_rows(
        measured,
        column.present,
        true_label=None,
        contaminated=targets.verified.get("contaminated"),
        encode=encode_measurements,
    )
    y = np.full(len(column.present), np.nan)
    y[column.present] = measured
    given = predictions_of(path, rows=len(y))
    report = from_predictions(
        y,
        given.mean,
        scale=given.scale,
        quantiles=given.quantiles,
        draws=given.draws,
        verified=verified if len(verified) else None,
        prior=prior,
        seed=seed,
    )
    table = report.rows[["responsibility", "prediction"]].copy()
    table.insert(0, "label", column.cells)
    return _Found(
        report=report,
        table=table,
        verified=verified,
        counts=_counts(_of_present(verified, measured, column.present), measured),
        further=_errors(report, column.present),
        names=None,
    )


def _of_present(verified: Verified, y: np.ndarray, present: np.ndarray) -> Verified:
    """Return what is verified about the rows that have a target, y of shape (n,)."""
    if not len(verified):
        return verified
    return Verified.of(
        y, contaminated=verified.contaminated[present], true_label=verified.true_label[present]
    )


def _counts(verified: Verified, y: np.ndarray) -> dict[str, int]:
    switch = verified.switch(torch.as_tensor(y))
    return {"clean": int((switch == 0).sum()), "contaminated": int((switch == 1).sum())}


def _flagged(r: np.ndarray) -> dict[str, Any]:
    flagged = r > FLAGGED
    return {
        "flagged": int(flagged.sum()),
        "flagged_wrong": float(r[flagged].sum()),
        "sure": int((r > _SURE).sum()),
        "doubtful": int(((r > _DOUBTFUL) & (r < _SURE)).sum()),
    }


def _errors(report: ContaminationReport, present: np.ndarray) -> dict[str, Any]:
    rows = report.rows[present]
    error = (rows["measurement"] - rows["prediction"]).to_numpy()
    flagged = (rows["responsibility"] > FLAGGED).to_numpy()
    return {
        "flagged_above": int((error[flagged] > 0).sum()),
        "flagged_error": float(np.median(np.abs(error[flagged]))) if flagged.any() else None,
        "clean_error": float(np.sqrt((error[~flagged] ** 2).mean())) if (~flagged).any() else None,
    }
