"""The contamination at any time or place, with an interval: `rate_map`."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nbam_pyro.checks.arguments import as_numbers
from nbam_pyro.errors import DataError, StoryError
from nbam_pyro.inference.posterior.fit_result import Fit
from nbam_pyro.inference.posterior.scoring import in_evaluation_mode
from nbam_pyro.inference.variational.guides import Draw, guide_draws
from nbam_pyro.models import GaussianProcessSwitch, InducingFeatures, LabelFlip, LatentSwitch
from nbam_pyro.training.tensors import in_precision, precision_of

__all__ = ["RateMap", "rate_map"]


@dataclass(frozen=True, eq=False)
class RateMap:
    """The contamination at some times or places, with central intervals.

    Attributes:
        places: Coordinates, (N, d).
        mean: Posterior mean of the contamination at each place, (N,).
        low: Lower end of the interval at each place, (N,).
        high: Upper end of the interval at each place, (N,).
        probability: Posterior probability that an interval contains.
    """

    places: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    probability: float


def rate_map(
    fit: Fit,
    places: Any,
    *,
    true_label: int | None = None,
    probability: float = 0.9,
    num_draws: int = 500,
    seed: int = 0,
) -> RateMap:
    r"""Return the contamination at any times or places, with central intervals.

    .. math:: \pi(s) = \sigma\big(a + \phi(s) \cdot w + \tau \, \epsilon(s)\big), \qquad
              \epsilon(s) \sim N(0, \, 1 - |\phi(s)|^2)

    pi(s) is the probability that a row at the place s is contaminated, before its target is seen.
    a and w are drawn from the posterior. The last term is the part of the Gaussian process that its
    inducing points do not describe: between distant points, and far from all rows, the interval is
    therefore as wide as the prior.

    Args:
        fit: Fit of a `LatentSwitch` with a `GaussianProcessSwitch`, or of a `LabelFlip` with
            `over=`.
        places: Coordinates, (N, d), or (N,) for one coordinate. They need not be those of rows.
        true_label: Index of the true class whose rate is mapped; only for a `LabelFlip`.
        probability: Posterior probability that an interval contains, strictly between 0 and 1.
        num_draws: Number of draws of the global latents.
        seed: Seed of the draws.

    Raises:
        DataError: The places have another number of coordinates than the fit, a value is missing or
            infinite, the class is missing or unknown, or the probability is out of range.
        StoryError: The story has no Gaussian process.
    """
    if not 0 < probability < 1:
        raise DataError(f"probability is {probability}; it must be strictly between 0 and 1.")
    fit = in_evaluation_mode(fit)
    features, scale, site = _process(fit)
    s = _places(fit, places, features)
    draws = guide_draws(fit.guide, num_draws, seed=seed)
    centre = _centre(fit, draws, true_label)
    with torch.no_grad():
        at = s.to(features.places.device)
        phi = features(at).double().cpu()
        left = scale * features.variance_left(at).double().cpu().sqrt()
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(len(centre), len(s), generator=generator, dtype=torch.float64)
    rates = (centre[:, None] + draws[site].double().cpu() @ phi.mT + left * noise).sigmoid()
    ends = torch.tensor([(1 - probability) / 2, (1 + probability) / 2], dtype=torch.float64)
    low, high = rates.quantile(ends, dim=0)
    return RateMap(s.numpy(), rates.mean(0).numpy(), low.numpy(), high.numpy(), probability)


def _process(fit: Fit) -> tuple[InducingFeatures, float, str]:
    """Return the features of the Gaussian process, its standard deviation, and its site."""
    story: Any = fit.story
    if isinstance(story, LatentSwitch) and isinstance(story.switch, GaussianProcessSwitch):
        return story.switch.features, story.switch.scale, "slope"
    if isinstance(story, LabelFlip) and story.over is not None:
        return story.over, story.locality, "deviation"
    raise StoryError(
        "The story has no Gaussian process, so its rate is no function of a place: use a "
        "LatentSwitch with switch=GaussianProcessSwitch(...), or LabelFlip(..., over=...)."
    )


def _places(fit: Fit, places: Any, features: InducingFeatures) -> Tensor:
    s = places if isinstance(places, Tensor) else torch.as_tensor(as_numbers(places, "places"))
    s = in_precision(s[:, None] if s.ndim == 1 else s, precision_of(fit.story)).cpu()
    if s.ndim != 2 or s.shape[1] != features.inputs or not bool(s.isfinite().all()):
        raise DataError(
            f"places has shape {tuple(s.shape)}; expected finite numbers of shape "
            f"(N, {features.inputs})."
        )
    return s


def _centre(fit: Fit, draws: Draw, true_label: int | None) -> Tensor:
    """Return the logit of the contamination where the Gaussian process is 0, (S,)."""
    story: Any = fit.story
    if isinstance(story, LatentSwitch):
        if true_label is not None:
            raise DataError("true_label is given, but the story has no classes: leave it out.")
        return draws["intercept"].double().cpu()
    if true_label is None or not 0 <= true_label < story.num_classes:
        raise DataError(
            f"true_label is {true_label}; give the class whose rate is mapped, 0 to "
            f"{story.num_classes - 1}."
        )
    return draws["rate"][:, true_label].double().logit().cpu()
