"""Rows that somebody has verified as anomalies or as normal."""

import numpy as np

from nbam_pyro.checks.codes import codes_of, switches
from nbam_pyro.cli.files import Source

__all__ = ["verified_codes"]


def verified_codes(source: Source, name: str | None) -> np.ndarray | None:
    """Return the codes of verified rows, (N,): 1 for an anomaly, 0 for a normal row, -1 otherwise.

    Args:
        source: Data with the column or array beside the features.
        name: Name of this column or array. None if no row is verified; the result is then None.

    Raises:
        DataError: A value is not one of those that `--verified` takes.
    """
    if name is None:
        return None
    return codes_of(name, source.beside[name], len(source.rows), switches)
