"""`FeatureErrors`, a story in which the target or the features of a row may be wrong."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, final

import pyro
import pyro.distributions as dist
import torch
from pyro.distributions import TorchDistribution
from torch import Tensor, nn

from nbam_pyro import functional as nf
from nbam_pyro.errors import DataError
from nbam_pyro.models.latents import Latents
from nbam_pyro.models.likelihoods.centred import centred
from nbam_pyro.models.likelihoods.component import Component, check_positive
from nbam_pyro.models.likelihoods.linear import LinearLikelihood
from nbam_pyro.models.priors.switch import share_wrong
from nbam_pyro.models.stories.closed_story import ClosedStory
from nbam_pyro.models.stories.feature_density import RIGHT_DF, FeatureDensity
from nbam_pyro.models.stories.sites import observe_verified
from nbam_pyro.verified import NOTHING, Verified

__all__ = ["FeatureErrors"]

# A target starts as contaminated if it lies further than this from the line, in clean scales.
_FAR = 2.5
# Most columns: a density of many columns decides by the columns and not by the target.
_MOST = 8


class _Parts(NamedTuple):
    """What the program needs about the rows of a batch.

    Attributes:
        kinds: Log probability of each kind and of the features, (N, 3).
        clean: Distribution of right targets.
        anomaly: Distribution of wrong targets beside right features.
        alone: Distribution of right targets beside wrong features, which say nothing about them.
    """

    kinds: Tensor
    clean: TorchDistribution
    anomaly: TorchDistribution
    alone: TorchDistribution


@final
class FeatureErrors(ClosedStory):
    r"""A story for a line in which either the target or the features of a row may be wrong.

    .. math::
        P(k_i = 0, 1, 2) &= 1 - \pi, \; \pi (1 - \rho), \; \pi \rho \\
        h_i \mid k_i < 2 &\sim \mathrm{StudentT}_3(c, \Sigma), &
        h_i \mid k_i = 2 &\sim \mathrm{StudentT}_1(c_0, (B s_0)^2 I) \\
        y_i \mid k_i = 0 &\sim p(y \mid h_i), &
        y_i \mid k_i = 1 &\sim q(y \mid h_i) \\
        y_i \mid k_i = 2 &\sim \mathrm{StudentT}_3(b + w \cdot c,
        \sqrt{w^\top \Sigma w + \sigma^2})

    The kind k_i of a row is 0 if it is right, 1 if its target is wrong, and 2 if its features are
    wrong. The row is contaminated (z = 1) if k_i > 0. A *bad leverage point* is a row with wrong
    features far from the others: it can pull a line through itself, so that its residual is small
    and a model of targets alone does not see it. Here the features have a density, too. A row far
    from the others that lies on the line (a *good leverage point*) has a large p(y | h), which the
    broad density of wrong rows has not, and stays clean.

    If the features are wrong, the target is right, but its own features are unknown. Its density
    is that of the targets of all clean rows, the last line above.

    In `forward`, the density of the features p(h) is a factor, and the kind is drawn from
    P(k | h). This is the same joint distribution, and targets that are drawn for given rows have
    the right distribution. The prior P(z=1 | x) of a row depends on its features.

    The log marginal of a row is log p(h, y), and not log p(y | h) as in other stories. Do not
    compare its held-out density with theirs.

    The global latents are those of both likelihoods, and the sites "contamination" (pi),
    "feature_share" (rho), "centre" (c), "spread" and "mixing". Sigma = (S U)(S U)', where S is
    diagonal with the spreads, and U is lower triangular with a diagonal of 1 and the numbers
    "mixing" below it.

    `errors_in_features(x, y)` makes this story from data. Use it for a few columns of measurements
    that are distributed like a cloud. It is not for indicators of categories.

    Args:
        clean: Linear clean likelihood p(y | h).
        anomaly: Anomaly likelihood q(y | h).
        middle: Robust centre c_0 of each column of h, such as its median, D numbers.
        unit: Robust scale s_0 of each column, D positive numbers.
        a: Pseudo-count of contaminated rows, positive.
        b: Pseudo-count of clean rows, positive.
        breadth: Scale B of wrong features, in units of the scale of the columns.
        trunk: Network without trainable numbers that maps x to h, such as a `Standardise`; None to
            use x itself.

    Raises:
        DataError: There are more than 8 columns or none, a number is not positive, or the columns
            of the arguments and of the clean likelihood differ.
        StoryError: The anomaly likelihood belongs to another clean likelihood.

    Source: The three kinds are those of Rousseeuw & van Zomeren (1990): vertical outliers and bad
    leverage points, beside good leverage points, which are clean.

    Example:
        >>> from nbam_pyro.models import BroadNormal, LinearNormal
        >>> clean = LinearNormal(1)
        >>> story = FeatureErrors(clean, BroadNormal(0.0, 9.0), middle=[0.0], unit=[1.0])
        >>> latents = story.prior_means() | {"weight": torch.tensor([2.0]), "bias": torch.zeros(())}
        >>> x, y = torch.tensor([[0.5], [9.0], [9.0]]), torch.tensor([1.0, 18.0, 0.5])
        >>> story.kind_posterior(x, y, latents | {"noise": torch.tensor(0.5)}).argmax(1)
        tensor([0, 0, 2])
    """

    zero: Tensor

    def __init__(
        self,
        clean: LinearLikelihood,
        anomaly: Component,
        *,
        middle: Sequence[float],
        unit: Sequence[float],
        a: float = 1.0,
        b: float = 4.0,
        breadth: float = 5.0,
        trunk: nn.Module | None = None,
    ) -> None:
        super().__init__()
        anomaly.check_beside(clean)
        _check_columns(clean, middle, unit)
        for name, value in {"a": a, "b": b, "breadth": breadth}.items():
            check_positive(name, value)
        self.clean = clean
        self.anomaly = anomaly
        self.middle = list(middle)
        self.unit = list(unit)
        self.a = a
        self.b = b
        self.breadth = breadth
        self.density = FeatureDensity(middle=self.middle, unit=self.unit, breadth=breadth)
        self.trunk = trunk or nn.Identity()
        self.register_buffer("zero", torch.zeros(()))

    @property
    def centre(self) -> float:
        return self.clean.target_centre

    @property
    def columns(self) -> int:
        """Number D of columns of h."""
        return self.density.columns

    def priors(self) -> dict[str, TorchDistribution]:
        zero = self.zero
        return {
            "contamination": dist.Beta(zero + self.a, zero + self.b, validate_args=False),
            "feature_share": dist.Beta(zero + 1, zero + 1, validate_args=False),
            **self.density.priors(zero),
            **self.clean.priors(),
            **self.anomaly.priors(),
        }

    def forward(
        self,
        x: Tensor,
        y: Tensor | None = None,
        *,
        num_data: int | None = None,
        verified: Verified = NOTHING,
    ) -> Tensor:
        parts = self._parts(x, self.sample_latents())
        with self.plates(x, x.shape[:1], num_data=num_data):
            pyro.factor("features", parts.kinds.logsumexp(-1))
            kinds = dist.Categorical(logits=parts.kinds)
            k = pyro.sample("kind", kinds, infer={"enumerate": "parallel"})
            observe_verified("kind", k > 0, verified.contaminated, dtype=parts.kinds.dtype)
            wrong = dist.MaskedMixture(k == 2, parts.anomaly, parts.alone, validate_args=False)
            mixture = dist.MaskedMixture(k > 0, parts.clean, wrong, validate_args=False)
            return pyro.sample("y", mixture, obs=y)

    def contaminated(self, states: Mapping[str, Tensor]) -> Tensor:
        return states["kind"] > 0

    def log_joint(
        self, x: Tensor, y: Tensor, latents: Latents, *, verified: Verified = NOTHING
    ) -> tuple[Tensor, Tensor]:
        each = self._kind_log_joint(x, y, latents)
        a, b = each[:, 0], each[:, 1:].logsumexp(-1)
        return nf.observe_switch(a, b, verified.contaminated) if len(verified) else (a, b)

    def kind_posterior(self, x: Tensor, y: Tensor, latents: Latents) -> Tensor:
        """Return P(k | x, y): right, target wrong, features wrong, (N, 3).

        Args:
            x: Rows, (N, ...).
            y: Observed targets, (N,).
            latents: Values of the global latents by site name.
        """
        return self._kind_log_joint(x, y, latents).softmax(-1)

    def switch_logits(self, x: Tensor, latents: Latents) -> Tensor:
        kinds = self._parts(x, latents).kinds
        return kinds[:, 1:].logsumexp(-1) - kinds[:, 0]

    def clean_predictor(self, x: Tensor, latents: Latents) -> TorchDistribution:
        return self.clean(self.trunk(x), latents)

    def starts(self, x: Tensor, y: Tensor, *, seed: int) -> Iterator[Latents]:
        h = self.trunk(x)
        shape = {name: prior.mean for name, prior in self.priors().items()}
        rows: dict[str, Tensor] = {"centre": h.new_tensor(self.middle)}
        rows |= {name: shape[name].to(h) for name in ("spread", "mixing") if name in shape}
        for clean in self.clean.starts(h, y, seed=seed):
            expected = self.clean(h, clean)
            residual = (y - expected.mean).to(h.dtype)
            noise = expected.stddev.mean()
            wrong = residual.abs() > _FAR * noise
            share = {"contamination": share_wrong(wrong), "feature_share": h.new_tensor(0.5)}
            for errors in self.anomaly.starts_beside(residual, wrong, noise):
                yield {**clean, **errors, **share, **rows}

    def check_rows(self, x: Tensor) -> None:
        if x.ndim != 2 or self.trunk(x[:1]).shape[-1] != self.columns:
            raise DataError(
                f"x has shape {tuple(x.shape)}; the story needs tables whose features have "
                f"{self.columns} columns."
            )

    def check_targets(self, x: Tensor, y: Tensor) -> None:
        self.check_rows(x)
        if y.ndim != 1:
            raise DataError(f"Targets have shape {tuple(y.shape)}; expected one number per row.")

    def _kind_log_joint(self, x: Tensor, y: Tensor, latents: Latents) -> Tensor:
        """Return log p(k, h, y), (N, 3)."""
        parts = self._parts(x, latents)
        each = (parts.clean, parts.anomaly, parts.alone)
        return parts.kinds + torch.stack([part.log_prob(y) for part in each], -1)

    def _parts(self, x: Tensor, latents: Latents) -> _Parts:
        h = self.trunk(x)
        usual, broad = self.density.log_probs(h, latents)
        wrong, share = latents["contamination"].logit(), latents["feature_share"].logit()
        right = nn.functional.logsigmoid(-wrong) + usual
        target = nn.functional.logsigmoid(wrong) + nn.functional.logsigmoid(-share) + usual
        features = nn.functional.logsigmoid(wrong) + nn.functional.logsigmoid(share) + broad
        return _Parts(
            kinds=torch.stack([right, target, features], -1),
            clean=self.clean(h, latents),
            anomaly=self.anomaly(h, latents),
            alone=self._alone(h, latents),
        )

    def _alone(self, h: Tensor, latents: Latents) -> TorchDistribution:
        """Return the distribution of the targets of clean rows with unknown features."""
        middle = latents["centre"].expand(len(h), -1)
        noise = self.clean.deviation(middle, latents)
        along = (latents["weight"] @ self.density.root(latents)).norm()
        scale = torch.hypot(along, noise).expand(len(h))
        location = middle @ latents["weight"] + latents["bias"]
        df = torch.full_like(location, RIGHT_DF, requires_grad=False)
        return centred(
            dist.StudentT(df, location, scale, validate_args=False), self.clean.target_centre
        )


def _check_columns(clean: LinearLikelihood, middle: Sequence[float], unit: Sequence[float]) -> None:
    if not 1 <= len(unit) <= _MOST:
        raise DataError(
            f"There are {len(unit)} columns; the story takes 1 to {_MOST}. With more columns, use "
            "linear_regression, whose LeverageSwitch needs no density of the features."
        )
    if not len(middle) == len(unit) == clean.features:
        raise DataError(
            f"There are {len(middle)} centres and {len(unit)} scales for a clean likelihood of "
            f"{clean.features} columns. Give one of each for every column."
        )
    for one in unit:
        check_positive("unit", one)
