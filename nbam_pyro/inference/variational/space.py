"""`Space`: the global latents of a story as one vector of free numbers, and its log posterior."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from nbam_pyro import functional as nf
from nbam_pyro.inference.variational.enumeration import log_joint
from nbam_pyro.inference.variational.guides import Draw, global_sites, make_guide, normal_sites
from nbam_pyro.models import Story
from nbam_pyro.training.rows import Batch
from nbam_pyro.verified import Verified

# Points x targets that are in memory at once.
_ENTRIES = 2_000_000
# Draws from the prior that the units of the free coordinates are computed from.
_PRIOR_DRAWS = 40
# Parts of the messages of torch for functions that it cannot run under vmap.
_WITHOUT_VMAP = ("data-dependent control flow", "dynamic shape")
# Rows by which points are compared.
_COMPARED = 500


@dataclass(frozen=True)
class _Site:
    """One global latent.

    Attributes:
        name: Name of the site.
        transform: Map from the unconstrained scale (all real numbers) to the values of the site.
        middle: Value on the unconstrained scale at which the free coordinate is 0, (*site,).
        unit: Length of one unit of the free coordinate on the unconstrained scale, (*site,).
    """

    name: str
    transform: Any
    middle: Tensor
    unit: Tensor


@dataclass(frozen=True)
class Space:
    """Free coordinates of the global latents: a vector of D real numbers without constraints.

    A rate in (0, 1), for example, has a linear function of its logit as free coordinate, and a
    positive scale has a linear function of its logarithm. Under the prior the coordinates have a
    median of about 0 and a scatter of about 1, whatever the units of the latents.

    Attributes:
        sites: The global latents in order.
    """

    sites: tuple[_Site, ...]

    @classmethod
    def of(cls, story: Story, x: Tensor, y: Tensor) -> "Space":
        """Return the free coordinates of a story.

        Args:
            story: Story of any kind.
            x: A few rows to run the story once, (N, ...).
            y: Targets of these rows, (N, *dims).
        """
        guide: Any = make_guide(story, x, y)
        with torch.random.fork_rng([]), torch.no_grad():
            torch.manual_seed(0)
            drawn = [prior_draw(story, x, y) for _ in range(_PRIOR_DRAWS)]
        sites = []
        for name, _, transform in normal_sites(guide):
            every = torch.stack([transform.inv(one[name].double()) for one in drawn])
            middle = every.median(0).values
            unit = (every - middle).abs().mean(0)
            usable = unit.isfinite() & (unit > 0) & middle.isfinite()
            middle = torch.where(usable, middle, torch.zeros_like(middle))
            unit = torch.where(usable, unit, torch.ones_like(unit))
            sites.append(_Site(name, transform, middle, unit))
        return cls(tuple(sites))

    @property
    def size(self) -> int:
        """Number of free coordinates, D."""
        return sum(site.unit.numel() for site in self.sites)

    def constrain(self, free: Tensor) -> tuple[Draw, Tensor]:
        """Return values of the latents, (..., *site), and the log Jacobian determinant, (...).

        Args:
            free: Free coordinates, (..., D).
        """
        draw: Draw = {}
        batch = free.shape[:-1]
        log_det = torch.zeros(batch, dtype=free.dtype)
        parts = free.split([site.unit.numel() for site in self.sites], -1)
        for site, part in zip(self.sites, parts, strict=True):
            unconstrained = site.middle + site.unit * part.reshape((*batch, *site.unit.shape))
            value = site.transform(unconstrained)
            jacobian = site.transform.log_abs_det_jacobian(unconstrained, value)
            extra = tuple(range(len(batch), jacobian.ndim))
            log_det = log_det + (jacobian.sum(extra) if extra else jacobian)
            log_det = log_det + site.unit.log().sum()
            draw[site.name] = value
        return draw, log_det

    def free(self, draws: Draw) -> Tensor:
        """Return the free coordinates of draws of the latents, (S, D) float64.

        Args:
            draws: Values of the latents by site name, (S, *site).
        """
        parts = [
            (site.transform.inv(draws[site.name].double()) - site.middle) / site.unit
            for site in self.sites
        ]
        return torch.cat([part.flatten(1) if part.ndim > 1 else part[:, None] for part in parts], 1)


class LogPosterior:
    """The log posterior density of the global latents in free coordinates, up to a constant.

    It is computed in double precision, on a copy of the story.

    Args:
        story: Story whose networks, if it has any, do not change.
        space: Free coordinates of its global latents.
        rows: All rows of the data.
    """

    def __init__(self, story: Story, space: Space, rows: Batch) -> None:
        self.story = copy.deepcopy(story).double().eval().requires_grad_(False)
        self.space = space
        x = rows.x.double() if rows.x.is_floating_point() else rows.x
        y = rows.y.double() if rows.y.is_floating_point() else rows.y
        self.rows = rows._replace(x=x, y=y, weights=rows.weights.double())

    def thinned(self, rows: int, *, seed: int) -> "LogPosterior":
        """Return an approximation of the density from a random part of the rows.

        The rows have more weight, so that the density is about as narrow as with all rows.

        Args:
            rows: Number of rows to use. With no more rows than that, the density is exact.
            seed: Seed of the choice of the rows.
        """
        count = len(self.rows.y)
        if count <= rows:
            return self
        chosen = torch.randperm(count, generator=torch.Generator().manual_seed(seed))[:rows]
        x, y, weights, verified = self.rows
        part = Batch(x[chosen], y[chosen], weights[chosen] * (count / rows), verified[chosen])
        return LogPosterior(self.story, self.space, part)

    def __call__(self, free: Tensor) -> Tensor:
        """Return the log density at some points, (S,). It is -inf where it is not a number.

        Args:
            free: Free coordinates, (S, D).
        """
        usable = free.isfinite().all(-1)
        values = self._over(self._at, torch.where(usable[:, None], free, 0.0))
        return torch.where(usable & values.isfinite(), values, -torch.inf)

    def log_marginals(self, free: Tensor) -> Tensor:
        """Return log p(y | x, latents) of the first rows at some points, (S, n).

        Args:
            free: Free coordinates, (S, D).
        """
        with torch.no_grad():
            return self._over(self._marginals, free)

    def responsibilities(self, free: Tensor) -> Tensor:
        """Return P(z=1 | x, y) of every row at some points, (S, N, *dims).

        Args:
            free: Free coordinates, (S, D).
        """
        with torch.no_grad():
            return self._over(self._responsibility, free)

    def clean_means(self, free: Tensor, *, most: int) -> Tensor:
        """Return the clean means of some rows at some points, (S, n, ...).

        Args:
            free: Free coordinates, (S, D).
            most: Largest number of rows. With more, these are evenly spaced.
        """
        x = self.rows.x[:: -(-len(self.rows.y) // most)]

        def means(one: Tensor) -> Tensor:
            return self.story.clean_predictor(x, self.space.constrain(one)[0]).mean

        with torch.no_grad():
            return self._over(means, free)

    def with_switches(self, contaminated: Tensor) -> "LogPosterior":
        """Return the density if all switches were known.

        Args:
            contaminated: Whether each target is contaminated, booleans (N, *dims).
        """
        verified = Verified.of(contaminated.long(), contaminated=contaminated)
        return LogPosterior(self.story, self.space, self.rows._replace(verified=verified))

    def _responsibility(self, free: Tensor) -> Tensor:
        draw, _ = self.space.constrain(free)
        x, y, _, verified = self.rows
        return nf.responsibility(*log_joint(self.story, x, y, draw, verified=verified))

    def _over(self, function: Callable[[Tensor], Tensor], free: Tensor) -> Tensor:
        """Evaluate a function of one point at all points, in parts of limited size."""
        size = max(1, _ENTRIES // self.rows.y.numel())
        return torch.cat([self._part(function, part) for part in free.split(size)])

    def _part(self, function: Callable[[Tensor], Tensor], free: Tensor) -> Tensor:
        if self.story.closed_form is not None:
            try:
                return torch.vmap(function)(free)
            except RuntimeError as error:
                # Argument checks of a user's own distribution may not work under vmap, and the mean
                # of torch's Student-t distribution does not.
                if not any(reason in str(error) for reason in _WITHOUT_VMAP):
                    raise
        return torch.stack([function(one) for one in free])

    def _marginals(self, free: Tensor) -> Tensor:
        draw, _ = self.space.constrain(free)
        x, y, _, verified = self.rows
        few = slice(0, _COMPARED)
        pair = log_joint(self.story, x[few], y[few], draw, verified=verified[few])
        return nf.log_marginal(*pair).flatten()

    def _at(self, free: Tensor) -> Tensor:
        draw, log_det = self.space.constrain(free)
        x, y, weights, verified = self.rows
        pair = log_joint(self.story, x, y, draw, verified=verified)
        # As nf.log_marginal, but the second derivatives of logaddexp overflow for far values.
        marginal = torch.stack(pair).logsumexp(0)
        total = (weights * marginal.reshape(len(marginal), -1).sum(-1)).sum()
        return total + self._log_prior(draw, x, y) + log_det

    def _log_prior(self, draw: Draw, x: Tensor, y: Tensor) -> Tensor:
        if (closed := self.story.closed_form) is not None:
            terms = [prior.log_prob(draw[n]).sum() for n, prior in closed.priors().items()]
        else:
            sites = global_sites(self.story, x[:2], y[:2], draw)
            terms = [site["log_prob_sum"] for site in sites.values()]
        return torch.stack([torch.as_tensor(term) for term in terms]).sum()


def prior_draw(story: Story, x: Tensor, y: Tensor) -> Draw:
    """Draw the global latents from their prior.

    Args:
        story: Story of any kind.
        x: A few rows to run the story once, (N, ...).
        y: Targets of these rows, (N, *dims).
    """
    if (closed := story.closed_form) is not None:
        return {name: prior.sample() for name, prior in closed.priors().items()}
    sites: dict[str, Any] = global_sites(story, x, y, {})
    return {name: site["value"] for name, site in sites.items()}
