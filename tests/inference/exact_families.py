"""More small stories with two modes: other families of clean targets, with exact posteriors."""

import numpy as np
import pyro.distributions as dist
import torch
from scipy import stats
from scipy.special import log_softmax

from nbam_pyro import LatentSwitch
from nbam_pyro.models import BetaSwitch, Component, FixedSwitch, UniformLabels, UniformRange
from tests.inference.exact import HIGH, LOW, case_of, grid

# Seeds and numbers of rows are such that both modes have a probability between 0.3 and 0.75.
RATE = 0.4


class Around(Component):
    """A family of distributions around an unknown location, with a known scale."""

    def __init__(self, family, scale):
        super().__init__()
        self.family = family
        self.scale = scale

    def priors(self):
        return {"middle": dist.Normal(0.0, 5.0)}

    def forward(self, h, latents):
        return self.family(latents["middle"] + 0 * h[:, 0], self.scale)


class NoisySlope(Component):
    """A line through the origin with an unknown noise."""

    def priors(self):
        return {"slope": dist.Normal(0.0, 3.0), "noise": dist.LogNormal(-0.7, 0.3)}

    def forward(self, h, latents):
        return dist.Normal(latents["slope"] * h[:, 0], latents["noise"])


class Counts(Component):
    """Counts around an unknown mean."""

    def priors(self):
        return {"log_mean": dist.Normal(2.0, 1.5)}

    def forward(self, h, latents):
        return dist.Poisson((latents["log_mean"] + 0 * h[:, 0]).exp())


class Waiting(Component):
    """Waiting times in proportion to a column, with an unknown time for each unit."""

    def priors(self):
        return {"log_unit": dist.Normal(0.0, 1.5)}

    def forward(self, h, latents):
        return dist.Gamma(20.0, 20.0 / (latents["log_unit"].exp() * h[:, 0]))


class Balance(Component):
    """One of ten labels, the first or the last of which is frequent."""

    def priors(self):
        return {"balance": dist.Normal(0.6, 3.0)}

    def forward(self, h, latents):
        signs = torch.tensor([1.0, *8 * [0.0], -1.0]).to(h)
        return dist.Categorical(logits=(latents["balance"] * signs).expand(len(h), 10))


def laplace_means():
    """Targets around 0 and around 5, with the tails of a Laplace distribution."""
    rng = np.random.default_rng(2)
    y = np.r_[rng.laplace(0, 0.5, 10), rng.laplace(5, 0.5, 10)]
    return _means(dist.Laplace, 0.5, y, stats.laplace.logpdf)


def student_means():
    """Targets around -3 and around 3, with the tails of a Student-t distribution."""
    rng = np.random.default_rng(0)
    y = np.r_[-3 + 0.5 * rng.standard_t(4, 9), 3 + 0.5 * rng.standard_t(4, 9)]
    return _means(_StudentT, 0.5, y, lambda y, m, s: stats.t.logpdf(y, 4, m, s))


def unknown_share():
    """Normal targets around 0 and around 4, and an unknown contamination."""
    rng = np.random.default_rng(0)
    y = np.r_[0.5 * rng.normal(size=8), 4 + 0.5 * rng.normal(size=8)]
    middle, logit = grid((-2, 6), (-5, 5))
    rate = 1 / (1 + np.exp(-logit))
    prior = stats.norm.logpdf(middle, 0, 5) + stats.beta.logpdf(rate, 3, 3)
    prior += np.log(rate * (1 - rate))
    clean = stats.norm.logpdf(y, middle[:, None], 0.5)
    story = LatentSwitch(
        switch=BetaSwitch(3.0, 3.0), clean=Around(dist.Normal, 0.5), anomaly=UniformRange(LOW, HIGH)
    )
    return case_of(story, 0 * y, y, "middle", 2.0, middle, prior, clean, rate)


