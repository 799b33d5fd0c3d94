"""Flags whose false discovery rate is guaranteed by verified clean data."""

import math

import numpy as np

from nbam_pyro.errors import DataError

__all__ = ["guaranteed"]


def guaranteed(r: np.ndarray, known: np.ndarray, level: float) -> np.ndarray:
    """Return the set that the Benjamini-Hochberg rule flags by conformal p-values, (N, ...).

    Verified contaminated data are in the set, too.

    Args:
        r: Responsibilities, (N, ...).
        known: Verified switches, (N, ...): 1 contaminated, 0 clean, -1 unknown.
        level: False discovery rate that is guaranteed.

    Raises:
        DataError: There are too few verified clean data to flag anything.
    """
    clean, rest = np.sort(r[known == 0]), r[known < 0]
    if not len(rest):
        return known == 1
    # The smallest p-value is 1 / (1 + clean). With E flags, the rule needs level E / rest of it.
    expected = max(1.0, float(rest.sum()))
    needed = math.ceil(len(rest) / (level * expected)) - 1
    if len(clean) < needed:
        raise DataError(
            f"guarantee has {len(clean)} verified clean data. About {needed} are needed, because "
            f"{expected:.0f} of the other {len(rest)} data are expected to be contaminated and fdr "
            f"is {level}. Verify more data that are drawn at random, raise fdr, or leave guarantee "
            "out."
        )
    at_least = len(clean) - np.searchsorted(clean, rest, side="left")
    p = (1 + at_least) / (1 + len(clean))
    ordered = np.sort(p)
    allowed = np.flatnonzero(ordered <= level * np.arange(1, len(p) + 1) / len(p))
    flagged = known == 1
    if len(allowed):
        flagged[known < 0] = p <= ordered[allowed[-1]]
    return flagged
