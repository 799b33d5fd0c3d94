"""JSON files of run folders, written and read through a schema."""

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

# Longer files would take more memory than their content is worth.
_LARGEST = 16 * 2**20
_VALUES = 2**19

Probability = Annotated[float, Field(ge=-1e-6, le=1 + 1e-6)]
"""A number from 0 to 1, as means of rounded numbers are."""
Count = Annotated[int, Field(ge=0, lt=2**53)]
"""How many of something there are."""
Finite = Annotated[float, Field(gt=-1e300, lt=1e300)]
"""A number that can be added to another one without overflow."""
Label = str | bool | Annotated[int, Field(ge=-(2**63), lt=2**63)] | Finite
"""A label as its owner wrote it."""


class Saved(BaseModel):
    """Base of what is saved as JSON: exactly these keys, exactly these types, finite numbers."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


S = TypeVar("S", bound=BaseModel)


def read_json(path: Path, kind: type[S]) -> S:
    """A JSON file of a run folder.

    Args:
        path: Path of the file.
        kind: Schema of its content.

    Raises:
        FolderError: The file is missing, is no regular file, is too long, or is not as it was
            written.
    """
    if path.is_symlink() or not path.is_file():
        raise FolderError(f"{path} is no file of a run. Restore it or fit again.")
    try:
        with path.open("rb") as file:
            text = file.read(_LARGEST + 1)
    except OSError as error:
        raise FolderError(f"{path} cannot be read: {error.strerror or error}.") from error
    return validated(text, kind, what=str(path))


def write_json(path: Path, values: Mapping[str, Any], kind: type[BaseModel]) -> None:
    """Write a JSON file of a run folder that `read_json` will read.

    Args:
        path: Path of the file.
        values: What to write.
        kind: Schema of it.

    Raises:
        FolderError: The values are not of the schema, so they could not be read again.
    """
    try:
        text = json.dumps(values, indent=2, allow_nan=False).encode() + b"\n"
    except ValueError as error:
        raise FolderError(f"{path.name} cannot be written: {error}.") from error
    validated(text, kind, what=path.name)
    path.write_bytes(text)


def validated(text: bytes, kind: type[S], *, what: str) -> S:
    """The content of a JSON text.

    Args:
        text: JSON in UTF-8.
        kind: Schema of it.
        what: What to call the text in an error.

    Raises:
        FolderError: The text is too long, has too many values, is no JSON, or is not of the schema.

    Example:
        >>> class Size(Saved):
        ...     height: Count
        >>> validated(b'{"height": 8}', Size, what="size.json")
        Size(height=8)
        >>> validated(b'{"height": "tall"}', Size, what="size.json")
        Traceback (most recent call last):
        nbam_pyro.errors.FolderError: size.json is not as it was written: height: Input should be
        a valid integer. Restore it or fit again.
    """
    if len(text) > _LARGEST:
        raise FolderError(f"{what} is longer than {_LARGEST // 2**20} MB, too long for a run.")
    # Before anything is made of them; commas and brackets within texts count, too.
    if sum(text.count(mark) for mark in (b",", b"[", b"{")) > _VALUES:
        raise FolderError(f"{what} has more than {_VALUES} values, too many for a run.")
    try:
        return kind.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(filter(_is_key, map(str, first["loc"])))[:200]
        reason = f"{place}: {first['msg']}" if place else first["msg"]
        raise FolderError(
            f"{what} is not as it was written: {reason[:400]}. Restore it or fit again."
        ) from error


def _is_key(part: str) -> bool:
    """Whether a part of a place is in the JSON, and no name of an alternative of the schema."""
    return not part.startswith("_") and "[" not in part