def noisy_slopes():
    """Two lines through the origin, with an unknown noise."""
    rng = np.random.default_rng(0)
    x = np.tile(np.linspace(0.5, 3, 10), 2)
    y = np.where(np.arange(20) < 10, x, -x) + 0.4 * rng.normal(size=20)
    slope, log_noise = grid((-2, 2), (-1.8, 0.6))
    prior = stats.norm.logpdf(slope, 0, 3) + stats.norm.logpdf(log_noise, -0.7, 0.3)
    clean = stats.norm.logpdf(y, slope[:, None] * x, np.exp(log_noise)[:, None])
    story = LatentSwitch(
        switch=FixedSwitch(RATE), clean=NoisySlope(), anomaly=UniformRange(LOW, HIGH)
    )
    return case_of(story, x, y, "slope", 0.0, slope, prior, clean, RATE)


def counts():
    """Counts around 4 and around 25."""
    rng = np.random.default_rng(2)
    y = np.r_[rng.poisson(4, 9), rng.poisson(25, 14)].astype(float)
    log_mean = np.linspace(0.5, 4, 4000)
    prior = stats.norm.logpdf(log_mean, 2, 1.5)
    clean = stats.poisson.logpmf(y, np.exp(log_mean)[:, None])
    story = LatentSwitch(
        switch=FixedSwitch(RATE), clean=Counts(), anomaly=UniformRange(-1.0, 2 * HIGH - 1)
    )
    return case_of(story, 0 * y, y, "log_mean", 2.3, log_mean, prior, clean, RATE)


def waiting_times():
    """Waiting times of about half a minute for each person, and of about three."""
    rng = np.random.default_rng(0)
    x = np.r_[np.linspace(1, 4, 9), np.linspace(1, 4, 15)]
    unit = np.r_[np.full(9, 0.5), np.full(15, 3.0)]
    y = rng.gamma(20, unit * x / 20)
    log_unit = np.linspace(-2, 2.5, 4000)
    prior = stats.norm.logpdf(log_unit, 0, 1.5)
    clean = stats.gamma.logpdf(y, 20, scale=np.exp(log_unit)[:, None] * x / 20)
    story = LatentSwitch(
        switch=FixedSwitch(RATE), clean=Waiting(), anomaly=UniformRange(0.0, HIGH - LOW)
    )
    return case_of(story, x, y, "log_unit", 0.2, log_unit, prior, clean, RATE)


def labels():
    """Labels of which as many are the first class as the last one."""
    y = np.repeat([0, 4, 9], [11, 2, 11])
    balance = np.linspace(-12, 12, 4000)
    prior = stats.norm.logpdf(balance, 0.6, 3)
    signs = np.array([1, *8 * [0], -1])
    clean = log_softmax(balance[:, None] * signs, axis=1)[:, y]
    story = LatentSwitch(switch=FixedSwitch(RATE), clean=Balance(), anomaly=UniformLabels(10))
    return case_of(
        story, 0.0 * y, y, "balance", 0.0, balance, prior, clean, RATE, log_wrong=-np.log(10)
    )


class _StudentT(dist.StudentT):
    """A Student-t distribution with four degrees of freedom."""

    def __init__(self, loc, scale):
        super().__init__(torch.full_like(loc, 4.0), loc, scale, validate_args=False)


def _means(family, scale, y, log_density):
    middle = np.linspace(-8, 8, 4000)
    prior = stats.norm.logpdf(middle, 0, 5)
    clean = log_density(y, middle[:, None], scale)
    story = LatentSwitch(
        switch=FixedSwitch(RATE), clean=Around(family, scale), anomaly=UniformRange(LOW, HIGH)
    )
    return case_of(story, 0 * y, y, "middle", float(np.median(y)), middle, prior, clean, RATE)


FAMILIES = [
    laplace_means,
    student_means,
    unknown_share,
    noisy_slopes,
    counts,
    waiting_times,
    labels,
]
"""Functions that return a case each."""
