"""`LeverageSwitch`, a switch prior under which rows with unusual features are wrong more often."""

import pyro.distributions as dist
import torch
from pyro.distributions import TorchDistribution
from torch import Tensor

from nbam_pyro.errors import DataError
from nbam_pyro.models.latents import Latents
from nbam_pyro.models.likelihoods.component import Component, check_positive
from nbam_pyro.models.priors.pseudo_counts import Beta
from nbam_pyro.models.priors.switch import share_wrong
from nbam_pyro.models.row_groups import group_apart

__all__ = ["LeverageSwitch"]

# Tail probabilities of a Normal row at which the leverage is 0 and 1.
_TAILS = 0.05, 0.001
# Pseudo-counts and largest contamination by default: fewer usual rows are wrong than right.
_RATE, _MOST = (1.0, 2.0), 0.5
# Prior scale of the effect, in logits.
_EFFECT = 4.0
# The median absolute deviation of a Normal distribution with standard deviation 1 is 1 / _NORMAL.
_NORMAL = 1.4826


class LeverageSwitch(Component):
    r"""z ~ Bernoulli(sigmoid(logit pi + gamma l(h))): unusual rows are wrong more often.

    .. math:: \pi / m \sim \mathrm{Beta}(a, b), \qquad \gamma \sim \mathrm{HalfNormal}(4)

    The switch z is 1 if the target of a row is contaminated. The leverage l(h) lies between 0 and
    one. It is 0 for rows among the bulk of the features. It is 1 if the value of a column is so
    many median absolute deviations away from its median that this happens to one Normal row in a
    thousand. If a regression treats all rows alike, such rows have a large influence on the line.
    This prior bounds their influence: the data decide by gamma whether unusual features and wrong
    targets go together.

    Each column is judged alone. With a robust covariance of all columns together, a dense group of
    contaminated rows could count as the bulk. If the features fall into two groups that are clearly
    apart, the rows of the smaller group have a leverage of 1, too: a line that must pass through
    both groups depends mainly on the smaller one.

    The global latents are the sites "contamination" and "leverage_effect". The first is pi, the
    contamination of usual rows, which is their probability of z = 1. The second is gamma.
    `LeverageSwitch.of(h)` computes the medians and deviations from data.

    Args:
        features: Number of columns from which the leverage is computed. These are the first columns
            of h.
        a: Pseudo-count of contaminated targets, positive.
        b: Pseudo-count of clean targets, positive.
        most: Largest contamination m of usual rows, in (0, 1].

    Raises:
        DataError: The number of features, a pseudo-count or `most` is not positive, or
            `most` is above 1.

    Example:
        >>> h = torch.linspace(-1, 1, 50)[:, None]
        >>> switch = LeverageSwitch.of(torch.cat([h, torch.tensor([[30.0]])]))
        >>> latents = {"contamination": torch.tensor(0.1), "leverage_effect": torch.tensor(2.0)}
        >>> switch(torch.tensor([[0.0], [30.0]]), latents).mean
        tensor([0.1000, 0.4509])
    """

    counts: Tensor
    centre: Tensor
    inverse: Tensor
    limits: Tensor
    middle: Tensor
    way: Tensor

    def __init__(self, features: int, *, a: float = 1.0, b: float = 2.0, most: float = 0.5) -> None:
        from scipy.stats import chi2

        super().__init__()
        check_positive("features", features)
        check_positive("a", a)
        check_positive("b", b)
        check_positive("most", most)
        if most > 1:
            raise DataError(f"most is {most}; a contamination is at most 1.")
        self.features = features
        self.a = a
        self.b = b
        self.most = most
        self.register_buffer("counts", torch.tensor([float(a), float(b)]))
        self.register_buffer("centre", torch.zeros(features))
        self.register_buffer("inverse", torch.ones(features))
        self.register_buffer("middle", torch.zeros(features))
        self.register_buffer("way", torch.zeros(features))
        limits = [float(chi2.ppf((1 - tail) ** (1 / features), 1)) for tail in _TAILS]
        self.register_buffer("limits", torch.tensor(limits))

    @classmethod
    def of(cls, h: Tensor, *, rate: Beta | None = None) -> "LeverageSwitch":
        """Return the switch prior for features h, in their precision.

        Args:
            h: Features of the rows, (N, D).
            rate: Pseudo-counts of a Beta prior on the contamination of usual rows, which may then
                be up to one. None means that this contamination is at most one half, and that twice
                the contamination has a Beta(1, 2) prior.
        """
        (a, b), most = (_RATE, _MOST) if rate is None else (rate, 1.0)
        switch = cls(h.shape[1], a=a, b=b, most=most).to(h.dtype)
        apart = group_apart(h)
        if apart is not None:
            switch.middle.copy_(apart.middle)
            switch.way.copy_(apart.way)
            h = h[~apart.rows]
        centre = h.median(0).values
        spread = _NORMAL * (h - centre).abs().median(0).values
        switch.centre.copy_(centre)
        # A column in which most rows are equal, such as an indicator, has no unusual values.
        switch.inverse.copy_(torch.where(spread > 0, 1 / spread, 0.0))
        return switch

    def priors(self) -> dict[str, TorchDistribution]:
        a, b = self.counts
        zero = self.counts.new_zeros(())
        effect = self.counts.new_tensor(_EFFECT)
        return {
            "contamination": dist.AffineBeta(a, b, zero, zero + self.most, validate_args=False),
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
        columns = h[:, : self.features]
        low, high = self.limits
        away = ((columns - self.centre) * self.inverse) ** 2
        alone = (away.amax(-1) - low) / (high - low)
        # From 0 to 1 in the middle third between the centres of both groups.
        together = 0.5 + 3 * ((columns - self.middle) @ self.way)
        grouped = torch.where((self.way != 0).any(), together, torch.zeros_like(together))
        return torch.maximum(alone, grouped).clamp(0, 1)

    def starts_beside(self, residual: Tensor, wrong: Tensor, noise: Tensor) -> list[Latents]:
        share = share_wrong(wrong).clamp_max(0.9 * self.most)
        return [
            {"contamination": share, "leverage_effect": share.new_tensor(effect)}
            for effect in (0.5, _EFFECT)
        ]
