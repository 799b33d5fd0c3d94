"""The work of `nbam report`: what a run found, and the contents of its rows, as one HTML file."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nbam_pyro.cli.runs.command_words import command_words
from nbam_pyro.cli.runs.folder import read_run
from nbam_pyro.cli.runs.report_data import RunData, data_of_run
from nbam_pyro.cli.runs.results import read_report
from nbam_pyro.cli.runs.reviewing import check_outside
from nbam_pyro.cli.runs.run_kinds import is_detected, is_mapped
from nbam_pyro.cli.runs.schema import Settings
from nbam_pyro.cli.runs.scores import REPORT
from nbam_pyro.data import flipped_digits
from nbam_pyro.detection.saved_patches import read_patches_report
from nbam_pyro.detection.saved_rows import read_rows_report
from nbam_pyro.outputs import ContaminationReport, load_report
from nbam_pyro.outputs.explanation import Explanation
from nbam_pyro.outputs.share import Share
from nbam_pyro.pages.findings import Findings, Kind, Truth
from nbam_pyro.pages.page import page
from nbam_pyro.pages.rates import parts_of_fit, parts_of_report
from nbam_pyro.pages.sources import BASES
from nbam_pyro.storage import check_file, new_file, read_json

__all__ = ["report_run"]

_KINDS: dict[str, Kind] = {
    "classification": "labels",
    "regression": "measurements",
    "detection": "scores",
}
# Intervals of detectors have this probability.
_PROBABILITY = 0.9
_NO_DRAWS = (
    "The prior is not shown beside the posterior, because an earlier version of this library made "
    "the run and did not keep them. Make the run again to see them."
)


def report_run(
    run: Path,
    out: Path,
    *,
    by: str | None = None,
    show_rows: bool = True,
    overwrite: bool = False,
) -> str:
    """Write the report of a run as one HTML file.

    Contents of rows come from the data file of the run, which must be where it was. If it has
    changed, or is not there, the report has no contents and says so.

    Args:
        run: Run folder.
        out: HTML file to write. It is written completely or not at all.
        by: Name of a column of the data whose values are groups of rows; None without groups.
        show_rows: Whether to list rows.
        overwrite: True to replace an existing file.

    Returns:
        A sentence that says why contents of rows are missing; empty if they are not.

    Raises:
        DataError: The file is in the run folder, or the data have no such column.
        FolderError: The run is incomplete or was changed; or the file exists and `overwrite` is
            False, or it cannot be written.
    """
    check_outside(out, run)
    check_file(out, overwrite=overwrite)
    summary, table = read_report(run)
    settings = read_json(run / "settings.json", Settings).root.model_dump()
    wanted = show_rows or by is not None
    data = (
        data_of_run(run, settings, table, by=by)
        if wanted
        else RunData(positions=np.arange(len(table)))
    )
    table.index = pd.Index(data.positions)
    findings = _findings(run, summary, table, settings, data)
    missing = f"Cells and images are not shown: {data.missing}" if data.missing else ""
    html = page(findings, data.contents, missing=missing, show_rows=show_rows)
    with new_file(out, overwrite=overwrite) as draft:
        draft.write_text(html, encoding="utf-8")
    return missing if show_rows else ""


def _findings(
    run: Path, summary: dict[str, Any], table: pd.DataFrame, settings: dict[str, Any], data: RunData
) -> Findings:
    kind = _KINDS[summary["task"]]
    rows = table.rename(columns={"verified_anomaly": "verified"})
    if kind == "scores":
        if "verified" in rows:
            rows["verified"] = rows["verified"] > -1
    else:
        rows = rows[rows["label"].astype(str) != ""]
        if kind == "measurements":
            rows = rows.assign(label=pd.to_numeric(rows["label"]))
    parts: dict[str, Any] = {}
    if (run / "model.json").exists():
        fit, info = read_run(run)
        names = None if info.classes is None else [str(one) for one in info.classes]
        parts = parts_of_fit(fit, names) | {"classes": names}
    elif (report := _report(run)) is not None:
        tables = report.labels
        names = None if tables is None else [str(one) for one in tables.rates["class"]]
        parts = parts_of_report(report, names) | {"classes": names}
    else:
        parts = {"about_tree": _NO_DRAWS}
        if kind == "labels":
            parts["classes"] = sorted({*rows["label"], *rows["suggested_label"]})
    if settings["command"] == "demo":
        parts["truth"] = _demonstrated(settings, rows["row"], rows["responsibility"])
    probability = summary.get("contamination_probability", _PROBABILITY)
    share, rate = (
        Share(summary[name], summary[f"{name}_low"], summary[f"{name}_high"], probability)
        for name in ("contamination", "population_rate")
    )
    return Findings(
        kind=kind,
        data=summary["data"],
        rows=rows,
        share=share,
        rate=rate,
        verdict=summary["verdict"],
        reasons=summary["verdict_lines"][1:],
        explanations=[Explanation(**one) for one in summary["explanations"]],
        basis=BASES.get(summary.get("evidence", ""), ""),
        group=data.group,
        notes=[f"{note.removesuffix('.')}." for note in summary["notes"]],
        run=str(run),
        command=command_words(settings),
        **parts,
    )


def _report(run: Path) -> ContaminationReport | None:
    """Return the report of a run without a fit; None if the run does not have it."""
    if is_detected(run):
        return read_rows_report(run)
    if is_mapped(run):
        return read_patches_report(run)
    return load_report(run / REPORT) if (run / REPORT).exists() else None


def _demonstrated(settings: dict[str, Any], names: pd.Series, r: pd.Series) -> Truth:
    digits = flipped_digits(seed=settings["seed"], rate=settings["rate"])
    flipped = dict(zip(map(str, digits.rows), digits.labels.contaminated, strict=True))
    return Truth(
        responsibility=r.to_numpy(),
        contaminated=names.map(flipped).to_numpy(dtype=bool),
        how="The labels of this demonstration were flipped on purpose, so the truth is known.",
    )
