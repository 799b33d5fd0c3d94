"""What every benchmark writes beside its figures."""

import json
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

PACKAGES = ["nbam-pyro", "torch", "torchvision", "pyro-ppl", "lightning", "scikit-learn"]


def environment(device: torch.device | None = None) -> dict[str, Any]:
    """The device and the versions a figure was measured with.

    Args:
        device: that was used; None for a GPU where there is one.
    """
    if device.type == "cuda" if device else torch.cuda.is_available():
        name = torch.cuda.get_device_name(device)
    else:
        name = f"CPU, {torch.get_num_threads()} threads, {platform.machine()}"
    versions = {name: version(name) for name in PACKAGES} | {"python": platform.python_version()}
    return {"device": name, "versions": versions}


def write_json(path: Path, values: Any) -> None:
    """Write figures, whole or not at all, making the folder where it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".part")
    draft.write_text(json.dumps(values, indent=2) + "\n")
    draft.replace(path)
