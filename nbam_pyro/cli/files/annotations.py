"""Files of annotations, and files of probabilities for the same items."""

from pathlib import Path

import numpy as np
import pandas as pd

from nbam_pyro.cli.files.column_names import NAMELESS
from nbam_pyro.cli.files.labels import as_numbers, spelled_labels
from nbam_pyro.cli.files.messages import listing, problem
from nbam_pyro.cli.files.reading import blocks, read
from nbam_pyro.cli.files.source import Features

__all__ = ["read_annotations"]

_ITEM = "item"
_LONG = {"annotator", "label"}


def read_annotations(
    annotations: Path, pred_probs: Path | None
) -> tuple[pd.DataFrame, pd.DataFrame | None]:
    """Read labels of several annotators, and probabilities by a classifier.

    Cells of CSV files have no type. The items of both files are read as numbers if all of them are
    numbers without a leading zero, and otherwise as texts. So are the labels together with the
    classes of the probabilities, and the annotators.

    Args:
        annotations: CSV or Parquet file with the columns item, annotator and label (long), or with
            the column item and one column per annotator (wide).
        pred_probs: CSV or Parquet file with the column item and one column per class; None if there
            is none.

    Returns:
        The annotations, long as in the file or wide with items as the index; and probabilities,
        (N, K), with items as the index and classes as columns, or None.

    Raises:
        DataError: A file cannot be read, is not a table, or has no column item; or the first column
            of a wide table has no name.
    """
    table = _cells(annotations)
    p = pd.DataFrame() if pred_probs is None else _probabilities(pred_probs)
    long = set(table.columns) >= _LONG
    given = table["label"] if long else table.drop(columns=_ITEM)
    if not long and NAMELESS in table:
        raise problem(
            f"'{annotations}' has a first column without a name, mostly a saved index. Leave it "
            "out, or name it if it contains the labels of an annotator."
        )
    items, of_p = _spelled(table[_ITEM].to_numpy(object), p.index.to_numpy(object))
    labels, classes = _spelled(given.to_numpy(object).ravel(), p.columns.to_numpy(object))
    if long:
        annotators, _ = _spelled(table["annotator"].to_numpy(object), np.zeros(0, object))
        columns = {_ITEM: items, "annotator": annotators, "label": labels}
        found = pd.DataFrame(columns, dtype=object)
    else:
        index = pd.Index(items, name=_ITEM)
        found = pd.DataFrame(labels.reshape(given.shape), index, given.columns, dtype=object)
    if pred_probs is None:
        return found, None
    return found, p.set_axis(pd.Index(of_p, name=_ITEM), axis=0).set_axis(pd.Index(classes), axis=1)


def _cells(path: Path) -> pd.DataFrame:
    """Return all columns as objects. The cells of CSV files are texts."""
    names = _columns(path)
    source = read(path, label=None, beside=names, labelled=False, features=False, spelling="texts")
    return pd.DataFrame({name: source.beside[name] for name in names}, dtype=object)


def _probabilities(path: Path) -> pd.DataFrame:
    """Return one column per class, with items as the index."""
    _columns(path)
    source = read(path, label=None, beside=[_ITEM], labelled=False, spelling="texts")
    return _table(source.x, path).set_axis(pd.Index(source.beside[_ITEM], dtype=object), axis=0)


def _columns(path: Path) -> list[str]:
    """Return the names of the columns of a table, which must have a column item."""
    first = next(blocks(path, label=None, labelled=False))
    names = [str(name) for name in _table(first.x, path)]
    if _ITEM not in names:
        raise problem(
            f"'{path}' has no column '{_ITEM}'. Its columns are: {listing(names)}. Add the column "
            "with the name of the item of each row."
        )
    return names


def _table(x: Features, path: Path) -> pd.DataFrame:
    if not isinstance(x, pd.DataFrame):
        raise problem(f"'{path}' is not a table. Give a CSV or Parquet file.")
    return x


def _spelled(cells: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the cells of two files as numbers or as texts, in one type if none has a type.

    Args:
        cells: Cells of the first file, (N,) objects.
        others: Cells of the second file, (M,) objects.
    """
    both = np.concatenate([cells, others])
    known = pd.notna(both)
    if all(isinstance(cell, str) for cell in both[known]):
        if known.any():
            both[known] = spelled_labels(pd.Series(both[known], dtype=object)).tolist()
        return both[: len(cells)], both[len(cells) :]
    return as_numbers(cells), as_numbers(others)
