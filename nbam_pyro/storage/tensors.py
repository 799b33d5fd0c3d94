"""Files of tensors in run folders, in the safetensors format. Their numbers are finite."""

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
    """Write tensors to a safetensors file.

    Args:
        path: Path of the file.
        tensors: Tensors to write, by name.
        unbounded: Names of the tensors that may contain infinite values.

    Raises:
        FolderError: A number is NaN, or infinite where it must be finite.
    """
    _check_finite(tensors, unbounded, what=f"'{path.name}'")
    whole = {name: tensor.contiguous() for name, tensor in tensors.items()}
    path.write_bytes(safetensors.torch.save(whole))


def read_tensors(path: Path, *, unbounded: Collection[str] = ()) -> dict[str, Tensor]:
    """Read the tensors of a safetensors file, by name.

    Args:
        path: Path of the file.
        unbounded: Names of the tensors that may contain infinite values.

    Raises:
        FolderError: The file is damaged, or a number is NaN, or infinite where it must be finite.
    """
    try:
        tensors = safetensors.torch.load_file(path)
    except (SafetensorError, OSError, RuntimeError, ValueError, KeyError) as error:
        reason = " ".join(str(error).split())[:200]
        raise FolderError(
            f"'{path}' is not a safetensors file or is cut off ({reason}). Restore it or fit again."
        ) from error
    _check_finite(tensors, unbounded, what=f"'{path}'")
    return tensors


def saved_tensor(tensors: Mapping[str, Tensor], name: str) -> Tensor:
    """Return the tensor with a name.

    Args:
        tensors: Tensors of a run, by name.
        name: Name of the tensor.

    Raises:
        FolderError: There is no tensor with this name.
    """
    if name not in tensors:
        raise FolderError(f"The run has no tensor {name!r}. Restore its files or fit again.")
    return tensors[name]


def _check_finite(tensors: Mapping[str, Tensor], unbounded: Collection[str], *, what: str) -> None:
    """Raise a `FolderError` that names the first tensor with NaN or infinite numbers."""
    for name, tensor in tensors.items():
        bad = torch.isnan(tensor) if name in unbounded else ~torch.isfinite(tensor)
        if bad.any():
            raise FolderError(
                f"{what}: the tensor {name!r} has numbers that are NaN or infinite, so all scores "
                "of the model would be NaN. Fit again, with a smaller learning rate or other "
                "features."
            )
