"""Reading what an encoding wrote as JSON, with the types it wrote."""

from typing import TypeVar

from nbam_pyro.files.messages import problem

__all__ = ["saved", "saved_items"]

T = TypeVar("T")


def saved(data: object, key: str, kind: type[T]) -> T:
    """The value of a key, of the type it was saved with.

    Args:
        data: an object of the JSON.
        key: its key.
        kind: the type; an integer does for a float.

    Raises:
        DataError: the key is missing or its value has another type.

    Example:
        >>> saved({"height": 8}, "height", int)
        8
    """
    if not isinstance(data, dict) or key not in data:
        raise problem(f"The saved encoding has no {key!r}; it is damaged, so fit again.")
    return _typed(data[key], key, kind)


def saved_items(data: object, key: str, kind: type[T]) -> tuple[T, ...]:
    """The items of a list under a key, all of one type.

    Args:
        data: an object of the JSON.
        key: its key.
        kind: the type of the items.

    Raises:
        DataError: the key is missing, or it is no list of that type.
    """
    return tuple(_typed(item, key, kind) for item in saved(data, key, list))


def _typed(value: object, key: str, kind: type[T]) -> T:
    if kind is float and type(value) is int:
        value = float(value)
    # By `type`, because True is an instance of int too.
    if type(value) is not kind:
        raise problem(
            f"{key!r} of the saved encoding is {value!r}, not {kind.__name__}; it is damaged, so "
            "fit again."
        )
    return value
