"""Which data to flag: up to a false discovery rate, or with the smallest expected cost."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from nbam_pyro.checks.arguments import as_number
from nbam_pyro.decisions.conformal import guaranteed
from nbam_pyro.decisions.probabilities import as_probabilities, as_switches
from nbam_pyro.errors import DataError

__all__ = ["Costs", "Flags", "flags"]


@dataclass(frozen=True, kw_only=True)
class Costs:
    """Costs of mistakes and of reviews, in any common unit.

    Args:
        false_alarm: Cost of flagging a clean datum, positive.
        miss: Cost of keeping a contaminated datum, positive.
        review: Cost of asking a person, who is assumed to be right, positive; None if nobody can be
            asked.

    Raises:
        DataError: A cost is not positive and finite.

    Example:
        >>> Costs(false_alarm=1.0, miss=4.0)
        Costs(false_alarm=1.0, miss=4.0, review=None)
    """

    false_alarm: float
    miss: float
    review: float | None = None

    def __post_init__(self) -> None:
        for name, cost in list(vars(self).items()):
            if cost is None:
                continue
            number = as_number(cost, name)
            if not 0 < number < math.inf:
                raise DataError(f"{self}: costs must be positive and finite.")
            object.__setattr__(self, name, number)


@dataclass(frozen=True, eq=False)
class Flags:
    """Data to treat as contaminated, with the expected numbers of right and wrong flags.

    Attributes:
        flagged: True where a datum is flagged, booleans in the shape of the responsibilities.
        review: True where a person should be asked, booleans in the same shape; all False if
            reviews have no cost.
        threshold: Smallest responsibility that is flagged; infinity if no datum is flagged.
        expected_true_positives: Expected number of contaminated data among the flagged ones: the
            sum of their responsibilities.
        expected_false_discovery_rate: Expected share of clean data among the flagged ones: the mean
            of one minus the responsibility. It is 0 if no datum is flagged.
        expected_missed: Expected number of contaminated data that are neither flagged nor reviewed.
    """

    flagged: np.ndarray
    review: np.ndarray
    threshold: float
    expected_true_positives: float
    expected_false_discovery_rate: float
    expected_missed: float


def flags(
    responsibility: Any,
    *,
    fdr: float | None = None,
    costs: Costs | None = None,
    verified: Any = None,
    guarantee: bool = False,
) -> Flags:
    r"""Flag data up to a false discovery rate, or with the smallest expected cost.

    Here r is the responsibility of a datum. With `fdr`, the result is the largest set :math:`\{i :
    r_i \ge t\}`, for any threshold t, whose posterior expected false discovery rate is at most
    `fdr`. This rate is the mean of 1 - r over the set. With `costs`, each datum gets the action
    with the smallest expected cost: keep (:math:`r\,c_{miss}`), flag (:math:`(1-r)\,c_{false}`) or
    review (:math:`c_{review}`).

    The expected rate is the real one only if the responsibilities are calibrated. With `guarantee`
    they need not be: a datum that is not verified gets the conformal p-value (1 + number of
    verified clean data with a responsibility of at least r) / (1 + number of verified clean data),
    and the Benjamini-Hochberg rule at the level `fdr` chooses the set. In the mean over samples of
    verified data, at most the share `fdr` of the flags on other data is false.

    Args:
        responsibility: Responsibilities, the probabilities that data are contaminated, (N, ...),
            for instance `fitted.training_rows.responsibility`. An array, a list, a tensor, or a
            frame or column of pandas, polars or pyarrow.
        fdr: Largest expected share of clean data among the flagged ones, in (0, 1); None if `costs`
            is given.
        costs: Costs of mistakes and reviews; None if `fdr` is given.
        verified: Whether each datum is verified as contaminated, (N, ...): 1 or true if it is
            contaminated, 0 or false if it is clean, NaN, None or -1 if nobody has looked. Verified
            contaminated data are flagged, verified clean ones are not. None if nothing is verified.
        guarantee: Whether the false discovery rate is guaranteed by verified clean data. They must
            be drawn at random from all data, each with the same probability, and no part of the
            responsibilities may have used what was found.

    Returns:
        Flags in the shape of the responsibilities.

    Raises:
        DataError: There are no rows, a responsibility is not in [0, 1], a verified value is not one
            of the codes, not exactly one of `fdr` and `costs` is given, or there are too few
            verified clean data for a guarantee. The message then names the number that is needed.

    Source: Newton et al. (2004) and Müller et al. (2004) for the posterior expected false discovery
    rate; Bates et al. (2023) for the guarantee from conformal p-values.

    Example:
        >>> r = np.array([0.99, 0.9, 0.6, 0.1])
        >>> flags(r, fdr=0.1).flagged
        array([ True,  True, False, False])
        >>> flags(r, fdr=0.1, verified=[None, 0, None, None]).flagged
        array([ True, False, False, False])
        >>> flags(r, costs=Costs(false_alarm=1.0, miss=1.0, review=0.2)).review
        array([False, False,  True, False])
    """
    r = as_probabilities(responsibility, "responsibility")
    if (fdr is None) == (costs is None):
        raise DataError(
            "flags needs either fdr (a false discovery rate) or costs. Give exactly one of them."
        )
    known = as_switches(verified, r.shape)
    settled = np.where(known < 0, r, known)
    if costs is not None:
        if guarantee:
            raise DataError("guarantee needs fdr, the rate that is guaranteed, instead of costs.")
        return _cheapest(settled, costs)
    level = as_number(fdr, "fdr")
    if not 0 < level < 1:
        raise DataError(f"fdr is {fdr}; a false discovery rate must lie in (0, 1).")
    flagged = guaranteed(r, known, level) if guarantee else _expected(settled, level)
    return _flags(settled, flagged, np.zeros(r.shape, dtype=bool))


def _expected(r: np.ndarray, level: float) -> np.ndarray:
    """Return the largest set whose posterior expected false discovery rate is at most `level`."""
    values, counts = np.unique(r, return_counts=True)  # Equal rows are flagged together.
    values, counts = values[::-1], counts[::-1]
    rates = np.cumsum(counts * (1 - values)) / np.cumsum(counts)
    allowed = np.flatnonzero(rates <= level)
    return r >= values[allowed[-1]] if len(allowed) else np.zeros(r.shape, dtype=bool)


def _cheapest(r: np.ndarray, costs: Costs) -> Flags:
    keep, flag = r * costs.miss, (1 - r) * costs.false_alarm
    least = np.minimum(keep, flag)
    review = np.zeros(r.shape, dtype=bool) if costs.review is None else least > costs.review
    return _flags(r, (flag < keep) & ~review, review)


def _flags(r: np.ndarray, flagged: np.ndarray, review: np.ndarray) -> Flags:
    chosen = r[flagged]
    return Flags(
        flagged=flagged,
        review=review,
        threshold=float(chosen.min()) if len(chosen) else math.inf,
        expected_true_positives=float(chosen.sum()),
        expected_false_discovery_rate=float((1 - chosen).mean()) if len(chosen) else 0.0,
        expected_missed=float(r[~flagged & ~review].sum()),
    )
