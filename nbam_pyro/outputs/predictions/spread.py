"""Residuals whose scatter depends on the prediction, brought to one scale."""

import numpy as np
from scipy.stats import rankdata

__all__ = ["evened"]

# With fewer rows a trend of the scatter cannot be seen.
_FEW = 40
_LEAST = 1e-3


def evened(residuals: np.ndarray, predictors: np.ndarray) -> tuple[np.ndarray, bool]:
    """Divide residuals by a scale that depends on the ranks of predictors, if the data show it.

    The log absolute residual has a quadratic trend in the ranks of each predictor. The trend is
    used if it lowers the Bayesian information criterion. Contaminated rows at random places do not
    change the trend. If contaminated rows are frequent where predictions are large, they change it.

    Args:
        residuals: Finite residuals, (N,).
        predictors: Predicted mean, and predicted scale if there is one, (N, P).

    Returns:
        The residuals around their median, and whether the scatter depends on the predictors.
    """
    away = residuals - np.median(residuals)
    count = len(away)
    width = float(np.median(abs(away)))
    if count < _FEW or width == 0:
        return away, False
    # A residual of almost zero has a huge negative logarithm, and says nothing about the scale.
    log_size = np.log(np.maximum(abs(away) / width, _LEAST))
    ranks = rankdata(predictors, axis=0) / count - 0.5
    varying = ranks[:, np.ptp(ranks, axis=0) > 0]
    if not varying.shape[1]:
        return away, False
    trend = np.column_stack([np.ones(count), varying, varying**2])
    fitted = trend @ np.linalg.lstsq(trend, log_size, rcond=None)[0]
    gain = count * np.log(log_size.var() / max(((log_size - fitted) ** 2).mean(), _LEAST**2))
    if gain <= (trend.shape[1] - 1) * np.log(count):
        return away, False
    return away / np.exp(fitted - fitted.mean()), True
