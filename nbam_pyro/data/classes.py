"""Classes by name: which they are, where a label stands among them, and their type."""

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from nbam_pyro.errors import DataError

__all__ = ["Classes", "as_labels", "check_kind", "class_names", "class_places"]

Classes: TypeAlias = Sequence[int] | Sequence[str] | int
"""All classes, as numbers or as text, or their number K for 0, ..., K - 1."""


def class_names(classes: Classes) -> Sequence[Any]:
    """The classes one by one.

    Args:
        classes: all classes, or their number K.

    Raises:
        DataError: there are fewer than two, or one twice.

    Example:
        >>> list(class_names(3)), class_names(["cat", "dog"])
        ([0, 1, 2], ('cat', 'dog'))
    """
    # A count is often the largest label plus one, a number of NumPy.
    single = isinstance(classes, int | np.integer)
    given: Any = classes
    names: Sequence[Any] = range(given) if single else tuple(given)
    if not 2 <= len(set(names)) == len(names):
        raise DataError(f"classes is {classes}; there must be two or more distinct ones.")
    return names


def class_places(values: np.ndarray, names: Sequence[Any]) -> np.ndarray:
    """Where each label stands among the classes, 0 to K - 1.

    Args:
        values: labels, (N,).
        names: the classes as `class_names` gives them.

    Raises:
        DataError: labels and classes are not both text or both numbers, or a label is not among
            the classes.

    Example:
        >>> class_places(np.array(["dog", "cat"]), ("cat", "dog"))
        array([1, 0])
    """
    check_kind(names, values)
    place = {name: i for i, name in enumerate(names)}
    try:
        return np.array([place[value] for value in values.tolist()], dtype=int)
    except KeyError as error:
        raise DataError(f"Label {error} is not among the classes; add it to them.") from None


def as_labels(classes: Sequence[Any], like: np.ndarray) -> np.ndarray:
    """Classes in the type of other labels if they fit it, else in a type of their own.

    Example:
        >>> as_labels([7, 300], like=np.array([0], np.uint8)).dtype
        dtype('int64')
    """
    plain = np.array(classes)
    cast = plain.astype(like.dtype)
    return cast if np.array_equal(cast, plain) else plain


def check_kind(names: Sequence[Any], values: np.ndarray) -> None:
    """Raise a `DataError` where labels and classes are not both text or both numbers."""
    text = values.dtype.kind in "UT"
    if values.dtype.kind != "O" and any(isinstance(name, str) != text for name in names):
        raise DataError(
            f"Labels of type {values.dtype} do not match the classes {list(names)}; "
            "give both as numbers or both as text."
        )
