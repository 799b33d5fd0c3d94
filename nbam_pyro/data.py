"""Data with contamination whose truth is known, for demonstrations and benchmarks."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from nbam_pyro.errors import DataError

__all__ = ["DIGITS_FLIPS", "Digits", "FlippedLabels", "flip_labels", "flipped_digits"]

DIGITS_FLIPS: Mapping[int, int] = MappingProxyType({7: 1, 2: 7, 5: 6, 6: 5, 3: 8})
"""The standard asymmetric flips of handwritten digits; 5 and 6 are a mutual pair."""


@dataclass(frozen=True)
class FlippedLabels:
    """Labels of which some are flipped.

    Attributes:
        labels: observed labels, (N,).
        contaminated: which were flipped, (N,) booleans.
    """

    labels: np.ndarray
    contaminated: np.ndarray

    @property
    def rate(self) -> float:
        """The realised share of flipped labels."""
        return float(self.contaminated.mean())


def flip_labels(
    labels: np.ndarray, directions: Mapping[int, int], *, rate: float, seed: int
) -> FlippedLabels:
    """Flip a share of the labels of some classes, always judged by the clean copy.

    Because directions apply to the clean labels, the classes of a mutual pair do not flip twice.

    Args:
        labels: clean labels, (N,).
        directions: source class -> the class its flipped labels go to.
        rate: share of each source class to flip, in [0, 1].
        seed: of the choice of rows.

    Raises:
        DataError: the rate is outside [0, 1] or a class is mapped to itself.

    Example:
        >>> flipped = flip_labels(np.array([0] * 10 + [1] * 10), {0: 1}, rate=0.3, seed=0)
        >>> int(flipped.contaminated.sum()), flipped.rate
        (3, 0.15)
    """
    if not 0 <= rate <= 1:
        raise DataError(f"rate is {rate}; a share lies in [0, 1].")
    if any(source == target for source, target in directions.items()):
        raise DataError("A flip direction must lead to another class.")
    rng = np.random.default_rng(seed)
    observed = labels.copy()
    for source, target in directions.items():
        members = np.flatnonzero(labels == source)
        chosen = rng.permutation(members)[: round(rate * len(members))]
        observed[chosen] = target
    return FlippedLabels(observed, observed != labels)


@dataclass(frozen=True)
class Digits:
    """scikit-learn's digits, split, with flipped training labels.

    Attributes:
        x: training pixels in [0, 1], (N, 64).
        flipped: their observed labels.
        truth: their true labels, (N,).
        rows: their rows in `sklearn.datasets.load_digits`, (N,).
        x_test: test pixels.
        y_test: clean test labels.
    """

    x: np.ndarray
    flipped: FlippedLabels
    truth: np.ndarray
    rows: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray


def flipped_digits(*, seed: int, rate: float = 0.4) -> Digits:
    """Digits with 30 % stratified test rows and `DIGITS_FLIPS` at a rate per source class.

    Args:
        seed: of split and flips.
        rate: share of each source class to flip.

    Example:
        >>> digits = flipped_digits(seed=0)
        >>> digits.x.shape, round(digits.flipped.rate, 2)
        ((1257, 64), 0.2)
    """
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    x, y = load_digits(return_X_y=True)
    x = (x / 16).astype(np.float32)
    train, test = train_test_split(np.arange(len(y)), test_size=0.3, stratify=y, random_state=seed)
    return Digits(
        x=x[train],
        flipped=flip_labels(y[train], DIGITS_FLIPS, rate=rate, seed=seed),
        truth=y[train],
        rows=train,
        x_test=x[test],
        y_test=y[test],
    )
