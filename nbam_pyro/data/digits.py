"""Handwritten digits of scikit-learn with flipped labels."""

from dataclasses import dataclass

import numpy as np

from nbam_pyro.data.corruption import Contaminated, contaminate
from nbam_pyro.data.flips import DIGITS_FLIPS, Flips

__all__ = ["Digits", "flipped_digits"]


@dataclass(frozen=True)
class Digits:
    """Handwritten digits of scikit-learn, split into training and test rows, with flipped labels.

    Attributes:
        x: Training pixels in [0, 1], (N, 64).
        labels: True and observed training labels, and which of them are flipped.
        rows: Indices of the training rows in `sklearn.datasets.load_digits`, (N,).
        x_test: Test pixels, (M, 64).
        y_test: Clean test labels, (M,).
    """

    x: np.ndarray
    labels: Contaminated
    rows: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray


def flipped_digits(*, seed: int, rate: float = 0.4) -> Digits:
    """Return digits whose training labels are flipped according to `DIGITS_FLIPS`.

    The test rows are 30 % of all rows, stratified by class.

    Args:
        seed: Seed for the split and the flips.
        rate: Share of each source class to flip, in [0, 1].

    Raises:
        DataError: The rate is outside [0, 1].

    Example:
        >>> digits = flipped_digits(seed=0)
        >>> digits.x.shape, round(digits.labels.rate, 2)
        ((1257, 64), 0.2)
    """
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    x, y = load_digits(return_X_y=True)
    x = (x / 16).astype(np.float32)
    train, test = train_test_split(np.arange(len(y)), test_size=0.3, stratify=y, random_state=seed)
    return Digits(
        x=x[train],
        labels=contaminate(y[train], Flips(DIGITS_FLIPS), rate=rate, seed=seed),
        rows=train,
        x_test=x[test],
        y_test=y[test],
    )
