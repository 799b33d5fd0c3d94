"""Networks in TorchScript files, the only format of torch that is read without pickle."""

import warnings
import zipfile
from pathlib import Path

import torch
from torch import nn

from nbam_pyro.cli.files.messages import problem

__all__ = ["read_torchscript"]


def read_torchscript(path: Path) -> nn.Module:
    """Read a network from a file that `torch.jit.save` wrote.

    Args:
        path: Path of the file.

    Raises:
        DataError: The file is no such file, or it is damaged. Pickled networks and checkpoints are
            refused, because loading them could run code.
    """
    _check_kind(path)
    try:
        with warnings.catch_warnings():  # torch recommends torch.export, whose files use pickle
            warnings.simplefilter("ignore")
            network: nn.Module = torch.jit.load(path, map_location="cpu")
    except (RuntimeError, ValueError, OSError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise problem(
            f"'{path}' cannot be read as TorchScript: {reason}. Write it again with torch.jit.save."
        ) from error
    return network


def _check_kind(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            parts = {"/".join(name.split("/")[1:2]) for name in archive.namelist()}
    except zipfile.BadZipFile:
        parts = set()
    if {"code", "constants.pkl"} <= parts:
        return
    if "models" in parts:
        raise problem(
            f"'{path}' is a file of torch.export. Such files may contain pickled objects, and "
            "loading them could run code. Write the network as TorchScript: "
            "torch.jit.save(torch.jit.trace(network, images), FILE)."
        )
    raise problem(
        f"'{path}' is neither TorchScript nor safetensors. Pickled networks and checkpoints (.pt, "
        ".pth) are not loaded, because loading them could run code. Convert weights with "
        "safetensors.torch.save_file(torch.load(FILE, weights_only=True), NEW), and give "
        "--features ARCHITECTURE:NEW; or write the network with "
        "torch.jit.save(torch.jit.trace(network, images), NEW)."
    )
