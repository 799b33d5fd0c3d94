"""The work of `nbam export`: rows of a run in the form that other tools read."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pandas as pd

from nbam_pyro.cli.files.messages import counted, repeated
from nbam_pyro.cli.runs.cells import read_cells
from nbam_pyro.cli.runs.info_schema import FittedInfo
from nbam_pyro.cli.runs.results import read_report
from nbam_pyro.cli.runs.reviewing import check_outside
from nbam_pyro.cli.runs.row_contents import with_contents
from nbam_pyro.cli.runs.schema import Settings
from nbam_pyro.cli.runs.tables import formulas, write_csv
from nbam_pyro.errors import DataError
from nbam_pyro.exchange import (
    Rule,
    RunRows,
    argilla_records,
    cleaned,
    cleanlab_issues,
    fiftyone_samples,
    label_studio_config,
    label_studio_tasks,
    spotlight_issues,
)
from nbam_pyro.exchange.run_rows import as_text
from nbam_pyro.storage import check_file, check_files, new_file, read_json

__all__ = ["export_run", "read_rows"]

_CANNOT_TELL = "cannot tell"
_STUDIO, _ARGILLA = "label-studio", "argilla"
_CLEANLAB, _SPOTLIGHT = "cleanlab", "spotlight"
_JSON: Mapping[str, Callable[[RunRows], Any]] = MappingProxyType(
    {
        _STUDIO: label_studio_tasks,
        _ARGILLA: argilla_records,
        "fiftyone": fiftyone_samples,
        _SPOTLIGHT: spotlight_issues,
    }
)
_TABLES = ("csv", "parquet")
_TOOLS = (*_JSON, _CLEANLAB, *_TABLES)


def export_run(
    run: Path,
    out: Path,
    *,
    to: str,
    rows: Path | None = None,
    rule: str | None = None,
    flagged: str | None = None,
    anyway: bool = False,
    prefix: str | None = None,
    overwrite: bool = False,
) -> list[str]:
    """Write the rows of a run for another tool.

    The run folder does not change. For Label Studio, the labelling interface is written beside the
    tasks, with the ending .xml.

    Args:
        run: Run folder.
        out: File to write. It is written completely or not at all.
        to: Name of the tool or format.
        rows: Table with a column row: only these rows are written, in its order. None for all rows.
        rule: Decision rule of a cleaned table, as `Rule.parse` takes it; None for all rows.
        flagged: What happens to the rows that the rule chooses: "drop" (the default) or "relabel".
        anyway: True to apply a rule although the verdict is "cannot tell".
        prefix: Text in front of the name of a picture. None for the folder of the data.
        overwrite: True to replace existing files.

    Returns:
        Lines that say what was written.

    Raises:
        DataError: The options do not fit together, rows are unknown, or a rule is given although
            the verdict is "cannot tell".
        FolderError: The run is incomplete or was changed; or a file exists and `overwrite` is
            False, or it cannot be written.
    """
    check_outside(out, run)
    _check_options(to, out, rows=rows, rule=rule, flagged=flagged, anyway=anyway)
    parsed = None if rule is None else Rule.parse(rule)
    files = [out, out.with_suffix(".xml")] if to == _STUDIO else [out]
    for file in files:
        check_file(file, overwrite=overwrite)
    given, level = read_rows(run, prefix=prefix)
    if level == _CANNOT_TELL and parsed is not None and not anyway:
        raise DataError(
            f"The verdict of '{run}' is 'cannot tell', so its flags must not be acted on. Verify "
            "rows first (nbam show says which), or add --anyway."
        )
    if rows is not None:
        given = _chosen(given, rows)
    missing = ""
    if to in (_STUDIO, _ARGILLA):
        given, missing = with_contents(run, given)
    elif parsed is not None:
        given, missing = with_contents(run, given, beside=True, typed=to != "csv")
    written = _table(given, to, parsed, flagged) if to not in _JSON else None
    if written is None:
        with new_file(out, overwrite=overwrite) as draft:
            draft.write_text(json.dumps(_JSON[to](given), indent=1) + "\n", encoding="utf-8")
    else:
        _write(written, out, overwrite=overwrite)
    if to == _STUDIO:
        with new_file(files[1], overwrite=overwrite) as draft:
            draft.write_text(label_studio_config(given) + "\n", encoding="utf-8")
    lines = _said(given, written, files, level=level, rule=parsed)
    return [*lines, *([f"Note: The data are not in the file: {missing}"] if missing else [])]


def read_rows(run: Path, *, prefix: str | None = None) -> tuple[RunRows, str]:
    """Read the rows of a run, and the level of its verdict.

    Args:
        run: Run folder.
        prefix: Text in front of the name of a picture. None for the folder of the data.

    Raises:
        FolderError: The folder is not a run folder, or one of its files is missing or was changed.
    """
    from torchvision.datasets.folder import IMG_EXTENSIONS

    summary, table = read_report(run)
    check_files(run, ["settings.json"])
    settings = read_json(run / "settings.json", Settings).model_dump()
    start = f"{settings.get('data', '')}/" if prefix is None else prefix
    media = {
        row: start + row
        for row in table["row"].map(str)
        if Path(row).suffix.lower() in IMG_EXTENSIONS
    }
    if summary["task"] == "regression":
        table["label"] = pd.to_numeric(table["label"], errors="coerce")
    rows = RunRows(
        task=summary["task"], table=table, classes=_classes(run, summary, table), media=media
    )
    return rows, summary["verdict"]


def _classes(run: Path, summary: dict[str, Any], table: pd.DataFrame) -> tuple[str, ...]:
    """Names of the classes: those of the fit, or those in the table if nothing was trained."""
    if summary["task"] != "classification":
        return ()
    if (run / "run.json").exists():
        check_files(run, ["run.json"])
        return tuple(map(str, read_json(run / "run.json", FittedInfo).classes or ()))
    names = pd.concat([table["label"], table["suggested_label"]]).map(as_text)
    return tuple(sorted(set(names) - {""}))


def _check_options(
    to: str,
    out: Path,
    *,
    rows: Path | None,
    rule: str | None,
    flagged: str | None,
    anyway: bool,
) -> None:
    if to not in _TOOLS:
        raise DataError(f"--to is {to!r}. Give one of {', '.join(_TOOLS)}.")
    if to in _JSON:
        endings: tuple[str, ...] = (".json",)
    else:
        endings = (".csv", ".parquet") if to == _CLEANLAB else (f".{to}",)
    if out.suffix.lower() not in endings:
        raise DataError(f"--out is '{out}'. With --to {to}, it ends in {' or '.join(endings)}.")
    if rule is None and (flagged is not None or anyway):
        raise DataError("--flagged and --anyway are for a cleaned table. Add --rule.")
    if rows is not None and to in (_SPOTLIGHT, _CLEANLAB):
        raise DataError(f"With --to {to}, rows are numbered as in the data. Leave out --rows.")
    if rule is not None and (to not in _TABLES or rows is not None):
        raise DataError(
            "--rule makes a cleaned table of all rows. Use --to csv or --to parquet, without "
            "--rows."
        )


def _chosen(given: RunRows, path: Path) -> RunRows:
    """Return the rows that a table names, in its order."""
    wanted = read_cells(path)
    if "row" not in wanted:
        raise DataError(f"'{path}' has no column 'row'. Give a table that nbam review wrote.")
    names = wanted["row"].tolist()
    twice = repeated(names)
    if twice:
        raise DataError(f"'{path}' has row '{twice[0]}' more than once. Keep one line for it.")
    table = given.table.assign(row=given.table["row"].map(str)).set_index("row", drop=False)
    strange = [name for name in names if name not in table.index]
    if strange:
        raise DataError(
            f"'{path}' has {counted(len(strange), 'row')} that the run does not have, the first is "
            f"row '{strange[0]}'. Give the run from which the rows were drawn."
        )
    table = table.loc[names].reset_index(drop=True)
    if "inclusion_probability" in wanted:
        drawn = pd.to_numeric(wanted["inclusion_probability"], errors="coerce")
        table["inclusion_probability"] = drawn.to_numpy()
    return RunRows(task=given.task, table=table, classes=given.classes, media=given.media)


def _table(given: RunRows, to: str, rule: Rule | None, flagged: str | None) -> pd.DataFrame:
    if to == _CLEANLAB:
        return cleanlab_issues(given)
    if rule is None:
        table = given.table if "inclusion_probability" in given.table else given.in_order
        return table.assign(weight=1 - table["responsibility"])
    return cleaned(given, rule, flagged=flagged or "drop")  # type: ignore[arg-type]


def _write(table: pd.DataFrame, out: Path, *, overwrite: bool) -> None:
    if out.suffix.lower() == ".csv":
        write_csv(table, out, overwrite=overwrite)
        return
    with new_file(out, overwrite=overwrite) as draft:
        table.to_parquet(draft, index=False)


def _said(
    given: RunRows,
    written: pd.DataFrame | None,
    files: list[Path],
    *,
    level: str,
    rule: Rule | None,
) -> list[str]:
    out = files[0]
    if rule is None or written is None:
        lines = [f"{counted(len(given.table), 'row')} are in {out}."]
    else:
        changed = int((written["action"] == "relabel").sum())
        new = f"{changed} of them have a new label (column label; the old one is in old_label)"
        lines = [
            f"{counted(len(written), 'row')} of {len(given.table)} are in {out}; "
            f"{new if changed else 'no label is changed'}. The column weight is for the training "
            "of another model."
        ]
        lines += _renamed(given, written)
    lines += [f"The labelling interface is in {one}." for one in files[1:]]
    if written is not None and out.suffix.lower() == ".csv" and (count := formulas(written)):
        lines.append(
            f"{counted(count, 'cell')} would run as a formula in a spreadsheet, and got an "
            "apostrophe in front. nbam removes it again."
        )
    if level == _CANNOT_TELL:
        lines.append("Verdict: cannot tell. Use the rows as an order for people, not as flags.")
    return lines


def _renamed(given: RunRows, written: pd.DataFrame) -> list[str]:
    """Say which columns of the data have another name in a cleaned table."""
    old = [] if given.cells is None else list(given.cells)
    new = list(written.columns[len(written.columns) - len(old) :])
    return [
        f"The column {one!r} of the data is the column {other!r} there."
        for one, other in zip(old, new, strict=True)
        if one != other
    ]
