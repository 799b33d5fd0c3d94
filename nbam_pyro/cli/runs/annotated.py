"""From a file of annotations to a folder with consensus labels and annotators."""

from pathlib import Path

import pandas as pd
import pyarrow as pa

from nbam_pyro.cli.runs.tables import write_table
from nbam_pyro.errors import DataError
from nbam_pyro.outputs import from_annotations
from nbam_pyro.storage import check_folder, new_folder, write_manifest

__all__ = ["annotators_file"]

_LONG = {"annotator", "label"}


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
    table = _read(annotations)
    if not set(table.columns) >= _LONG:
        table = table.set_index("item")
    p = None if pred_probs is None else _read(pred_probs).set_index("item")
    if p is not None:
        p.columns = pd.Index([_number_or_text(name) for name in p.columns])
    report = from_annotations(table, p, seed=seed)
    files = {
        "items.csv": report.items.reset_index(),
        "annotators.csv": report.annotators.reset_index(),
        "annotations.csv": report.annotations,
        "copies.csv": report.copies,
        "agreement.csv": report.agreement,
    }
    with new_folder(out, overwrite=overwrite) as draft:
        for name, one in files.items():
            write_table(one, draft / name)
        (draft / "report.txt").write_text(f"{report}\n", encoding="utf-8")
        write_manifest(draft)
    return str(report).splitlines()


def _read(path: Path) -> pd.DataFrame:
    try:
        if path.suffix.lower() in {".parquet", ".pq"}:
            table = pd.read_parquet(path, engine="pyarrow")
        else:
            table = pd.read_csv(path)
    except (OSError, ValueError, pa.ArrowException) as error:
        reason = " ".join(str(error).split())[:200]
        raise DataError(f"'{path}' cannot be read ({reason}). Give a CSV or Parquet file.") from (
            error
        )
    if "item" not in table:
        raise DataError(
            f"'{path}' has no column 'item'. Its columns are: {', '.join(map(str, table.columns))}."
            " Add the column with the name of the item of each row."
        )
    return table


def _number_or_text(name: str) -> int | str:
    return int(name) if str(name).lstrip("-").isdigit() else name
