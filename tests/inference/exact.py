"""Small stories with several modes, and their exact posteriors on a grid."""

from dataclasses import dataclass

import numpy as np
import pyro.distributions as dist
import torch
from scipy import stats
from scipy.special import expit, logsumexp

from nbam_pyro import LatentSwitch
from nbam_pyro.models import BetaSwitch, Component, FixedSwitch, UniformRange

# Seeds of the data below are such that both modes have an exact probability between 0.3 and 0.75.
# Range of contaminated targets in all stories.
LOW, HIGH = -20.0, 20.0


class Slope(Component):
    """A line through the origin with a known noise of 0.5."""

    def priors(self):
        return {"slope": dist.Normal(0.0, 3.0)}

    def forward(self, h, latents):
        return dist.Normal(latents["slope"] * h[:, 0], 0.5)


class Middle(Component):
    """A mean and a standard deviation, without columns."""

    def priors(self):
        return {"middle": dist.Normal(0.0, 5.0), "width": dist.LogNormal(-0.5, 0.2)}

    def forward(self, h, latents):
        return dist.Normal(latents["middle"] + 0 * h[:, 0], latents["width"])


class Line(Component):
    """A line with a known noise of 0.4."""

    def priors(self):
        return {"slope": dist.Normal(0.0, 3.0), "bias": dist.Normal(0.0, 3.0)}

    def forward(self, h, latents):
        return dist.Normal(latents["bias"] + latents["slope"] * h[:, 0], 0.4)


@dataclass(frozen=True, eq=False)
class Case:
    """A story, its data, and its exact posterior on a grid.

    Attributes:
        story: Story of the data.
        x: Rows, (N, 1).
        y: Targets, (N,).
        site: Global latent whose sign relative to `between` tells the two modes apart.
        between: Value of this latent between the modes.
        above: Exact probability that the latent is above `between`.
        responsibility: Exact responsibilities, (N,).
    """

    story: LatentSwitch
    x: np.ndarray
    y: np.ndarray
    site: str
    between: float
    above: float
    responsibility: np.ndarray


def two_slopes():
    """Eleven rows on one line through the origin, and ten on another."""
    rng = np.random.default_rng(2)
    x = np.concatenate([np.linspace(0.5, 3, 11), np.linspace(0.5, 3, 10)])
    y = np.where(np.arange(21) < 11, 2 * x, -2 * x) + 0.5 * rng.normal(size=21)
    slope, logit = grid((-3, 3), (-6, 6))
    rate = expit(logit)
    prior = (
        stats.norm.logpdf(slope, 0, 3) + stats.beta.logpdf(rate, 2, 2) + np.log(rate * (1 - rate))
    )
    clean = stats.norm.logpdf(y, slope[:, None] * x, 0.5)
    story = LatentSwitch(
        switch=BetaSwitch(2.0, 2.0), clean=Slope(), anomaly=UniformRange(LOW, HIGH)
    )
    return case_of(story, x, y, "slope", 0.0, slope, prior, clean, rate)


def two_means():
    """Nine targets around 0, and nine around 4 that are more dispersed."""
    rng = np.random.default_rng(1)
    y = np.concatenate([0.5 * rng.normal(size=9), 4 + 0.6 * rng.normal(size=9)])
    middle, log_width = grid((-2, 6), (-1.7, 1.0))
    prior = stats.norm.logpdf(middle, 0, 5) + stats.norm.logpdf(log_width, -0.5, 0.2)
    clean = stats.norm.logpdf(y, middle[:, None], np.exp(log_width)[:, None])
    story = LatentSwitch(switch=FixedSwitch(0.4), clean=Middle(), anomaly=UniformRange(LOW, HIGH))
    return case_of(story, 0 * y, y, "middle", 2.0, middle, prior, clean, np.full(len(prior), 0.4))


def two_lines():
    """Ten rows on a rising line, ten on a falling one, with different intercepts."""
    rng = np.random.default_rng(4)
    x = np.tile(np.linspace(-2, 2, 10), 2)
    y = np.where(np.arange(20) < 10, 1 + x, -1 - x) + 0.4 * rng.normal(size=20)
    slope, bias = grid((-3, 3), (-3, 3))
    prior = stats.norm.logpdf(slope, 0, 3) + stats.norm.logpdf(bias, 0, 3)
    clean = stats.norm.logpdf(y, bias[:, None] + slope[:, None] * x, 0.4)
    story = LatentSwitch(switch=FixedSwitch(0.45), clean=Line(), anomaly=UniformRange(LOW, HIGH))
    return case_of(story, x, y, "slope", 0.0, slope, prior, clean, np.full(len(prior), 0.45))


def grid(first, second):
    """Return all pairs of 200 values each between given ends, two arrays."""
    pairs = np.meshgrid(np.linspace(*first, 200), np.linspace(*second, 200), indexing="ij")
    return pairs[0].ravel(), pairs[1].ravel()


# Log density of contaminated targets in that range.
_LOG_WRONG = -np.log(HIGH - LOW)


def case_of(story, x, y, site, between, values, prior, clean, rate, *, log_wrong=_LOG_WRONG):
    rate = np.broadcast_to(rate, values.shape)
    right = np.log1p(-rate)[:, None] + clean
    wrong = np.log(rate)[:, None] + log_wrong
    both = np.logaddexp(right, wrong)
    posterior = prior + both.sum(1)
    weights = np.exp(posterior - logsumexp(posterior))
    return Case(
        story=story,
        x=x[:, None].astype(np.float32),
        y=y.astype(np.float32) if y.dtype.kind == "f" else y,
        site=site,
        between=between,
        above=float(weights[values > between].sum()),
        responsibility=weights @ np.exp(wrong - both),
    )


def conjugate():
    """Return a story whose targets are Normal around an unknown mean, and its data."""
    story = LatentSwitch(switch=FixedSwitch(1e-9), clean=Unknown(), anomaly=UniformRange(LOW, HIGH))
    y = torch.tensor([1.2, 0.4, 2.1, 0.9, 1.7])
    return story, torch.zeros(5, 1), y


class Unknown(Component):
    """An unknown mean with a Normal(0, 2) prior, and a known noise of 1."""

    def priors(self):
        return {"middle": dist.Normal(0.0, 2.0)}

    def forward(self, h, latents):
        return dist.Normal(latents["middle"] + 0 * h[:, 0], 1.0)
