"""Tensors of run folders: safetensors, whose numbers are finite."""

from collections.abc import Collection, Mapping
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from nbam_pyro.errors import FolderError

__all__ = ["read_tensors", "saved_tensor", "write_tensors"]


def write_tensors(
    path: Path, tensors: Mapping[str, Tensor], *, unbounded: Collection[str] = ()
) -> None:
    """Write tensors that `read_tensors` will read.

    Args:
        path: Path of the file.
        tensors: What to write, by name.
        unbounded: Names of tensors that may be infinite.

    Raises:
        FolderError: A number is NaN, or infinite where it may not be.
    """
    _check_finite(tensors, unbounded, what=path.name)
    whole = {name: tensor.contiguous() for name, tensor in tensors.items()}
    path.write_bytes(safetensors.torch.save(whole))


def read_tensors(path: Path, *, unbounded: Collection[str] = ()) -> dict[str, Tensor]:
    """The tensors of a file, by name.

    Args:
        path: Path of the file.
        unbounded: Names of tensors that may be infinite.

    Raises:
        FolderError: The file is damaged, or a number is NaN, or infinite where it may not be.
    """
    try:
        tensors = safetensors.torch.load_file(path)
    except (SafetensorError, OSError, RuntimeError, ValueError, KeyError) as error:
        reason = " ".join(str(error).split())[:200]
        raise FolderError(
            f"{path} is no safetensors file or is cut off ({reason}). Restore it or fit again."
        ) from error
    _check_finite(tensors, unbounded, what=str(path))
    return tensors


def saved_tensor(tensors: Mapping[str, Tensor], name: str) -> Tensor:
    """The tensor of a name.

    Args:
        tensors: Tensors of a run, by name.
        name: Name of one of them.

    Raises:
        FolderError: There is none of that name.
    """
    if name not in tensors:
        raise FolderError(f"The run has no tensor {name!r}. Restore its files or fit again.")
    return tensors[name]


def _check_finite(tensors: Mapping[str, Tensor], unbounded: Collection[str], *, what: str) -> None:
    for name, tensor in tensors.items():
        bad = torch.isnan(tensor) if name in unbounded else ~torch.isfinite(tensor)
        if bad.any():
            raise FolderError(
                f"{what}: {name} has numbers that are NaN or infinite, so the model would score "
                "nothing but NaN. Fit again, with a smaller step size or other features."
            )
