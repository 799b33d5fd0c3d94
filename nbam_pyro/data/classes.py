"""Names of classes, and the positions of labels among them."""

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from nbam_pyro.errors import DataError

__all__ = ["Classes", "as_labels", "check_kind", "class_names", "class_places"]

Classes: TypeAlias = Sequence[int] | Sequence[str] | int
"""All class labels, as numbers or as texts; or K, if the labels are 0, ..., K - 1."""


def class_names(classes: Classes) -> Sequence[Any]:
    """Return the names of the classes.

    Args:
        classes: All class labels; or K, if the labels are 0, ..., K - 1.

    Raises:
        DataError: There are fewer than two classes, or a class occurs twice.

    Example:
        >>> list(class_names(3)), class_names(["cat", "dog"])
        ([0, 1, 2], ('cat', 'dog'))
    """
    # K may be a number of NumPy, such as labels.max() + 1.
    single = isinstance(classes, int | np.integer)
    given: Any = classes
    names: Sequence[Any] = range(given) if single else tuple(given)
    if not 2 <= len(set(names)) == len(names):
        raise DataError(f"classes is {classes}; there must be at least two different classes.")
    return names


def class_places(values: np.ndarray, names: Sequence[Any]) -> np.ndarray:
    """Return the position of each label among the classes, 0 to K - 1.

    Args:
        values: Labels, (N,).
        names: Names of the classes, as `class_names` returns them.

    Raises:
        DataError: Only one of labels and classes is text, or a label is not among the classes.

    Example:
        >>> class_places(np.array(["dog", "cat"]), ("cat", "dog"))
        array([1, 0])
    """
    check_kind(names, values)
    place = {name: i for i, name in enumerate(names)}
    try:
        return np.array([place[value] for value in values.tolist()], dtype=int)
    except KeyError as error:
        raise DataError(f"Label {error} is not among the classes. Add it to classes.") from None


def as_labels(classes: Sequence[Any], like: np.ndarray) -> np.ndarray:
    """Return classes in the type of other labels if the type can represent them.

    Args:
        classes: Classes, one for each row.
        like: Labels whose type the result takes.

    Returns:
        An array in that type, or in a type that NumPy chooses.

    Example:
        >>> as_labels([7, 300], like=np.array([0], np.uint8)).dtype
        dtype('int64')
    """
    plain = np.array(classes)
    cast = plain.astype(like.dtype)
    return cast if np.array_equal(cast, plain) else plain


def check_kind(names: Sequence[Any], values: np.ndarray) -> None:
    """Raise a `DataError` if labels and classes are not both texts or both numbers.

    Args:
        names: Names of the classes.
        values: Labels, (N,).
    """
    text = values.dtype.kind in "UT"
    if values.dtype.kind != "O" and any(isinstance(name, str) != text for name in names):
        raise DataError(
            f"Labels of type {values.dtype} do not match the classes {list(names)}. "
            "Give both as numbers or both as texts."
        )
