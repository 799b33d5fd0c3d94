"""JSON files of run folders, which are checked against a schema when written and when read."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from nbam_pyro.errors import FolderError

__all__ = [
    "Count",
    "Finite",
    "Label",
    "Probability",
    "Saved",
    "read_json",
    "validated",
    "write_json",
]

# Limits that keep a damaged or hostile file from taking all memory: bytes, and values.
_LARGEST = 16 * 2**20
_VALUES = 2**19

Probability = Annotated[float, Field(ge=-1e-6, le=1 + 1e-6)]
"""A number from 0 to 1, up to rounding errors."""
Count = Annotated[int, Field(ge=0, lt=2**53)]
"""A number of things, 0 or more."""
Finite = Annotated[float, Field(gt=-1e300, lt=1e300)]
"""A finite number, small enough that sums do not overflow."""
Label = str | bool | Annotated[int, Field(ge=-(2**63), lt=2**63)] | Finite
"""A label in its original form in the data: a text, a boolean, or a number."""


class Saved(BaseModel):
    """Base of schemas. A JSON object must have exactly the keys and types of its schema."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


S = TypeVar("S", bound=BaseModel)


def read_json(path: Path, kind: type[S]) -> S:
    """Read a JSON file of a run folder.

    Args:
        path: Path of the file.
        kind: Schema of its content.

    Raises:
        FolderError: The file is missing, is not a regular file, is too long, or does not match the
            schema.
    """
    if path.is_symlink() or not path.is_file():
        raise FolderError(
            f"'{path}' is missing, or is not a regular file. Restore it or fit again."
        )
    try:
        with path.open("rb") as file:
            text = file.read(_LARGEST + 1)
    except OSError as error:
        raise FolderError(
            f"'{path}' cannot be read ({error.strerror or error}). Check its permissions."
        ) from error
    return validated(text, kind, what=f"'{path}'")


def write_json(path: Path, values: Mapping[str, Any], kind: type[BaseModel]) -> None:
    """Write a JSON file of a run folder.

    Args:
        path: Path of the file.
        values: Values to write, by key.
        kind: Schema of the values.

    Raises:
        FolderError: The values do not match the schema; `read_json` could not read them.
    """
    try:
        text = json.dumps(values, indent=2, allow_nan=False).encode() + b"\n"
    except ValueError as error:
        raise FolderError(f"'{path.name}' cannot be written: {error}.") from error
    validated(text, kind, what=path.name)
    path.write_bytes(text)


def validated(text: bytes, kind: type[S], *, what: str) -> S:
    """Return the content of a JSON text after checking it against a schema.

    Args:
        text: JSON in UTF-8.
        kind: Schema of the content.
        what: Name of the text in error messages.

    Raises:
        FolderError: The text is too long, has too many values, is not JSON, or does not match the
            schema.

    Example:
        >>> class Size(Saved):
        ...     height: Count
        >>> validated(b'{"height": 8}', Size, what="size.json")
        Size(height=8)
        >>> validated(b'{"height": "tall"}', Size, what="size.json")
        Traceback (most recent call last):
        nbam_pyro.errors.FolderError: size.json is damaged or was changed: height: Input should be
        a valid integer. Restore it or fit again.
    """
    if len(text) > _LARGEST:
        raise FolderError(
            f"{what} is larger than {_LARGEST // 2**20} MB, the limit for a file of a run. Restore "
            "the original file, or fit again."
        )
    # An upper bound, because commas and brackets inside texts are counted, too.
    if sum(text.count(mark) for mark in (b",", b"[", b"{")) > _VALUES:
        raise FolderError(
            f"{what} has more than {_VALUES} values, too many for a run. Restore it or fit again."
        )
    try:
        return kind.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(filter(_is_key, map(str, first["loc"])))[:200]
        reason = f"{place}: {first['msg']}" if place else first["msg"]
        raise FolderError(
            f"{what} is damaged or was changed: {reason[:400]}. Restore it or fit again."
        ) from error


def _is_key(part: str) -> bool:
    """Return whether a part of a place is a key of the JSON, not an alternative of the schema."""
    return not part.startswith("_") and "[" not in part
