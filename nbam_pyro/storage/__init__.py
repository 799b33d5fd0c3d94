"""Run folders and their files. They are never written partially, and they are checked when read."""

from nbam_pyro.storage.manifest import check_files, write_manifest
from nbam_pyro.storage.progress import Command, Progress
from nbam_pyro.storage.schema import (
    Count,
    Finite,
    Label,
    Probability,
    Saved,
    read_json,
    validated,
    write_json,
)
from nbam_pyro.storage.writing import (
    check_file,
    check_folder,
    continued_folder,
    new_file,
    new_folder,
)

__all__ = [
    "Command",
    "Count",
    "Finite",
    "Label",
    "Probability",
    "Progress",
    "Saved",
    "check_file",
    "check_files",
    "check_folder",
    "continued_folder",
    "new_file",
    "new_folder",
    "read_json",
    "validated",
    "write_json",
    "write_manifest",
]
