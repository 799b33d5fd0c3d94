"""Rows of a run with the columns or pictures that its data file has now."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nbam_pyro.cli.files.labels import spelled_labels
from nbam_pyro.cli.runs.cells import read_texts
from nbam_pyro.cli.runs.report_data import RunData, data_of_run, names_beside, target_of
from nbam_pyro.cli.runs.results import read_report
from nbam_pyro.cli.runs.schema import Settings
from nbam_pyro.exchange import RunRows
from nbam_pyro.storage import read_json

__all__ = ["with_contents"]


def with_contents(
    run: Path, rows: RunRows, *, beside: bool = False, typed: bool = False
) -> tuple[RunRows, str]:
    """Return rows of a run with the columns of its data, or with pictures if its data are arrays.

    The data must be where they were, with the same targets. Targets are not among the columns,
    because the rows have them already.

    Args:
        run: Run folder.
        rows: Rows of the run, all or some of them.
        beside: True to add the columns that are neither features nor targets, such as verified
            labels. A person who judges a row should not see them.
        typed: True for numbers in columns of numbers. False for the texts in a CSV file as they
            are.

    Returns:
        The rows, and a sentence that says why the data are missing; empty if they are not.

    Raises:
        FolderError: The run is incomplete or was changed.
    """
    _, table = read_report(run)
    settings = read_json(run / "settings.json", Settings).model_dump()
    data = data_of_run(run, settings, table, by=None)
    at = dict(zip(table["row"].map(str), data.positions.tolist(), strict=True))
    names = rows.table["row"].map(str).tolist()
    places = [at[name] for name in names]
    columns = _columns(settings, data, rows, beside=beside, typed=typed)
    if columns is not None and columns.shape[1]:
        return replace(rows, cells=columns.iloc[places].set_axis(names)), data.missing
    thumbnails = None if data.contents is None else data.contents.thumbnails
    if thumbnails is not None and not rows.media:
        pictures = {name: thumbnails(place) for name, place in zip(names, places, strict=True)}
        return replace(rows, media=pictures), data.missing
    return rows, data.missing


def _columns(
    settings: dict[str, Any], data: RunData, rows: RunRows, *, beside: bool, typed: bool
) -> pd.DataFrame | None:
    """Return columns of the data in the order of the data; None if they have no columns."""
    source, path = data.source, Path(settings.get("data", ""))
    if source is None:
        return None
    target = target_of(settings)
    # A class that a detector was told is not among the results.
    known = "label" in rows.table or settings["command"] == "detect-scores"
    left_out = [target] if known and target is not None else []
    left_out += [] if beside else names_beside(settings)
    if path.suffix.lower() == ".csv":
        texts = read_texts(path).drop(columns=left_out)
        return _typed(texts, source.x) if typed else texts
    if isinstance(source.x, pd.DataFrame):
        table = source.x
    elif isinstance(source.x, np.ndarray) and source.x.ndim == 2:
        names = [f"column {number}" for number in range(source.x.shape[1])]
        table = pd.DataFrame(source.x, columns=names)
    else:
        return None
    further = {} if target is None else {target: source.y}
    further |= source.beside
    return table.assign(**{name: one for name, one in further.items() if name not in left_out})


def _typed(table: pd.DataFrame, read: Any) -> pd.DataFrame:
    """Return texts of a CSV file as numbers where all cells of a column are numbers."""
    columns = {}
    for name, texts in table.items():
        known = isinstance(read, pd.DataFrame) and name in read
        present = read[name].notna() if known else texts != ""
        columns[name] = spelled_labels(texts.astype(object).where(present.to_numpy(), None))
    return pd.DataFrame(columns, index=table.index)
