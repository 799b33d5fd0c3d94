"""Linear clean likelihoods: Normal noise, noise with heavy tails, and skewed noise."""

import math
from typing import final

import pyro.distributions as dist
import torch
from pyro.distributions import TorchDistribution
from torch import Tensor

from nbam_pyro.errors import DataError
from nbam_pyro.models.latents import Latents
from nbam_pyro.models.likelihoods.linear import LinearLikelihood
from nbam_pyro.models.likelihoods.two_piece import TwoPieceNormal

__all__ = ["LinearNormal", "LinearSkewed", "LinearStudentT"]

# Prior standard deviation of the skewness k.
_SKEWNESS = 0.4


@final
class LinearNormal(LinearLikelihood):
    r"""y ~ Normal(m + b + w . h, sigma): a linear clean likelihood with a posterior of w, b, sigma.

    .. math::
        w_j \sim N(0, s), \qquad b \sim N(0, s), \qquad \log \sigma \sim N(\log s_0, 1.5)

    The global latents are the sites "weight" (D,), "bias" () and "noise" (), which is sigma. The
    clean likelihoods with a network have point estimates of their parameters instead. Use this one
    for small regressions: `fit` then finds every mode of the posterior, and you can check it with
    Markov chains (`nuts`).

    Arguments and errors are those of `LinearLikelihood`.

    Example:
        >>> latents = {"weight": torch.ones(2), "bias": torch.tensor(1.0), "noise": torch.ones(())}
        >>> LinearNormal(2)(torch.ones(1, 2), latents).mean
        tensor([3.])
    """

    def around(self, loc: Tensor, scale: Tensor, latents: Latents) -> TorchDistribution:
        return dist.Normal(loc, scale, validate_args=False)


@final
class LinearStudentT(LinearLikelihood):
    r"""y ~ StudentT(df, m + b + w . h, sigma): a linear clean likelihood with heavy tails.

    Everything else is as in `LinearNormal`. Use it if correct measurements sometimes lie far from
    the line: fewer of them then count as wrong. The degrees of freedom are not fitted, because the
    anomaly likelihood explains large errors, too.

    Args:
        features: Number D of columns of h.
        df: Degrees of freedom, above 2.
        scale: Scale s of the priors, in the units of y.
        centre: A number m near the measurements, in the units of y.
        noise: Prior median s_0 of sigma, in the units of y; None for scale / 15.
        uneven: Number of first columns of h that the noise depends on.

    Raises:
        DataError: df is not above 2, or an argument is out of the range of `LinearLikelihood`.

    Example:
        >>> latents = {"weight": torch.ones(2), "bias": torch.tensor(1.0), "noise": torch.ones(())}
        >>> LinearStudentT(2, df=5.0)(torch.ones(1, 2), latents).df
        tensor([5.])
    """

    def __init__(
        self,
        features: int,
        *,
        df: float = 4.0,
        scale: float = 10.0,
        centre: float = 0.0,
        noise: float | None = None,
        uneven: int = 0,
    ) -> None:
        super().__init__(features, scale=scale, centre=centre, noise=noise, uneven=uneven)
        if not 2 < df < math.inf:
            raise DataError(
                f"df is {df}; it must be finite, and above 2 so that a variance exists."
            )
        self.df = df

    def around(self, loc: Tensor, scale: Tensor, latents: Latents) -> TorchDistribution:
        df = torch.full_like(loc, self.df, requires_grad=False)
        return dist.StudentT(df, loc, scale, validate_args=False)


@final
class LinearSkewed(LinearLikelihood):
    r"""y ~ TwoPieceNormal(m + b + w . h, sigma, k): a linear clean likelihood with skewed noise.

    .. math:: k \sim N(0, 0.4)

    Noise above the line has the scale sigma e^k and noise below it sigma e^-k. The line is the most
    probable value of y, and the mean lies beside it. The skewness k is the site "skewness" ();
    everything else is as in `LinearNormal`. Without skewed noise, many small errors on one side of
    a line look like contamination.

    Arguments and errors are those of `LinearLikelihood`.

    Example:
        >>> latents = {"weight": torch.ones(2), "bias": torch.tensor(1.0), "noise": torch.ones(())}
        >>> LinearSkewed(2)(torch.ones(1, 2), latents | {"skewness": torch.tensor(0.0)}).mean
        tensor([3.])
    """

    def priors(self) -> dict[str, TorchDistribution]:
        skewness = dist.Normal(self.zero, self.zero + _SKEWNESS, validate_args=False)
        return {**super().priors(), "skewness": skewness}

    def starts(self, h: Tensor, y: Tensor, *, seed: int) -> list[Latents]:
        even = {"skewness": self.zero.to(h)}
        return [{**one, **even} for one in super().starts(h, y, seed=seed)]

    def around(self, loc: Tensor, scale: Tensor, latents: Latents) -> TorchDistribution:
        return TwoPieceNormal(loc, scale, latents["skewness"])
