"""`errors_in_features`, the story of a line whose features or targets may be wrong, from data."""

import torch
from torch import Tensor

from nbam_pyro.errors import DataError
from nbam_pyro.models.likelihoods.linear_errors import LinearErrors
from nbam_pyro.models.likelihoods.linear_noise import LinearNormal
from nbam_pyro.models.priors.pseudo_counts import Beta
from nbam_pyro.models.standardise import Standardise
from nbam_pyro.models.stories.feature_errors import FeatureErrors
from nbam_pyro.models.stories.robust_regression import middle_and_scale

__all__ = ["errors_in_features"]

# Prior scale of weights and intercept, and prior median of the noise, in units of the scale of y.
_WEIGHTS, _NOISE = 5.0, 0.3
# The median absolute deviation of a Normal distribution with standard deviation 1 is 1 / _NORMAL.
_NORMAL = 1.4826


def errors_in_features(x: Tensor, y: Tensor, *, rate: Beta | None = None) -> FeatureErrors:
    """Return a story for a line in which targets or features of some rows are wrong.

    Every number has a prior, so that `fit` finds all modes of the posterior and their
    probabilities. The columns are standardised, and their robust centres and scales are medians and
    median absolute deviations. The clean likelihood is a `LinearNormal`, and wrong targets are
    `LinearErrors`, as in `linear_regression`.

    Args:
        x: Rows of a table of measurements, (N, D) with D from 1 to 8.
        y: Observed targets, (N,).
        rate: Pseudo-counts of a Beta prior on the share of contaminated rows. None for Beta(1, 4).

    Raises:
        DataError: x is no table of 1 to 8 columns, all values of a column or all targets are equal,
            or the scale of the targets is above 1e12 or below 1e-12.

    Example:
        >>> x = torch.linspace(0, 1, 40)[:, None]
        >>> story = errors_in_features(x, 2 * x[:, 0])
        >>> story.middle, story.columns
        ([-0.0...], 1)
    """
    if x.ndim != 2:
        raise DataError(f"x has shape {tuple(x.shape)}; give a table, (N, D).")
    centre, scale = middle_and_scale(y)
    trunk = Standardise.of(x)
    h = trunk(x)
    middle = h.median(0).values
    unit = _NORMAL * (h - middle).abs().median(0).values
    unit = torch.where(unit > 0, unit, h.std(0))
    if not bool((unit > 0).all()):
        column = int((~(unit > 0)).nonzero()[0, 0])
        raise DataError(
            f"All values of column {column} of x are equal, so they have no distribution: leave "
            "the column out."
        )
    clean = LinearNormal(h.shape[1], scale=_WEIGHTS * scale, centre=centre, noise=_NOISE * scale)
    a, b = (1.0, 4.0) if rate is None else rate
    story = FeatureErrors(
        clean,
        LinearErrors(clean, scale=scale),
        middle=middle.tolist(),
        unit=unit.tolist(),
        a=a,
        b=b,
        trunk=trunk,
    )
    return story.to(h.dtype)
