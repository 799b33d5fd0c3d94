"""`LatentSwitch`, the story of the NBAM paper, composed of a switch prior and two likelihoods."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pyro
import pyro.distributions as dist
from pyro.distributions import TorchDistribution
from torch import Tensor, nn

from nbam_pyro import functional as nf
from nbam_pyro.errors import DataError, StoryError, SupportError
from nbam_pyro.models.latents import Latents
from nbam_pyro.models.likelihoods.clean_measurements import LocationScale
from nbam_pyro.models.likelihoods.component import Component
from nbam_pyro.models.priors.coordinates import check_coordinates, split_coordinates
from nbam_pyro.models.priors.groups import check_groups, split_groups
from nbam_pyro.models.stories.closed_story import ClosedStory
from nbam_pyro.models.stories.location import Location
from nbam_pyro.models.stories.recipes import Recipe, Recipes
from nbam_pyro.models.stories.sites import observe_verified
from nbam_pyro.verified import NOTHING, Verified

# A target starts as contaminated if it lies further than this from the mean, in clean scales.
_FAR = 2.5


class Conditionals(NamedTuple):
    """The three conditional distributions of a latent switch, batch shape (N,) or (N, *dims).

    Attributes:
        switch: Distribution of the switch, a Bernoulli.
        clean: Clean likelihood, the distribution of uncontaminated targets.
        anomaly: Anomaly likelihood, the distribution of contaminated targets.
    """

    switch: TorchDistribution
    clean: TorchDistribution
    anomaly: TorchDistribution


class LatentSwitch(ClosedStory):
    r"""A story in which a switch for each target chooses a clean or an anomaly likelihood.

    .. math::
        z_i \sim \mathrm{Bernoulli}(\pi_\phi(x_i)), \qquad
        y_i \mid z_i = 0 \sim p_\theta(y \mid x_i), \qquad
        y_i \mid z_i = 1 \sim q_\psi(y \mid x_i)

    The switch z_i is 1 where the target y_i is contaminated. The *responsibility* is the posterior
    probability of contamination, P(z=1 | x, y). The sites of a row are "switch" and "y". The global
    latents (random numbers that all rows share) are the global latents of its components.

    To change the story, use other components, or components of your own (see `Component`). You can
    also derive a class and override `conditionals`, and `priors` for further global latents.

    The switch means contamination only if the two likelihoods differ by construction, as a narrow
    and a broad Normal do. Two networks that can both learn any label do not differ in this way (see
    `three_heads`).

    Args:
        switch: Switch prior, the distribution of the switch before the target is observed. With a
            `GroupSwitch`, the last column or channel of x is the code of a row's group. With a
            `GaussianProcessSwitch(..., appended=True)`, the last ones are its coordinates.
        clean: Clean likelihood, the distribution of uncontaminated targets.
        anomaly: Anomaly likelihood, the distribution of contaminated targets.
        trunk: Network that maps x to features h, which all three components take; None to use x
            itself as features.
        dims: Names of the dimensions of a target whose elements have a switch each, such as
            ("label",) for multi-label targets (N, L); () for one switch per row.

    Raises:
        StoryError: A shifted anomaly likelihood belongs to another clean likelihood, or two
            components have a global latent of the same name.

    Source: the NBAM paper, arXiv 2606.16524.

    Example:
        >>> import torch
        >>> from nbam_pyro.models import BetaSwitch, BroadNormal, NormalLikelihood
        >>> story = LatentSwitch(
        ...     switch=BetaSwitch(1.0, 9.0),
        ...     clean=NormalLikelihood(nn.Linear(1, 1), scale=1.0),
        ...     anomaly=BroadNormal(0.0, 20.0),
        ... )
        >>> x, y = torch.zeros(2, 1), torch.tensor([0.0, 30.0])
        >>> a, b = story.log_joint(x, y, {"contamination": torch.tensor(0.1)})
        >>> nf.responsibility(a, b) > 0.5
        tensor([False,  True])
    """

    def __init__(
        self,
        *,
        switch: Component,
        clean: Component,
        anomaly: Component,
        trunk: nn.Module | None = None,
        dims: Sequence[str] = (),
    ) -> None:
        super().__init__(dims=dims)
        anomaly.check_beside(clean)
        sites = [site for part in (switch, clean, anomaly) for site in part.priors()]
        twice = {site for site in sites if sites.count(site) > 1}
        if twice:
            raise StoryError(
                f"Two components have a global latent named {twice.pop()!r}, but names must be "
                "unique: give one of the two another name."
            )
        self.switch = switch
        self.clean = clean
        self.anomaly = anomaly
        self.trunk = trunk or nn.Identity()

    @property
    def centre(self) -> float:
        return self.clean.target_centre

    @property
    def location(self) -> Location | None:
        if not isinstance(self.clean, LocationScale):
            return None
        return Location(lambda x: self.features(x)[0], self.clean, self.anomaly)

    def default_steps(self, recipes: Recipes) -> Recipe:
        if self.location is None:
            return super().default_steps(recipes)
        return recipes.measurements(one_sided=self.anomaly.one_sided)

    @property
    def collapse_advice(self) -> str:
        return "For labels use LabelFlip, whose default steps start from anchors."

    def comparable(
        self, x: Tensor, predicted: np.ndarray, y: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        if self.location is None:
            predicted = self.clean.as_classes(predicted)
            if y.ndim == 1 or predicted.ndim > y.ndim or self.clean.priors():
                return predicted, y
            # Elements of a target may have different units.
            units = self.clean(self.features(x)[0], {}).stddev.numpy()
            return predicted / units, y / units
        scale = self.location.scale(x).numpy()
        return predicted / scale, y / scale

    def starts(self, x: Tensor, y: Tensor, *, seed: int) -> Iterator[Latents]:
        h, _ = self.features(x)
        for clean in self.clean.starts(h, y, seed=seed):
            expected = self.clean(h, clean)
            residual = (y - expected.mean).to(h.dtype)
            noise = expected.stddev.mean()
            wrong = residual.abs() > _FAR * noise
            for errors in self.anomaly.starts_beside(residual, wrong, noise):
                for rate in self.switch.starts_beside(residual, wrong, noise):
                    yield {**clean, **errors, **rate}

    def features(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return features h, (N, ...), and what only the switch prior takes, or None.

        The second result has codes of groups, (N,), or coordinates, (N, d). It is None if the
        switch prior takes features.

        Args:
            x: Rows, (N, ...).
        """
        own = None
        if self.switch.groups:
            x, own = split_groups(x)
        elif self.switch.coordinates:
            x, own = split_coordinates(x, self.switch.coordinates)
        return self.trunk(x), own

    def conditionals(self, x: Tensor, latents: Latents) -> Conditionals:
        """Return the three conditional distributions.

        Args:
            x: Rows, (N, ...).
            latents: Values of the global latents by site name.
        """
        h, own = self.features(x)
        return Conditionals(
            switch=self.switch(h if own is None else own, latents),
            clean=self.clean(h, latents),
            anomaly=self.anomaly(h, latents),
        )

    def forward(
        self,
        x: Tensor,
        y: Tensor | None = None,
        *,
        num_data: int | None = None,
        verified: Verified = NOTHING,
    ) -> Tensor:
        latents = self.sample_latents()
        switch, clean, anomaly = self.conditionals(x, latents)
        with self.plates(x, clean.batch_shape, num_data=num_data):
            z = pyro.sample("switch", switch, infer={"enumerate": "parallel"})
            observe_verified("switch", z, verified.contaminated, dtype=switch.logits.dtype)
            mixture = dist.MaskedMixture(z.bool(), clean, anomaly, validate_args=False)
            return pyro.sample("y", mixture, obs=y)

    def priors(self) -> dict[str, TorchDistribution]:
        return {**self.switch.priors(), **self.clean.priors(), **self.anomaly.priors()}

    def log_joint(
        self, x: Tensor, y: Tensor, latents: Latents, *, verified: Verified = NOTHING
    ) -> tuple[Tensor, Tensor]:
        switch, clean, anomaly = self.conditionals(x, latents)
        a, b = nf.switch_log_joint(switch.logits, clean.log_prob(y), anomaly.log_prob(y))
        return nf.observe_switch(a, b, verified.contaminated) if len(verified) else (a, b)

    def switch_logits(self, x: Tensor, latents: Latents) -> Tensor:
        return self.conditionals(x, latents).switch.logits

    def clean_predictor(self, x: Tensor, latents: Latents) -> TorchDistribution:
        return self.conditionals(x, latents).clean

    def outside(self, x: Tensor, y: Tensor, latents: Latents) -> Tensor:
        support = self.conditionals(x, latents).anomaly.support
        return super().outside(x, y, latents) if support is None else ~support.check(y)

    def check_targets(self, x: Tensor, y: Tensor) -> None:
        self.check_rows(x)
        latents = self.prior_means()
        conditionals = self.conditionals(x, latents)
        event = conditionals.clean.event_shape
        if len(conditionals.anomaly.event_shape) != len(event):
            raise StoryError("Wrap both likelihoods in OneSwitch, or none of them.")
        if y.ndim != 1 + len(self.dims) + len(event):
            raise DataError(
                f"Targets have shape {tuple(y.shape)}; expected "
                f"({', '.join(['rows', *self.dims, *map(str, event)])}). For more than one switch "
                "per row, create LatentSwitch(..., dims=(...)) with a name for each further "
                "dimension. For one switch for several elements, wrap both likelihoods in "
                "OneSwitch."
            )
        for name, part in conditionals._asdict().items():
            shape = part.batch_shape if name == "switch" else part.batch_shape + part.event_shape
            wanted = self.per_switch(y).shape if name == "switch" else y.shape
            fits = [a in (1, b) for a, b in zip(shape, wanted, strict=False)]
            if len(shape) != len(wanted) or not all(fits):
                raise StoryError(
                    f"The {name} conditional has shape {tuple(shape)}, and targets have the shape "
                    f"{tuple(wanted)}: give the {name} component a shape= or a head with one entry "
                    "for each element of a target."
                )
        outside = self.outside(x, y, latents)
        if outside.any():
            raise SupportError(
                f"{int(outside.sum())} of {outside.numel()} targets lie outside the support of the "
                f"anomaly likelihood, the first in row {int(outside.nonzero()[0, 0])}: give it a "
                "wider range, or more classes, so that it covers every target."
            )

    def check_rows(self, x: Tensor) -> None:
        if self.switch.groups:
            check_groups(x, self.switch.groups)
        if self.switch.coordinates:
            check_coordinates(x, self.switch.coordinates)

    def check_verified(self, y: Tensor, verified: Verified) -> None:
        if (verified.true_label >= 0).any():
            raise StoryError(
                "A LatentSwitch has no latent true label, so it cannot use verified true labels: "
                "give Verified.of(y, contaminated=...) instead, or fit a LabelFlip."
            )
        verified.check(self.per_switch(y))
