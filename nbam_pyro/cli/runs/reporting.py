"""The work of `nbam report`: what a run found, and the contents of its rows, as one HTML file."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nbam_pyro.checks.column import Column
from nbam_pyro.cli.files import Columns, read
from nbam_pyro.cli.runs.folder import read_report, read_run
from nbam_pyro.cli.runs.reviewing import check_outside
from nbam_pyro.cli.runs.schema import DetectedInfo, FittedInfo, Settings
from nbam_pyro.data import flipped_digits
from nbam_pyro.errors import DataError
from nbam_pyro.outputs.share import Share
from nbam_pyro.outputs.verdict import Explanation
from nbam_pyro.pages.contents import Contents, contents_of
from nbam_pyro.pages.findings import Findings, Group, Kind, Truth
from nbam_pyro.pages.page import page
from nbam_pyro.pages.sources import BASES, parts_of_fit
from nbam_pyro.storage import check_file, new_file, read_json

__all__ = ["report_run"]

_KINDS: dict[str, Kind] = {
    "classification": "labels",
    "regression": "measurements",
    "detection": "scores",
}
# Intervals of detectors have this probability.
_PROBABILITY = 0.9
# Sides of the images of digits, in pixels.
_DIGIT = 8


@dataclass(frozen=True, kw_only=True, eq=False)
class _Data:
    """Data of a run as they are now.

    Attributes:
        contents: Contents of the rows; None if they cannot be shown.
        group: Groups of the rows, or None.
        missing: Sentence that says why contents cannot be shown; empty if they can.
    """

    contents: Contents | None = None
    group: Group | None = None
    missing: str = ""


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
    data = _data(run, settings, table, by=by) if show_rows or by is not None else _Data()
    if by is not None and data.group is None:
        raise DataError(f"Groups by '{by}' need the data. {data.missing}")
    findings = _findings(run, summary, table, settings, data)
    html = page(findings, data.contents, missing=data.missing, show_rows=show_rows)
    with new_file(out, overwrite=overwrite) as draft:
        draft.write_text(html, encoding="utf-8")
    return data.missing if show_rows else ""


def _findings(
    run: Path, summary: dict[str, Any], table: pd.DataFrame, settings: dict[str, Any], data: _Data
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
        parts = parts_of_fit(fit, names)
        parts["classes"] = names
    elif kind == "labels":
        parts["classes"] = sorted({*rows["label"], *rows["suggested_label"]})
    if settings["command"] == "demo":
        parts["truth"] = _demonstrated(settings, rows)
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
        command=_command(settings),
        **parts,
    )


def _command(settings: dict[str, Any]) -> list[str]:
    """Return the beginning of the command that made a run of `nbam fit`."""
    if settings["command"] not in ("fit", "fit-outputs"):
        return []
    words = ["fit", settings["data"]]
    for name in ("label", "pred_probs", "predictions"):
        if settings.get(name) is not None:
            words += [f"--{name.replace('_', '-')}", str(settings[name])]
    return words


def _demonstrated(settings: dict[str, Any], rows: pd.DataFrame) -> Truth:
    labels = flipped_digits(seed=settings["seed"], rate=settings["rate"]).labels
    return Truth(
        responsibility=rows["responsibility"].to_numpy(),
        contaminated=labels.contaminated[rows.index],
        how="The labels of this demonstration were flipped on purpose, so the truth is known.",
    )


def _data(run: Path, settings: dict[str, Any], table: pd.DataFrame, *, by: str | None) -> _Data:
    """Return the contents of the rows, and index the table by their positions in the data."""
    if settings["command"] == "demo":
        digits = flipped_digits(seed=settings["seed"], rate=settings["rate"])
        _place(table, digits.rows)
        images = digits.x.reshape(-1, _DIGIT, _DIGIT)
        missing = "" if by is None else "The demonstration has no columns."
        return _Data(contents=contents_of(images, len(table)), missing=missing)
    path = Path(settings["data"])
    changed = f"'{path}' is not the file that the run was made from, so cells are not shown."
    if not path.exists():
        where = f"'{path}' is not there (relative to this folder), so cells are not shown."
        return _Data(missing=where)
    label = settings.get("label") or settings.get("class")
    if settings["command"] == "detect-scores":
        label = "score"
    beside = [settings.get(name) for name in ("true_label", "contaminated", "nuisance", "verified")]
    try:
        source = read(
            path,
            label=label,
            beside=[name for name in beside if name is not None],
            labelled="label" in settings,
            features=False,
        )
    except DataError as error:
        return _Data(missing=f"{changed} {error}")
    if len(source.rows) != len(table) or not _place(table, source.rows):
        return _Data(missing=changed)
    if "label" in table and not _same(table, source.y):
        return _Data(missing=changed)
    if isinstance(source.x, pd.DataFrame) and not source.x.shape[1]:
        return _Data(group=_group(source.x, source.beside, by))
    contents = replace(contents_of(source.x, len(table)), beside=_unused(run))
    return _Data(contents=contents, group=_group(source.x, source.beside, by))


def _unused(run: Path) -> tuple[str, ...]:
    """Return the names of columns that the run did not use as features."""
    path = run / "run.json"
    if not path.exists():
        return ()
    fitted = (run / "model.json").exists()
    encoding = (read_json(path, FittedInfo) if fitted else read_json(path, DetectedInfo)).encoding
    return (*encoding.dropped, *encoding.left_out) if isinstance(encoding, Columns) else ()


def _place(table: pd.DataFrame, names: np.ndarray) -> bool:
    """Index a table of rows by their positions in the data. Return False if names differ."""
    at = {str(name): place for place, name in enumerate(names)}
    places = table["row"].astype(str).map(at)
    if places.isna().any() or places.duplicated().any():
        return False
    table.index = pd.Index(places.astype(int))
    return True


def _same(table: pd.DataFrame, y: np.ndarray) -> bool:
    """Return whether labels or measurements of the data are those of the table."""
    column = Column.of(y)
    expected = np.full(len(y), "", dtype=object)
    expected[column.present] = column.values
    found = table["label"].sort_index()
    if pd.api.types.is_numeric_dtype(found):
        numbers = pd.to_numeric(pd.Series(expected), errors="coerce").to_numpy(dtype=float)
        return bool(np.allclose(found.to_numpy(dtype=float), numbers, equal_nan=True))
    return bool((pd.Series(expected).astype(str).to_numpy() == found.astype(str).to_numpy()).all())


def _group(x: Any, beside: Any, by: str | None) -> Group | None:
    if by is None:
        return None
    if isinstance(x, pd.DataFrame) and by in x:
        values = x[by]
    elif by in beside:
        values = pd.Series(beside[by])
    else:
        raise DataError(f"The data have no column '{by}'. Give --by a column of the data.")
    return Group(name=by, values=values.astype(object).where(values.notna(), "unknown").to_numpy())
