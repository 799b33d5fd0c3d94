"""Rows that somebody has verified as anomalies or as normal."""

from pathlib import Path

import numpy as np

from nbam_pyro.checks.codes import codes_of, switches
from nbam_pyro.cli.files import Source
from nbam_pyro.cli.runs.verified_files import CONTAMINATED, is_file, with_verified

__all__ = ["verified_codes", "verified_column"]


def verified_column(name: str | None) -> str | None:
    """Return the column or array that `--verified` names; None if it names a file or nothing.

    Args:
        name: Value of `--verified`.
    """
    return None if name is None or is_file(name) else name


def verified_codes(source: Source, name: str | None) -> np.ndarray | None:
    """Return the codes of verified rows, (N,): 1 for an anomaly, 0 for a normal row, -1 otherwise.

    Args:
        source: Data with the column or array beside the features.
        name: Name of this column or array, or a file that `nbam verify` wrote. None if no row is
            verified; the result is then None.

    Raises:
        DataError: A value is not one of those that `--verified` takes, or the file is about other
            data.
    """
    if name is None:
        return None
    if is_file(name):
        source = with_verified(source, [Path(name)], task=None)
        name = CONTAMINATED
    return codes_of(name, source.beside[name], len(source.rows), switches)
