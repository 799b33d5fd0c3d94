"""Parts that saved fits and saved detectors share: versions, descriptions, states of modules."""

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
    "tensors_in",
    "tensors_of",
    "versions",
]

_PACKAGES = ["nbam-pyro", "torch", "pyro-ppl", "lightning", "arviz-base", "scikit-learn", "numpy"]


class _Version(BaseModel):
    """Schema of the keys that are read first. Other keys are ignored."""

    model_config = ConfigDict(strict=True, extra="ignore")

    format_version: int | None = None
    versions: dict[str, str] = {}


M = TypeVar("M", bound=Saved)


def read_described(path: Path, kind: type[M], *, format_version: int) -> M:
    """Read the JSON file that describes a saved model.

    Args:
        path: Path of the file.
        kind: Schema of its content.
        format_version: Version of the format that this version of the library reads.

    Raises:
        FolderError: The file has another format version, or does not match the schema.
    """
    found = read_json(path, _Version)
    if found.format_version != format_version:
        theirs = found.versions.get("nbam-pyro")
        mend = "" if theirs is None else f", or read it with nbam-pyro {theirs}, which wrote it"
        raise FolderError(
            f"'{path.parent}' has another format ({found.format_version or 'an earlier one'}) than "
            f"this version of the library reads ({format_version}). Fit again{mend}."
        )
    return read_json(path, kind)


def as_description(module: Module) -> dict[str, Any]:
    """Convert a description to the form that `build` takes.

    Args:
        module: Description that was read from a file.
    """
    return module.model_dump(by_alias=True, exclude_unset=True)


@contextmanager
def rehearsed(folder: Path) -> Iterator[None]:
    """Convert errors inside the block to errors about a run folder.

    Inside the block, a model that was read from the folder is run for the first time. If this
    fails, the folder is damaged.

    Args:
        folder: Run folder that the model was read from.

    Raises:
        FolderError: Running the model failed.
        StoryError: The model needs far more memory than a few rows take.
    """
    try:
        with warnings.catch_warnings(), running():
            warnings.simplefilter("ignore")  # a row of zeros may be unusual
            yield
    except NBAMError:
        raise
    except Exception as error:  # networks may raise any error
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise FolderError(
            f"The model in '{folder}' cannot be run ({reason}). Restore its files or fit again."
        ) from error


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that a fit depends on, by name."""
    return {name: version(name) for name in _PACKAGES} | {"python": platform.python_version()}


def tensors_of(part: str, module: nn.Module) -> dict[str, torch.Tensor]:
    """Return the state of a module as tensors by name.

    Args:
        part: Prefix of the names, such as "copies.0.story".
        module: Module whose state is returned.
    """
    return {
        f"{part}.{name}": value.detach().cpu().contiguous().clone()
        for name, value in module.state_dict().items()
    }


def tensors_in(tensors: Mapping[str, Tensor], part: str) -> dict[str, Tensor]:
    """Return the tensors of one module, without the prefix of their names.

    Args:
        tensors: Tensors by name.
        part: Prefix of the names of the module's tensors.
    """
    start = f"{part}."
    return {n.removeprefix(start): value for n, value in tensors.items() if n.startswith(start)}


def fill(module: nn.Module, part: str, tensors: Mapping[str, Tensor]) -> None:
    """Set the state of a module from the tensors of `tensors_of`.

    Args:
        module: Module to change.
        part: Prefix of the names of its tensors.
        tensors: Tensors by name. Tensors of other parts are ignored.

    Raises:
        StoryError: The names or shapes of the tensors differ from those of the module.
    """
    try:
        module.load_state_dict(tensors_in(tensors, part), assign=True)
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise StoryError(
            f"The {part} does not match the saved tensors ({reason}). Restore the files of the "
            "run, or create the module with the same arguments as for the fit."
        ) from error
