"""The data of a run as they are now: contents of its rows, and groups of rows."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nbam_pyro.checks.column import Column
from nbam_pyro.cli.files import Columns, Source, read
from nbam_pyro.cli.runs.info_schema import DetectedInfo, FittedInfo
from nbam_pyro.cli.runs.targets import whole
from nbam_pyro.cli.runs.verified_rows import verified_column
from nbam_pyro.data import flipped_digits
from nbam_pyro.errors import DataError
from nbam_pyro.pages.contents import Contents, contents_of
from nbam_pyro.pages.findings import Group
from nbam_pyro.storage import read_json

__all__ = ["RunData", "check_unchanged", "data_of_run", "names_beside", "target_of"]

# Sides of the images of digits, in pixels.
_DIGIT = 8
# Columns that are neither features nor targets, as settings.json names them.
_BESIDE = ("true_label", "contaminated", "nuisance")


@dataclass(frozen=True, kw_only=True, eq=False)
class RunData:
    """Data of a run as they are now.

    Attributes:
        positions: Position in the data of each row of flags.csv, (N,).
        contents: Contents of the rows in the order of the data; None if they cannot be shown.
        group: Groups of the rows in the order of the data, or None.
        source: The data in the file or folder; None for the demonstration, or if they are missing.
        missing: Sentence that says why the data are missing; empty if they are not.
    """

    positions: np.ndarray
    contents: Contents | None = None
    group: Group | None = None
    source: Source | None = None
    missing: str = ""


def data_of_run(
    run: Path, settings: dict[str, Any], table: pd.DataFrame, *, by: str | None
) -> RunData:
    """Read the data of a run again. If they are not there or have changed, the result says so.

    Args:
        run: Run folder.
        settings: Content of settings.json.
        table: Table in flags.csv.
        by: Name of a column with groups, or None.

    Raises:
        DataError: Groups are wanted, and the data or the column are not there.
    """
    try:
        if settings["command"] == "demo":
            return _demonstrated(settings, table)
        source = _source(settings)
        positions = _positions(table, source.rows)
        measured = "prediction" in table
        if settings.get("annotations") is None:  # else the data have no targets
            _check_targets(table, positions, source.y, measured=measured, path=settings["data"])
        check_unchanged(source, settings)
    except DataError as error:
        if by is not None:
            raise
        return RunData(positions=np.arange(len(table)), missing=str(error))
    group = None if by is None else _group(source, by)
    if isinstance(source.x, pd.DataFrame) and not source.x.shape[1]:
        return RunData(positions=positions, group=group, source=source)
    contents = replace(contents_of(source.x, len(table)), beside=_unused(run))
    return RunData(positions=positions, contents=contents, group=group, source=source)


def _demonstrated(settings: dict[str, Any], table: pd.DataFrame) -> RunData:
    digits = flipped_digits(seed=settings["seed"], rate=settings["rate"])
    images = digits.x.reshape(-1, _DIGIT, _DIGIT)
    return RunData(
        positions=_positions(table, digits.rows), contents=contents_of(images, len(table))
    )


def _source(settings: dict[str, Any]) -> Source:
    return read(
        Path(settings["data"]),
        label=target_of(settings),
        beside=names_beside(settings),
        labelled="label" in settings and settings.get("annotations") is None,
        features=False,
        spelling="numbers" if settings.get("task") == "regression" else "auto",
    )


def check_unchanged(source: Source, settings: dict[str, Any]) -> None:
    """Raise an error if the file of a run was changed, because its rows may have other numbers.

    Args:
        source: The data as they are now.
        settings: Content of settings.json. Without a hash of the file, nothing is checked.

    Raises:
        DataError: The hash of the file is not the one of the run.
    """
    before = settings.get("sha256")
    if before is not None and source.sha256 != before:
        raise DataError(
            f"'{settings['data']}' has changed since the run, so its rows may have other numbers. "
            "Restore the file or fit again."
        )


def target_of(settings: dict[str, Any]) -> str | None:
    """Return the name of the column or array of targets, classes or scores; None without one.

    Args:
        settings: Content of settings.json.
    """
    if settings["command"] == "detect-scores":
        return "score"
    return settings.get("label") or settings.get("class")


def names_beside(settings: dict[str, Any]) -> list[str]:
    """Return the names of columns or arrays that are neither features nor targets.

    Args:
        settings: Content of settings.json.
    """
    names = [settings.get(name) for name in _BESIDE]
    verified = settings.get("verified")
    if isinstance(verified, str):  # nbam detect takes a column or a file; nbam fit takes files
        names.append(verified_column(verified))
    return [name for name in names if name is not None]


def _positions(table: pd.DataFrame, names: np.ndarray) -> np.ndarray:
    """Return the position in the data of each row of a table.

    Raises:
        DataError: The rows are not those of the data.
    """
    at = {str(name): place for place, name in enumerate(names)}
    places = table["row"].astype(str).map(at)
    if len(names) != len(table) or places.isna().any() or places.duplicated().any():
        raise DataError(
            f"the data have {len(names)} rows, and the run has {len(table)} or others. Fit again."
        )
    return places.to_numpy(dtype=int)


def _check_targets(
    table: pd.DataFrame, positions: np.ndarray, y: np.ndarray, *, measured: bool, path: str
) -> None:
    """Raise a `DataError` if labels or measurements of the data are not those of a table."""
    if "label" not in table:
        return
    column = whole(Column.of(y))
    now = np.full(len(y), "", dtype=object)
    now[column.present] = column.values
    found, expected = table["label"].reset_index(drop=True), pd.Series(now[positions])
    if measured:
        before, after = (
            pd.to_numeric(one, errors="coerce").to_numpy(dtype=float) for one in (found, expected)
        )
        same = bool(np.allclose(before, after, equal_nan=True))
    else:
        same = bool((found.astype(str) == expected.astype(str)).all())
    if not same:
        raise DataError(f"the targets in '{path}' have changed since the run. Fit again.")


def _group(source: Source, by: str) -> Group:
    if isinstance(source.x, pd.DataFrame) and by in source.x:
        values = source.x[by]
    elif by in source.beside:
        values = pd.Series(source.beside[by])
    else:
        raise DataError(f"The data have no column '{by}'. Give --by a column of the data.")
    return Group(name=by, values=values.astype(object).where(values.notna(), "unknown").to_numpy())


def _unused(run: Path) -> tuple[str, ...]:
    """Return the names of columns that the run did not use as features."""
    path = run / "run.json"
    if not path.exists():
        return ()
    fitted = (run / "model.json").exists()
    encoding = (read_json(path, FittedInfo) if fitted else read_json(path, DetectedInfo)).encoding
    return (*encoding.dropped, *encoding.left_out) if isinstance(encoding, Columns) else ()
