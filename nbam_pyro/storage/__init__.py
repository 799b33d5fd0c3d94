"""Run folders and their files. They are never written partially, and they are checked when read."""

from nbam_pyro.storage.manifest import check_files, write_manifest
from nbam_pyro.storage.progress import Command, resumable_folder
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
from nbam_pyro.storage.writing import check_file, check_folder, new_file, new_folder

__all__ = [
    "Command",
    "Count",
    "Finite",
    "Label",
    "Probability",
    "Saved",
    "check_file",
    "check_files",
    "check_folder",
    "new_file",
    "new_folder",
    "read_json",
    "resumable_folder",
    "validated",
    "write_json",
    "write_manifest",
]
