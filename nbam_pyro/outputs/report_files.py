"""Files of a saved `ContaminationReport`: Parquet tables, and JSON for the rest."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pandas as pd
import xarray as xr
from pydantic import Field

from nbam_pyro.errors import FolderError
from nbam_pyro.outputs.label_tables import LabelTables
from nbam_pyro.outputs.scores.curve import ScoreCurve
from nbam_pyro.outputs.verdict import Verdict
from nbam_pyro.storage import (
    Count,
    Finite,
    Label,
    Probability,
    Saved,
    check_files,
    new_folder,
    read_json,
    write_json,
    write_manifest,
)

__all__ = ["read_report", "write_report"]

_REPORT, _ROWS, _DRAWS = "report.json", "rows.parquet", "draws.parquet"
_CURVE, _PRIOR = "curve.parquet", "prior.parquet"
_MATRICES = ("transition_matrix", "transition_low", "transition_high", "flip_matrix")
_TABLES = ("rates", *_MATRICES, "sharpness")


class _Variable(Saved):
    """Schema of a variable that is drawn: its dimensions after "draw", and their sizes."""

    dims: list[str]
    shape: list[Count]


class _Report(Saved):
    """Schema of report.json."""

    kind: Literal["labels", "measurements", "scores", "series"]
    verdict: Verdict
    note: Annotated[str, Field(max_length=100_000)]
    probability: Probability
    variables: dict[str, _Variable]
    prior: dict[str, _Variable]
    coords: dict[str, list[Label]]
    class_prior: Finite | None
    all_right: Probability | None
    persistence: Finite | None = None


def write_report(folder: Path, parts: Mapping[str, Any], *, overwrite: bool) -> None:
    """Write the attributes of a report to a folder.

    Args:
        folder: Folder to write.
        parts: Attributes of the report, by name.
        overwrite: Whether a folder that this library wrote may be replaced.

    Raises:
        FolderError: The folder exists and may not be replaced, or a part cannot be written.
    """
    posterior, prior, labels = parts["posterior"], parts["prior"], parts["labels"]
    values = {
        "kind": parts["kind"],
        "verdict": dataclasses.asdict(parts["verdict"]),
        "note": parts["note"],
        "probability": parts["probability"],
        "variables": _variables(posterior),
        "prior": _variables(prior),
        "coords": {str(name): one.values.tolist() for name, one in posterior.coords.items()},
        "class_prior": None if labels is None else labels.class_prior,
        "all_right": None if labels is None else labels.all_right,
        "persistence": parts["persistence"],
    }
    with new_folder(folder, overwrite=overwrite) as draft:
        _write_table(draft / _ROWS, parts["rows"])
        _write_table(draft / _DRAWS, _table(posterior))
        _write_table(draft / _PRIOR, _table(prior))
        if parts["curve"] is not None:
            _write_table(draft / _CURVE, pd.DataFrame(vars(parts["curve"])))
        if labels is not None:
            for name in _TABLES:
                _write_table(draft / f"{name}.parquet", _plain(name, getattr(labels, name)))
        write_json(draft / _REPORT, values, _Report)
        write_manifest(draft)


def read_report(folder: Path) -> dict[str, Any]:
    """Return the attributes of a report that `write_report` wrote.

    Args:
        folder: Folder of the report.

    Raises:
        FolderError: The folder is not a report, or a file is missing or was changed.
    """
    check_files(folder, [_REPORT, _ROWS, _DRAWS, _PRIOR])
    saved = read_json(folder / _REPORT, _Report)
    return {
        "kind": saved.kind,
        "rows": _read_table(folder / _ROWS),
        "posterior": _drawn(saved.variables, saved.coords, _read_table(folder / _DRAWS)),
        "prior": _drawn(saved.prior, saved.coords, _read_table(folder / _PRIOR)),
        "verdict": saved.verdict,
        "note": saved.note,
        "probability": saved.probability,
        "labels": _labels(folder, saved) if saved.kind == "labels" else None,
        "curve": _curve(folder) if saved.kind == "scores" else None,
        "persistence": saved.persistence,
    }


def _variables(draws: xr.Dataset) -> dict[str, Any]:
    """Return the dimensions and sizes of variables, for `_Variable`."""
    return {
        str(name): {
            "dims": [str(dim) for dim in one.dims if dim != "draw"],
            "shape": [size for dim, size in one.sizes.items() if dim != "draw"],
        }
        for name, one in draws.items()
    }


def _table(draws: xr.Dataset) -> pd.DataFrame:
    """Return draws as a table with one column per number."""
    arrays = {str(name): one.transpose("draw", ...).values for name, one in draws.items()}
    return pd.DataFrame(
        {
            f"{name}.{i}": column
            for name, values in arrays.items()
            for i, column in enumerate(values.reshape(len(values), -1).T)
        }
    )


def _plain(name: str, table: pd.DataFrame) -> pd.DataFrame:
    """Return a matrix without names, which are those of the rates; Parquet needs texts."""
    if name not in _MATRICES:
        return table
    return pd.DataFrame(table.to_numpy(), columns=list(map(str, range(len(table)))))


def _labels(folder: Path, saved: _Report) -> LabelTables:
    check_files(folder, [f"{name}.parquet" for name in _TABLES])
    tables = {name: _read_table(folder / f"{name}.parquet") for name in _TABLES}
    classes = pd.Index(tables["rates"]["class"])
    for name in _MATRICES:
        tables[name] = pd.DataFrame(
            tables[name].to_numpy(),
            index=classes.rename("true"),
            columns=classes.rename("observed"),
        )
    return LabelTables(**tables, all_right=saved.all_right or 0.0, class_prior=saved.class_prior)


def _curve(folder: Path) -> ScoreCurve:
    check_files(folder, [_CURVE])
    table = _read_table(folder / _CURVE)
    return ScoreCurve(
        starts=table["starts"].to_numpy(), responsibility=table["responsibility"].to_numpy()
    )


def _drawn(
    saved: Mapping[str, _Variable], coords: Mapping[str, list[Any]], draws: pd.DataFrame
) -> xr.Dataset:
    variables = {}
    for name, one in saved.items():
        columns = [f"{name}.{i}" for i in range(int(np.prod(one.shape)))]
        values = draws[columns].to_numpy().reshape(len(draws), *one.shape)
        variables[name] = (["draw", *one.dims], values)
    used = {dim for one in saved.values() for dim in one.dims}
    return xr.Dataset(variables, coords={n: c for n, c in coords.items() if n in used})


def _write_table(path: Path, table: pd.DataFrame) -> None:
    try:
        table.to_parquet(path, engine="pyarrow")
    except (TypeError, ValueError) as error:
        raise FolderError(
            f"{path.name} cannot be written: {error}. Use labels and an index of one type each."
        ) from error


def _read_table(path: Path) -> pd.DataFrame:
    try:
        return pd.read_parquet(path, engine="pyarrow")
    except (OSError, ValueError) as error:
        raise FolderError(f"'{path}' cannot be read: {error}. Restore it.") from error
