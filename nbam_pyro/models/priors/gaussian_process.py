"""`GaussianProcessSwitch`, a contamination that varies smoothly over time, space or features."""

from typing import final

from pyro.distributions import TorchDistribution
from torch import Tensor

from nbam_pyro.models.inducing import InducingFeatures, Kernel
from nbam_pyro.models.latents import Latents
from nbam_pyro.models.likelihoods.component import Component
from nbam_pyro.models.priors.switch import LinearSwitch

__all__ = ["GaussianProcessSwitch"]


@final
class GaussianProcessSwitch(Component):
    r"""z ~ Bernoulli(sigmoid(a + f(s))), f a Gaussian process: a smooth contamination.

    .. math::
        f(s) = \phi(s) \cdot w, \qquad w_j \sim N(0, \tau), \qquad
        a \sim N(\mathrm{logit}\,\pi_0, s_0)

    The switch z is 1 if the target of a row is contaminated. s are the coordinates of the row, such
    as its time, its place on a map, or an embedding. phi are the `InducingFeatures` of a kernel, so
    that f has the standard deviation tau, the argument `scale`, and changes over the length of the
    kernel. The prior is a `LinearSwitch` of these features, with the sites "intercept" () and
    "slope" (M,), which is w. As the scale goes to 0, all rows have one contamination.

    The coordinates are the features h of the story, or, with `appended`, the last columns of x. In
    the second case the likelihoods and the trunk take x without these columns.

    Use it if contamination varies slowly. For bursts of contaminated rows in a series, whose begin
    and end are sudden, a Gaussian process is too smooth.

    Args:
        features: Features phi of the coordinates.
        contamination: Prior median pi_0 of the contamination where f is 0, between 0 and 1.
        spread: Prior standard deviation s_0 of the intercept, in logits.
        scale: Prior standard deviation tau of f, in logits.
        appended: Whether the coordinates are the last columns, or channels, of x, which no other
            component takes.

    Raises:
        DataError: The contamination is not strictly between 0 and 1, or another number is not
            positive.

    Example:
        >>> import torch
        >>> hours = torch.arange(48.0)[:, None]
        >>> switch = GaussianProcessSwitch.of(hours, points=12, length=8.0, scale=2.0)
        >>> latents = {"intercept": torch.tensor(0.0), "slope": torch.zeros(12)}
        >>> switch(hours[:3], latents).mean
        tensor([0.5000, 0.5000, 0.5000])
    """

    def __init__(
        self,
        features: InducingFeatures,
        *,
        contamination: float = 0.1,
        spread: float = 1.5,
        scale: float = 1.0,
        appended: bool = False,
    ) -> None:
        super().__init__()
        self.features = features
        self.contamination = contamination
        self.spread = spread
        self.scale = scale
        self.appended = appended
        self.coordinates = features.inputs if appended else 0
        self.line = LinearSwitch(
            features.points, contamination=contamination, spread=spread, scale=scale
        )

    @classmethod
    def of(
        cls,
        s: Tensor,
        *,
        points: int = 50,
        kernel: Kernel = "matern-5/2",
        length: float | list[float] | tuple[float, ...] | None = None,
        contamination: float = 0.1,
        spread: float = 1.5,
        scale: float = 1.0,
        appended: bool = False,
        seed: int = 0,
    ) -> "GaussianProcessSwitch":
        """Return the switch prior for coordinates of rows, with inducing points among them.

        Args:
            s: Coordinates of the rows, (N, d).
            points: Largest number M of inducing points.
            kernel: Kernel of the Gaussian process.
            length: Length over which f changes, in the units of the coordinates; None for their
                standard deviation. `compare_priors` tells which length predicts best.
            contamination: Prior median of the contamination, as in the constructor.
            spread: Prior standard deviation of the intercept, in logits.
            scale: Prior standard deviation of f, in logits.
            appended: Whether the coordinates are the last columns of x.
            seed: Seed of the choice of the inducing points.

        Raises:
            DataError: An argument is out of the range of the constructor, or of
                `InducingFeatures.of`.
        """
        features = InducingFeatures.of(s, points=points, kernel=kernel, length=length, seed=seed)
        switch = cls(
            features, contamination=contamination, spread=spread, scale=scale, appended=appended
        )
        return switch.to(features.places)

    def priors(self) -> dict[str, TorchDistribution]:
        return self.line.priors()

    def forward(self, h: Tensor, latents: Latents) -> TorchDistribution:
        return self.line(self.features(h), latents)

    def deviation(self, s: Tensor, latents: Latents) -> Tensor:
        """Return f(s), the deviation of the log odds of contamination at places, (N,), in logits.

        Args:
            s: Coordinates, (N, d).
            latents: Values of the global latents by site name.
        """
        return self.line.deviation(self.features(s), latents)
