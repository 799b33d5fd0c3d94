"""From a file of annotations to a folder with consensus labels and annotators."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nbam_pyro.cli.files.annotations import read_annotations
from nbam_pyro.cli.files.cells import texts
from nbam_pyro.cli.files.messages import counted, listing
from nbam_pyro.cli.runs.tables import write_table
from nbam_pyro.errors import DataError
from nbam_pyro.outputs import AnnotationReport, from_annotations
from nbam_pyro.outputs.annotations.reading import Annotated
from nbam_pyro.storage import check_folder, new_folder, write_manifest

__all__ = [
    "annotation_entries",
    "annotations_of_rows",
    "annotators_file",
    "check_annotations_alone",
    "with_names",
    "write_annotation_report",
]


def annotators_file(
    annotations: Path, out: Path, *, pred_probs: Path | None, overwrite: bool, seed: int
) -> list[str]:
    """Write consensus labels, annotators and the report, and return the lines to show.

    Args:
        annotations: CSV or Parquet file, long or wide.
        out: Folder to write.
        pred_probs: CSV or Parquet file of probabilities with a column item, or None.
        overwrite: Whether a folder that this library wrote may be replaced.
        seed: Seed of the draws.

    Raises:
        DataError: A file cannot be read, or `from_annotations` refuses it.
        FolderError: The folder exists and may not be replaced, or cannot be written.
    """
    check_folder(out, overwrite=overwrite)
    table, p = read_annotations(annotations, pred_probs)
    report = from_annotations(table, p, seed=seed)
    with new_folder(out, overwrite=overwrite) as draft:
        write_annotation_report(report, draft)
        write_manifest(draft)
    return str(report).splitlines()


def annotations_of_rows(path: Path, rows: np.ndarray, *, data: str) -> pd.DataFrame:
    """Read annotations whose items are rows of data; the items become numbers of rows.

    Args:
        path: CSV or Parquet file, long or wide.
        rows: Names of the rows of the data, (N,).
        data: Name of the data, for messages.

    Returns:
        A table with the columns item, annotator and label.

    Raises:
        DataError: The file cannot be read or used, or an item is not a row.
    """
    table, _ = read_annotations(path, None)
    long = Annotated.of(table, None, verified=None, classes=None).table
    # Compared as texts: one item that is not a number makes texts of all items of a CSV file.
    places = pd.Index(texts(pd.Series(rows))).get_indexer(pd.Index(texts(long["item"])))
    if (places < 0).any():
        unknown = long["item"][places < 0].unique()
        raise DataError(
            f"{counted(len(unknown), 'item')} of '{path}' {'is' if len(unknown) == 1 else 'are'} "
            f"not a row of '{data}': {listing([str(one) for one in unknown])}. Items are numbers "
            "of rows from 0 on, or paths of images inside the folder."
        )
    return long.assign(item=places)


def check_annotations_alone(
    *, label: str | None, contaminated: str | None, verified: Sequence[Path], task: str
) -> None:
    """Raise an error for options that have no meaning beside annotations.

    Args:
        label: Value of `--label`.
        contaminated: Value of `--contaminated`.
        verified: Values of `--verified`.
        task: Value of `--task`.

    Raises:
        DataError: One of the options is given.
    """
    if label is not None or contaminated is not None or verified or task == "regression":
        raise DataError(
            "With --annotations, the labels are those of the annotators. Leave out --label, "
            "--contaminated, --verified and --task; --true-label names a column of true labels."
        )


def annotation_entries(report: AnnotationReport) -> dict[str, Any]:
    """Return the entries of summary.json about annotations.

    Args:
        report: Report on annotations.
    """
    share = report.wrong_share
    return {
        "annotations": len(report.annotations),
        "annotators": len(report.annotators),
        "wrong_annotations": share.mean,
        "wrong_annotations_low": share.low,
        "wrong_annotations_high": share.high,
    }


def with_names(report: AnnotationReport, rows: np.ndarray) -> AnnotationReport:
    """Return a report whose items have the names of the rows instead of their numbers.

    Args:
        report: Report on annotations whose items are numbers of rows.
        rows: Names of the rows of the data, (N,).
    """
    items = report.items.set_index(pd.Index(rows[report.items.index], name="item"))
    annotations = report.annotations.assign(item=rows[report.annotations["item"]])
    return replace(report, items=items, annotations=annotations)


def write_annotation_report(report: AnnotationReport, folder: Path) -> None:
    """Write the tables of a report and its text into a folder.

    Args:
        report: Report on annotations.
        folder: Existing folder.
    """
    files = {
        "items.csv": report.items.reset_index(),
        "annotators.csv": report.annotators.reset_index(),
        "annotations.csv": report.annotations,
        "copies.csv": report.copies,
        "agreement.csv": report.agreement,
    }
    for name, one in files.items():
        write_table(one, folder / name)
    (folder / "report.txt").write_text(f"{report}\n", encoding="utf-8")
