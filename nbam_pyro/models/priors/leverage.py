"""`LeverageSwitch`, a switch prior under which rows with unusual features are wrong more often."""

import warnings

import numpy as np
import pyro.distributions as dist
import torch
from pyro.distributions import TorchDistribution
from scipy.stats import chi2
from sklearn.covariance import MinCovDet
from torch import Tensor

from nbam_pyro.models.latents import Latents
from nbam_pyro.models.likelihoods.component import Component, check_positive
from nbam_pyro.models.priors.switch import share_wrong

__all__ = ["LeverageSwitch"]

# Tail probabilities of the squared distance at which the leverage is 0 and 1.
_TAILS = 0.05, 0.001
# Prior scale of the effect, in logits.
_EFFECT = 4.0
# A covariance of more columns than this share of the rows is not estimated.
_COLUMNS = 0.2
# The median absolute deviation of a Normal distribution with standard deviation 1 is 1 / _NORMAL.
_NORMAL = 1.4826


class LeverageSwitch(Component):
    r"""z ~ Bernoulli(sigmoid(logit pi + gamma l(h))): unusual rows are wrong more often.

    .. math:: \pi \sim \mathrm{Beta}(a, b), \qquad \gamma \sim \mathrm{HalfNormal}(4)

    The leverage l(h) lies between 0 and 1. It is 0 for rows among the bulk of the features, and 1
    for rows whose robust (Mahalanobis) distance from the bulk is larger than that of one Normal row
    in a thousand. A regression that treats all rows alike follows such rows, because they pull the
    line towards themselves. This prior bounds their influence: the data decide by gamma whether
    unusual features and wrong targets go together.

    The global latents are the sites "contamination", pi, which is the contamination of usual rows,
    and "leverage_effect", gamma. `LeverageSwitch.of(h)` computes the distance from data.

    Args:
        features: Number of columns of h that the distance is computed from, the first ones.
        a: Pseudo-count of contaminated targets, positive.
        b: Pseudo-count of clean targets, positive.

    Raises:
        DataError: The number of features or a pseudo-count is not positive.

    Source: The minimum covariance determinant is by Rousseeuw & Van Driessen (1999).

    Example:
        >>> h = torch.linspace(-1, 1, 50)[:, None]
        >>> switch = LeverageSwitch.of(torch.cat([h, torch.tensor([[30.0]])]))
        >>> latents = {"contamination": torch.tensor(0.1), "leverage_effect": torch.tensor(2.0)}
        >>> switch(torch.tensor([[0.0], [30.0]]), latents).mean
        tensor([0.1000, 0.4509])
    """

    counts: Tensor
    centre: Tensor
    root: Tensor
    limits: Tensor

    def __init__(self, features: int, *, a: float = 1.0, b: float = 4.0) -> None:
        super().__init__()
        check_positive("features", features)
        check_positive("a", a)
        check_positive("b", b)
        self.features = features
        self.a = a
        self.b = b
        self.register_buffer("counts", torch.tensor([float(a), float(b)]))
        self.register_buffer("centre", torch.zeros(features))
        self.register_buffer("root", torch.eye(features))
        low, high = chi2.isf(_TAILS, features)
        self.register_buffer("limits", torch.tensor([low, high], dtype=torch.float32))

    @classmethod
    def of(
        cls, h: Tensor, *, features: int | None = None, a: float = 1.0, b: float = 4.0
    ) -> "LeverageSwitch":
        """Return the switch prior for features h, in their precision.

        Args:
            h: Features of the rows, (N, D).
            features: Number of columns that the distance is computed from, the first ones; None
                for all.
            a: Pseudo-count of contaminated targets, positive.
            b: Pseudo-count of clean targets, positive.
        """
        columns = h[:, :features].detach().cpu().double().numpy()
        switch = cls(columns.shape[1], a=a, b=b).to(h.dtype)
        centre, root = _robust_shape(columns)
        switch.centre.copy_(torch.as_tensor(centre))
        switch.root.copy_(torch.as_tensor(root))
        return switch

    def priors(self) -> dict[str, TorchDistribution]:
        a, b = self.counts
        effect = self.counts.new_tensor(_EFFECT)
        return {
            "contamination": dist.Beta(a, b, validate_args=False),
            "leverage_effect": dist.HalfNormal(effect, validate_args=False),
        }

    def forward(self, h: Tensor, latents: Latents) -> TorchDistribution:
        logits = latents["contamination"].logit() + latents["leverage_effect"] * self.leverage(h)
        return dist.Bernoulli(logits=logits, validate_args=False)

    def leverage(self, h: Tensor) -> Tensor:
        """Return the leverage of each row, (N,), between 0 and 1.

        Args:
            h: Features of the rows, (N, D).
        """
        away = (h[:, : self.features] - self.centre) @ self.root
        low, high = self.limits
        leverage: Tensor = (((away**2).sum(-1) - low) / (high - low)).clamp(0, 1)
        return leverage

    def starts_beside(self, residual: Tensor, wrong: Tensor, noise: Tensor) -> list[Latents]:
        share = share_wrong(wrong)
        return [
            {"contamination": share, "leverage_effect": share.new_tensor(effect)}
            for effect in (0.5, _EFFECT)
        ]


def _robust_shape(columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the centre of the bulk, (D,), and the root of its precision matrix, (D, D)."""
    n, d = columns.shape
    centre = np.median(columns, 0)
    spread = _NORMAL * np.median(np.abs(columns - centre), 0)
    # A column in which most rows are equal, such as an indicator, has no unusual values.
    inverse = np.divide(1.0, spread, out=np.zeros(d), where=spread > 0)
    varying = np.flatnonzero(inverse)
    root = np.diag(inverse)
    if not 1 < len(varying) <= _COLUMNS * n:
        return centre, root / max(1.0, np.sqrt(len(varying)))
    scaled = (columns[:, varying] - centre[varying]) * inverse[varying]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a singular covariance is handled below
        found = MinCovDet(random_state=0).fit(scaled)
    values, vectors = np.linalg.eigh(found.covariance_)
    kept = values > 1e-6 * values.max()
    whiten = vectors[:, kept] / np.sqrt(values[kept])
    padded = np.zeros((len(varying), len(varying)))
    padded[:, : whiten.shape[1]] = whiten
    root[np.ix_(varying, varying)] = inverse[varying, None] * padded
    centre[varying] += found.location_ / inverse[varying]
    return centre, root
