"""Checks of annotations: long or wide tables, names of items, annotators and classes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from nbam_pyro.checks.arguments import as_numbers, check_numbers
from nbam_pyro.checks.containers import unwrapped
from nbam_pyro.errors import DataError
from nbam_pyro.outputs.annotations.triples import Triples

__all__ = ["Annotated"]

_COLUMNS = ["item", "annotator", "label"]
# Smallest predicted probability, and how far the sum of a row may be from one.
_LEAST, _ROUNDING = 1e-6, 0.01


@dataclass(frozen=True, eq=False, kw_only=True)
class Annotated:
    """Checked and encoded arguments of `from_annotations`.

    Attributes:
        table: Annotations as given: item, annotator, label.
        triples: Annotations as numbers.
        items: Names of items.
        annotators: Names of annotators.
        classes: Names of classes.
        log_p: Log predicted probabilities, (N, K), or None.
        true_label: Verified true labels as numbers, -1 where unknown, (N,).
    """

    table: pd.DataFrame
    triples: Triples
    items: pd.Index
    annotators: pd.Index
    classes: pd.Index
    log_p: Float[np.ndarray, "n k"] | None
    true_label: Int[np.ndarray, " n"]

    @classmethod
    def of(
        cls, annotations: Any, pred_probs: Any, *, verified: Any, classes: Sequence[Any] | None
    ) -> "Annotated":
        """Check and encode the arguments; arguments and errors as in `from_annotations`."""
        table = _long(unwrapped(annotations))
        frame = None if pred_probs is None else _probabilities(unwrapped(pred_probs))
        items = pd.Index(table["item"].unique()) if frame is None else frame.index
        annotators = pd.Index(table["annotator"].unique())
        names = _classes(table["label"], None if frame is None else frame.columns, classes)
        item = _codes(table["item"], items, "item", "is not a row of pred_probs")
        label = _codes(table["label"], names, "label", "is not one of the classes")
        annotator = annotators.get_indexer(table["annotator"])
        log_p = None
        if frame is not None:
            p = frame.to_numpy()[:, frame.columns.get_indexer(names)]
            log_p = np.log(np.maximum(p, _LEAST))
        triples = Triples(
            item=item,
            annotator=annotator,
            label=label,
            items=len(items),
            annotators=len(annotators),
            classes=len(names),
        )
        return cls(
            table=table,
            triples=triples,
            items=items,
            annotators=annotators,
            classes=names,
            log_p=log_p,
            true_label=_verified(verified, items, names),
        )


def _long(given: Any) -> pd.DataFrame:
    if not isinstance(given, pd.DataFrame):
        array = np.asarray(given, dtype=object)
        if array.ndim != 2 or array.shape[1] != 3:
            raise DataError(
                f"annotations have shape {array.shape}; expected one row per annotation with three "
                "columns: item, annotator, label."
            )
        table = pd.DataFrame(array, columns=_COLUMNS)
    elif set(_COLUMNS) <= set(given.columns):
        table = given[_COLUMNS].reset_index(drop=True)
    elif set(_COLUMNS) & set(given.columns):
        missing = [name for name in _COLUMNS if name not in given.columns]
        raise DataError(
            f"annotations lack the column {missing[0]!r}. Give the columns item, annotator and "
            "label, or a wide table with one column per annotator and items as its index."
        )
    else:
        table = _melted(given)
    # Integers beside missing labels would become floats, so types come after the missing labels.
    table = table[table["label"].notna()].reset_index(drop=True).infer_objects()
    if not len(table):
        raise DataError("annotations have no label. Give at least one annotation.")
    for name in ("item", "annotator"):
        if table[name].isna().any():
            row = int(np.asarray(table[name].isna()).argmax())
            raise DataError(f"The {name} of annotation {row} is missing. Name it, or leave it out.")
    twice = np.asarray(table.duplicated(["item", "annotator"]))
    if twice.any():
        first = table.iloc[int(twice.argmax())]
        raise DataError(
            f"{int(twice.sum())} annotations repeat an item and an annotator, the first item "
            f"{first['item']!r} by {first['annotator']!r}. Repeated labels of one annotator are "
            "not independent: keep one of them."
        )
    return table


def _melted(wide: pd.DataFrame) -> pd.DataFrame:
    if wide.index.has_duplicates or wide.columns.has_duplicates:
        raise DataError(
            "annotations are a wide table with repeated items or annotators. Give every item one "
            "row of the index, and every annotator one column."
        )
    plain = wide.rename_axis(index="item", columns="annotator").astype(object)
    table = plain.melt(value_name="label", ignore_index=False).reset_index()
    return table[_COLUMNS]


def _classes(
    labels: pd.Series, columns: pd.Index | None, classes: Sequence[Any] | None
) -> pd.Index:
    if classes is not None:
        names = pd.Index(list(classes))
    elif columns is not None:
        names = columns
    else:
        try:
            names = pd.Index(sorted(labels.unique()))
        except TypeError as error:
            raise DataError(
                "Labels are numbers and texts at once. Give all labels one type."
            ) from error
    if names.has_duplicates or len(names) < 2:
        raise DataError(
            f"There are the classes {names.tolist()}; at least two different ones are needed. Give "
            "classes= the names of all classes."
        )
    if columns is not None and set(names) != set(columns):
        raise DataError(
            f"classes are {names.tolist()}, but the columns of pred_probs are {columns.tolist()}. "
            "Give both the same names."
        )
    return names


def _codes(values: pd.Series, names: pd.Index, what: str, why: str) -> np.ndarray:
    codes = names.get_indexer(pd.Index(values))
    if (codes < 0).any():
        row = int((codes < 0).argmax())
        raise DataError(
            f"The {what} {values.iloc[row]!r} of annotation {row} {why}. Correct the {what}, or "
            "leave the annotation out."
        )
    return codes


def _probabilities(given: Any) -> pd.DataFrame:
    values = as_numbers(given, "pred_probs")
    if values.ndim != 2 or values.shape[1] < 2:
        raise DataError(
            f"pred_probs has shape {values.shape}; expected one row per item and one column per "
            "class, at least two."
        )
    check_numbers(values, "pred_probs")
    wrong = (values < 0).any(1) | (np.abs(values.sum(1) - 1) > _ROUNDING)
    if wrong.any():
        raise DataError(
            f"{int(wrong.sum())} rows of pred_probs are not probabilities that sum to one, the "
            f"first is row {int(wrong.argmax())}. If these are logits, pass their softmax."
        )
    named = isinstance(given, pd.DataFrame)
    index, columns = (given.index, given.columns) if named else (None, None)
    frame = pd.DataFrame(values.astype(float), index=index, columns=columns)
    if frame.index.has_duplicates:
        raise DataError("The index of pred_probs repeats an item. Give every item one row.")
    return frame


def _verified(verified: Any, items: pd.Index, names: pd.Index) -> np.ndarray:
    known = np.full(len(items), -1)
    if verified is None:
        return known
    given = pd.Series(dict(verified) if isinstance(verified, Mapping) else unwrapped(verified))
    given = given[given.notna()]
    rows, labels = items.get_indexer(given.index), names.get_indexer(pd.Index(given))
    if (wrong := (rows < 0) | (labels < 0)).any():
        at = int(wrong.argmax())
        raise DataError(
            f"verified says that the item {given.index[at]!r} has the label {given.iloc[at]!r}, "
            "but there is no such item or class. Index verified by items, with names of classes."
        )
    known[rows] = labels
    return known
