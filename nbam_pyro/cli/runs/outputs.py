"""The work of `nbam fit` with `--pred-probs` or `--predictions`: outputs of any model."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nbam_pyro.cli.files import read
from nbam_pyro.cli.runs.given import Predictions, pred_probs_of, predictions_of
from nbam_pyro.cli.runs.schema import Settings, Summary
from nbam_pyro.cli.runs.scores import share_entries
from nbam_pyro.cli.runs.tables import write_table
from nbam_pyro.cli.runs.targets import TrainingTargets, columns_beside
from nbam_pyro.errors import DataError
from nbam_pyro.estimators.contamination import rate_prior
from nbam_pyro.estimators.targets import encode_labels, encode_measurements
from nbam_pyro.estimators.verified import verified_rows
from nbam_pyro.models.priors.pseudo_counts import Beta, FlipPrior
from nbam_pyro.outputs.contamination_report import FLAGGED, ContaminationReport
from nbam_pyro.outputs.pred_probs import from_pred_probs
from nbam_pyro.outputs.predictions.from_predictions import from_predictions
from nbam_pyro.storage import new_folder, write_json, write_manifest
from nbam_pyro.verified import Verified

__all__ = ["check_alone", "fit_outputs"]

_SURE, _DOUBTFUL = 0.9, 0.1


def check_alone(
    *, epochs: int | None, drop: Sequence[str], keep: Sequence[str], both: bool
) -> None:
    """Raise an error for options that have no effect if nothing is trained.

    Args:
        epochs: Value of `--epochs`.
        drop: Values of `--drop`.
        keep: Values of `--keep`.
        both: Whether `--pred-probs` and `--predictions` are given together.

    Raises:
        DataError: One of the options is given, or both files.
    """
    if both:
        raise DataError("Give --pred-probs for labels or --predictions for measurements, not both.")
    if epochs is not None or drop or keep:
        raise DataError(
            "With --pred-probs or --predictions nothing is trained, and features are not used. "
            "Leave out --epochs, --drop and --keep."
        )


def fit_outputs(
    data: Path,
    out: Path,
    *,
    pred_probs: Path | None = None,
    predictions: Path | None = None,
    label: str | None = None,
    true_label: str | None = None,
    contaminated: str | None = None,
    task: str = "auto",
    contamination: float | Beta | None = None,
    overwrite: bool = False,
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
        task: "classification", "regression" or "auto".
        contamination: Prior of the share that is wrong, as in the estimators.
        overwrite: True to replace an existing run folder.
        seed: Seed for the draws.

    Returns:
        The content of summary.json.

    Raises:
        DataError: The data or the outputs cannot be used. The message says why.
        FolderError: The folder exists and `overwrite` is False, or it cannot be written.
    """
    prior = None if contamination is None else rate_prior(contamination)
    labels = pred_probs is not None
    expected = "classification" if labels else "regression"
    if task not in ("auto", expected):
        option = "--pred-probs" if labels else "--predictions"
        raise DataError(f"--task is {task!r}, but {option} is for {expected}. Leave out --task.")
    with new_folder(out, overwrite=overwrite) as draft:
        started = time.perf_counter()
        source = read(
            data,
            label=label,
            beside=columns_beside(label, true_label, contaminated),
            spelling="auto" if labels else "numbers",
            features=False,
        )
        targets = TrainingTargets.of(
            source, task=expected, true_label=true_label, contaminated=contaminated
        )
        present, n = targets.column.present, len(source.rows)
        if not present.any():
            raise DataError(f"'{data}' has no label or measurement. Give at least one.")
        table = pd.DataFrame({"row": source.rows, "label": targets.column.cells})
        if pred_probs is not None:
            given = pred_probs_of(pred_probs, targets.column.values, rows=n)
            codes = encode_labels(targets.column.values, given.classes)
            verified = verified_rows(
                codes,
                present,
                true_label=targets.verified.get("true_label"),
                contaminated=targets.verified.get("contaminated"),
                encode=lambda values: encode_labels(values, given.classes),
            )
            report = from_pred_probs(
                codes,
                given.probabilities[present],
                verified=_of_present(verified, codes, present),
                prior=None if prior is None else FlipPrior(rate=prior),
            )
            r = np.full(n, report.population_rate)
            r[present] = report.rows["responsibility"]
            table["responsibility"] = r
            best = given.probabilities.argmax(1)
            chance = given.probabilities.max(1)
            best[present] = report.rows["suggested_label"]
            chance[present] = report.rows["suggested_probability"]
            table["suggested_label"] = given.classes[best]
            table["suggested_probability"] = chance
            further: dict[str, Any] = {"classes": len(given.classes)}
            names: list[object] | None = given.classes.tolist()
        else:
            measured = encode_measurements(targets.column.values)
            y = np.full(n, np.nan)
            y[present] = measured
            verified = verified_rows(
                measured,
                present,
                true_label=None,
                contaminated=targets.verified.get("contaminated"),
                encode=encode_measurements,
            )
            given_predictions = predictions_of(predictions, rows=n)
            report = _measurements(y, given_predictions, verified, prior=prior, seed=seed)
            table["responsibility"] = report.rows["responsibility"].to_numpy()
            table["prediction"] = report.rows["prediction"].to_numpy()
            further = _errors(report, present)
            names = None
        if len(verified):
            table["verified"] = verified.known.numpy()
        summary = {
            "data": data.name,
            "label": label,
            "task": expected,
            "rows": n,
            "labelled": int(present.sum()),
            **share_entries(report, names=names),
            "contamination_probability": report.probability,
            "evidence": "out-of-sample",
            **({} if not len(verified) else {"verified": _counts(verified)}),
            **_flagged(table["responsibility"].to_numpy()[present]),
            "collapse": None,
            **further,
            "notes": [*source.notes, report.note.removesuffix(".")],
            "seconds": round(time.perf_counter() - started, 1),
        }
        settings = {
            "command": "fit-outputs",
            "data": str(data),
            "pred_probs": None if pred_probs is None else str(pred_probs),
            "predictions": None if predictions is None else str(predictions),
            "label": label,
            "true_label": true_label,
            "contaminated": contaminated,
            "task": task,
            "contamination": contamination,
            "seed": seed,
        }
        ordered = table.sort_values("responsibility", ascending=False, kind="stable")
        write_table(ordered, draft / "flags.csv")
        write_json(draft / "summary.json", summary, Summary)
        write_json(draft / "settings.json", settings, Settings)
        write_manifest(draft)
        return summary


def _of_present(verified: Verified, codes: np.ndarray, present: np.ndarray) -> Verified | None:
    """Return what is verified about the rows that have a label; None if nothing is."""
    if not len(verified):
        return None
    return Verified.of(
        codes,
        contaminated=verified.contaminated[present],
        true_label=verified.true_label[present],
    )


def _measurements(
    y: np.ndarray,
    given: Predictions,
    verified: Verified,
    *,
    prior: Beta | None,
    seed: int,
) -> ContaminationReport:
    return from_predictions(
        y,
        given.mean,
        scale=given.scale,
        quantiles=given.quantiles,
        draws=given.draws,
        verified=verified if len(verified) else None,
        prior=prior,
        seed=seed,
    )


def _counts(verified: Verified) -> dict[str, int]:
    return {
        "clean": int((verified.contaminated == 0).sum()),
        "contaminated": int((verified.contaminated == 1).sum()),
    }


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
