"""A clean likelihood of several sensors that may drift slowly after the training rows."""

import numpy as np

__all__ = ["distances", "drift_rates"]

# Lags between which the growth of a variogram is drift, in rows.
_SHORT, _LONG = (20, 30), (150, 200, 250)
# The median of a squared standard normal variate.
_MEDIAN = 0.455
_SHRUNK = 0.1


def drift_rates(train: np.ndarray) -> np.ndarray:
    """Return the variance that each sensor gains per row, not negative, (D,).

    It is the slope of the variogram, the mean squared difference of rows that are h apart. Medians
    replace means, so bursts and outliers among the rows change it little.

    Args:
        train: Training rows, (N, D).
    """
    short, long = (
        np.mean([_squared_difference(train, lag) for lag in lags], 0) for lags in (_SHORT, _LONG)
    )
    return np.maximum((long - short) / (np.mean(_LONG) - np.mean(_SHORT)), 0.0)


def _squared_difference(train: np.ndarray, lag: int) -> np.ndarray:
    found: np.ndarray = np.median((train[lag:] - train[:-lag]) ** 2, 0) / _MEDIAN
    return found


def distances(train: np.ndarray, test: np.ndarray, rates: np.ndarray) -> np.ndarray:
    """Return the squared Mahalanobis distance of each row from clean rows, (T,).

    A clean row h rows after the training rows is Normal, with the mean of the training rows and
    their covariance (10 % shrunk to its diagonal) plus h times the drift rates.

    Args:
        train: Training rows, (N, D).
        test: Rows that follow, (T, D).
        rates: Variance that each sensor gains per row, (D,); zeros for no drift.
    """
    covariance = np.cov(train.T)
    own = np.diag(np.diag(covariance))
    covariance = (1 - _SHRUNK) * covariance + _SHRUNK * own + 1e-6 * np.eye(len(own))
    grown = np.arange(1, len(test) + 1)[:, None, None] * np.diag(rates)
    away = test - train.mean(0)
    found: np.ndarray = (
        away * np.linalg.solve(covariance + grown, away[..., None]).squeeze(-1)
    ).sum(-1)
    return found
