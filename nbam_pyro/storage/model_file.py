"""What saved fits and saved detectors share: versions, descriptions, states of modules."""

import platform
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

from nbam_pyro.errors import FolderError, NBAMError, StoryError
from nbam_pyro.storage import Saved, read_json
from nbam_pyro.storage.budget import running
from nbam_pyro.storage.description import Module

__all__ = [
    "as_description",
    "fill",
    "read_described",
    "rehearsed",
    "tensors_of",
    "versions",
]

_PACKAGES = ["nbam-pyro", "torch", "pyro-ppl", "lightning", "arviz-base", "scikit-learn", "numpy"]


class _Version(BaseModel):
    """What is read first of a description, whatever else is in it."""

    model_config = ConfigDict(strict=True, extra="ignore")

    format_version: int | None = None
    versions: dict[str, str] = {}


M = TypeVar("M", bound=Saved)


def read_described(path: Path, kind: type[M], *, format_version: int) -> M:
    """Read the description of a saved model.

    Args:
        path: Path of the file.
        kind: Schema of its content.
        format_version: Version of the format that this version of the library reads.

    Raises:
        FolderError: The file was written by another version, or is not as it was written.
    """
    found = read_json(path, _Version)
    if found.format_version != format_version:
        theirs = found.versions.get("nbam-pyro")
        mend = "" if theirs is None else f", or read it with nbam-pyro {theirs}, which wrote it"
        raise FolderError(
            f"{path.parent} has another format ({found.format_version or 'an earlier one'}) than "
            f"this version of the library reads ({format_version}). Fit again{mend}."
        )
    return read_json(path, kind)


def as_description(module: Module) -> dict[str, Any]:
    """A description as `build` takes it.

    Args:
        module: Description as it was read.
    """
    return module.model_dump(by_alias=True, exclude_unset=True)


@contextmanager
def rehearsed(folder: Path) -> Iterator[None]:
    """What fails inside, where a saved model is run for the first time, is damage of its folder.

    Args:
        folder: Run folder that the model was read from.

    Raises:
        FolderError: Something failed.
        StoryError: The model asks for far more memory than two rows take.
    """
    try:
        with warnings.catch_warnings(), running():
            warnings.simplefilter("ignore")  # of what a row of zeros is
            yield
    except NBAMError:
        raise
    except Exception as error:  # networks raise whatever their arguments lead to
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise FolderError(
            f"{folder} holds a model that cannot be run ({reason}). Restore its files or fit again."
        ) from error


def versions() -> dict[str, str]:
    """Of the packages that a fit depends on."""
    return {name: version(name) for name in _PACKAGES} | {"python": platform.python_version()}


def tensors_of(part: str, module: nn.Module) -> dict[str, torch.Tensor]:
    """The state of a module, by names that begin with that of the part."""
    return {
        f"{part}.{name}": value.detach().cpu().contiguous().clone()
        for name, value in module.state_dict().items()
    }


def fill(module: nn.Module, part: str, tensors: Mapping[str, Tensor]) -> None:
    """Set a module's state from what `tensors_of` made.

    Raises:
        StoryError: the tensors are not its own.
    """
    state = {
        name.removeprefix(f"{part}."): value
        for name, value in tensors.items()
        if name.startswith(f"{part}.")
    }
    try:
        module.load_state_dict(state, assign=True)
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise StoryError(f"The {part} does not fit the saved tensors: {reason}") from error
