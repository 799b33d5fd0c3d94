"""Codes of verified rows: 1 for an anomaly, 0 for a normal row, -1 for a row not verified."""

from collections.abc import Hashable
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from nbam_pyro.checks.containers import unwrapped
from nbam_pyro.errors import DataError
from nbam_pyro.verified import Verified

__all__ = ["UNKNOWN", "UNVERIFIED", "switch_codes"]

# The code of a row that is not verified.
UNKNOWN = -1
# The codes of a batch without verified rows: a scalar, which broadcasts to any shape.
UNVERIFIED = torch.tensor(UNKNOWN)

_CODES: dict[Hashable, int] = {1: 1, 0: 0, UNKNOWN: UNKNOWN}
_MEND = "give 1 for an anomaly, 0 for a normal row, and -1, NaN or None where nothing is verified."


def switch_codes(verified: Any, count: int) -> Tensor:
    """Return the codes of verified rows, (N,) integers.

    The codes are 1 for an anomaly, 0 for a normal row, and -1 for a row that is not verified.

    Args:
        verified: Codes in an array, a list or a column, (N,), with NaN or None for -1; or a
            `nbam_pyro.Verified` without true labels. None means that nothing is verified.
        count: Number of rows, N.

    Raises:
        DataError: The number of codes is not N, a code is not valid, or a true label is given.

    Example:
        >>> switch_codes([1, None, 0.0], 3)
        tensor([ 1, -1,  0])
        >>> switch_codes(None, 2)
        tensor([-1, -1])
    """
    if verified is None:
        return UNVERIFIED.repeat(count)
    if isinstance(verified, Verified):
        verified = _contaminated(verified)
    values = np.asarray(unwrapped(verified), dtype=object)
    if values.shape != (count,):
        raise DataError(
            f"verified has shape {values.shape}, but there are {count} rows. Give one code for "
            f"each row: {_MEND}"
        )
    codes = np.full(count, UNKNOWN)
    for row in np.flatnonzero(~pd.isna(values)):
        value = values[row]
        code = _CODES.get(value) if isinstance(value, Hashable) else None
        if code is None:
            raise DataError(f"verified has the wrong code {value!r} in row {row}; {_MEND}")
        codes[row] = code
    return torch.from_numpy(codes)


def _contaminated(verified: Verified) -> Tensor:
    """Return the codes of a `Verified` that has no true labels."""
    labelled = (verified.true_label >= 0).flatten().nonzero()
    if len(labelled):
        raise DataError(
            f"verified has a true label for row {int(labelled[0])}, but a detector has no labels. "
            "Say with `contaminated` which rows are anomalies, and give no `true_label`."
        )
    return verified.contaminated
