"""Names of classes, and the column of predicted probabilities that belongs to each."""

from collections.abc import Iterable, Set
from typing import Any

import numpy as np
import pandas as pd
import torch

from nbam_pyro.checks.containers import unwrapped
from nbam_pyro.errors import DataError

__all__ = ["class_columns", "shown"]


def class_columns(
    columns: list[Any] | None, classes: Iterable[Any] | None, k: int
) -> tuple[pd.Index, list[int] | None]:
    """Return the names of the classes, and the index of the column that belongs to each class.

    The column names of a data frame decide which column belongs to which class. `classes` may list
    these names in another order. It may also rename the columns, in their order, if no new name is
    the name of a column.

    Args:
        columns: Column names of a data frame; None for an array.
        classes: Names of the classes, in any ordered collection. None for the column names of a
            data frame, or for 0, ..., K-1 for an array.
        k: Number of columns, K.

    Returns:
        The names of the classes, and a list with the column index of each class. The list is
        replaced by None if class k is in column k for all classes.

    Raises:
        DataError: There are not K different names; only some of them are column names; or they are
            the column indices 0, ..., K-1 of a data frame without column names, in another order.

    Example:
        >>> class_columns(["dog", "cat"], ["cat", "dog"], 2)[1]
        [1, 0]
    """
    given = _listed(classes)
    names = pd.Index(
        given if given is not None else range(k) if columns is None else columns,
        tupleize_cols=False,
    )
    if len(names) != k or names.has_duplicates or names.hasnans:
        raise DataError(
            f"classes are {shown(names)}, but pred_probs has {k} columns. Give {k} different names."
        )
    if given is None or columns is None:
        return names, None
    place = {_key(name): i for i, name in enumerate(columns)}
    order = [place.get(_key(name), -1) for name in given]
    if order == list(range(k)) or max(order) < 0:
        return names, None
    if min(order) < 0 or len(set(order)) < k:
        raise DataError(
            f"classes are {shown(names)} and the columns of pred_probs {shown(pd.Index(columns))}"
            ": only some names agree. Rename the columns of pred_probs to the classes."
        )
    if columns == list(range(k)):
        raise DataError(
            f"classes is [{shown(names)}]: these are the column numbers 0 to {k - 1} of pred_probs "
            "in another order. It is unclear whether they name the columns or reorder them. If "
            "column k holds class k, leave out the argument classes. Otherwise pass a data frame "
            "whose column names are the names of the classes."
        )
    return names, order


def _listed(classes: Iterable[Any] | None) -> list[Any] | None:
    classes = unwrapped(classes)
    if classes is None:
        return None
    if isinstance(classes, str | Set) or not isinstance(classes, Iterable):
        raise DataError(f"classes are {classes!r}. Give the names of the columns in a list.")
    listed = classes.tolist() if hasattr(classes, "tolist") else list(classes)
    if not isinstance(listed, list):
        raise DataError(f"classes are {classes!r}. Give the names of the columns in a list.")
    return [one.item() if isinstance(one, torch.Tensor) else one for one in listed]


def _key(name: Any) -> str:
    """Return the text by which names are compared: 1, 1.0 and "1" are equal, "01" differs."""
    number = isinstance(name, int | float | np.integer | np.floating)
    return str(int(name)) if number and float(name).is_integer() else str(name)


def shown(names: pd.Index) -> str:
    """Return names as a text for a message, at most the first ten.

    Args:
        names: Names to show.

    Example:
        >>> shown(pd.Index(["cat", "dog"]))
        "'cat', 'dog'"
    """
    first = ", ".join(repr(name) for name in names[:10].tolist())
    return first + (" and more" if len(names) > 10 else "")
