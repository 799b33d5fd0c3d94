"""The kind of a run folder, known by the names of its files."""

from pathlib import Path

from nbam_pyro.detection.file_names import PATCHES, ROWS

__all__ = ["is_detected", "is_mapped"]


def is_detected(run: Path) -> bool:
    """Return True if a run folder has a detector of rows.

    Args:
        run: Run folder.
    """
    return (run / ROWS[0]).exists()


def is_mapped(run: Path) -> bool:
    """Return True if `map_folder` wrote a run folder.

    Args:
        run: Run folder.
    """
    return (run / PATCHES[0]).exists()
