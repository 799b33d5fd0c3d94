"""What every benchmark writes beside its figures."""

import json
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

PACKAGES = ["nbam-pyro", "torch", "torchvision", "pyro-ppl", "lightning", "scikit-learn"]


def environment() -> dict[str, Any]:
    """The device and the versions a figure was measured with."""
    if torch.cuda.is_available():
        device = torch.cuda.get_device_name()
    else:
        device = f"CPU, {torch.get_num_threads()} threads, {platform.machine()}"
    versions = {name: version(name) for name in PACKAGES} | {"python": platform.python_version()}
    return {"device": device, "versions": versions}


def write_json(path: Path, values: Any) -> None:
    """Write figures, making the folder where it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(values, indent=2) + "\n")
