"""The work of `nbam detect --scores`: the share of anomalies from the scores of any detector."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nbam_pyro.checks.arguments import as_numbers
from nbam_pyro.cli.files import read
from nbam_pyro.cli.runs.schema import Settings, Summary
from nbam_pyro.cli.runs.tables import write_table
from nbam_pyro.cli.runs.verdict import verdict_entries
from nbam_pyro.cli.runs.verified_rows import verified_codes, verified_column
from nbam_pyro.outputs.contamination_report import ContaminationReport
from nbam_pyro.outputs.scores.from_scores import from_scores
from nbam_pyro.storage import new_folder, write_json, write_manifest

__all__ = ["REPORT", "detect_scores", "share_entries"]

REPORT = "report"
"""Folder of the `ContaminationReport` in a run folder without a model."""

# The column that holds the scores.
_SCORE = "score"
# Rows are flagged if they are more probably anomalies than not.
_EVEN = 0.5


def detect_scores(
    scores: Path,
    out: Path,
    *,
    verified: str | None = None,
    overwrite: bool = False,
    restart: bool = False,
    seed: int = 0,
) -> dict[str, Any]:
    """Find anomalies in a file of scores and write a run folder without a detector.

    Args:
        scores: CSV or Parquet file with a column "score", high for anomalies. A detector that was
            not trained on these rows should have scored them.
        out: Run folder to write. It is written completely or not at all.
        verified: Name of the column that says which rows somebody has verified: 1 or true for an
            anomaly, 0 or false for a normal row, empty where nothing is verified. None if no row is
            verified.
        overwrite: True to replace an existing run folder.
        restart: True to throw away the progress of an interrupted command.
        seed: Seed for the draws.

    Returns:
        The content of summary.json.

    Raises:
        DataError: The scores cannot be used. The message says why.
        FolderError: The folder exists and `overwrite` is False, or it cannot be written.
    """
    with new_folder(out, overwrite=overwrite, restart=restart) as draft:
        started = time.perf_counter()
        column = verified_column(verified)
        beside = [] if column is None else [column]
        source = read(scores, label=_SCORE, beside=beside, spelling="numbers", features=False)
        codes = verified_codes(source, verified)
        report = from_scores(as_numbers(source.y, _SCORE), verified=codes, seed=seed)
        table = report.rows.assign(row=source.rows)[["row", "score", "responsibility"]]
        table["flagged"] = table["responsibility"] > _EVEN
        if codes is not None:
            table["verified_anomaly"] = codes
        summary = {
            "data": scores.name,
            "task": "detection",
            "rows": len(table),
            "features": None,
            "backbone": None,
            **share_entries(report),
            "flagged": int(table["flagged"].sum()),
            "threshold": None,
            "notes": [report.note.removesuffix(".")],
            "seconds": round(time.perf_counter() - started, 1),
        }
        settings = {
            "command": "detect-scores",
            "data": str(scores),
            "sha256": source.sha256,
            "verified": verified,
            "seed": seed,
        }
        order = np.lexsort((-table["score"], -table["responsibility"]))
        write_table(table.iloc[order], draft / "flags.csv")
        write_json(draft / "summary.json", summary, Summary)
        write_json(draft / "settings.json", settings, Settings)
        report.save(draft / REPORT)
        write_manifest(draft)
        return summary


def share_entries(
    report: ContaminationReport, *, names: Sequence[object] | None = None
) -> dict[str, Any]:
    """Return the entries of summary.json about shares, intervals and verdict.

    Args:
        report: Report on the rows of the run.
        names: Names of the classes, if the report is about labels.
    """
    low, high = report.contamination_interval
    rate_low, rate_high = report.population_rate_interval
    return {
        "contamination": report.contamination,
        "contamination_low": low,
        "contamination_high": high,
        "population_rate": report.population_rate,
        "population_rate_low": rate_low,
        "population_rate_high": rate_high,
        **verdict_entries(report.verdict, names),
    }
