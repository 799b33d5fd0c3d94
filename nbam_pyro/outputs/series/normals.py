"""Normal likelihoods of clean and of contaminated measurements of series, with unknown parameters.

The posterior of all parameters is approximated by a Student-t distribution around its mode, and
corrected by importance weights, which use the exact log density of the series.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.special import logsumexp
from scipy.stats import multivariate_t
from torch import Tensor

from nbam_pyro import functional as nf
from nbam_pyro.models.priors.chains import MarkovSwitch
from nbam_pyro.outputs.series.passes import log_density
from nbam_pyro.outputs.series.rows import SeriesRows

__all__ = ["NormalDraws", "joined_draws", "normal_densities", "normal_draws"]

# Prior means and standard deviations of the clean mean, the log of the clean scale, the shift and
# the log ratio of the scales, in robustly standardised units.
_MEANS = (0.0, -0.3, 0.0, 0.3)
_SPREADS = (1.0, 0.7, 3.0, 0.7)
# Starts: shifts and log ratios of the scales.
_STARTS = ((2.0, 0.0), (-2.0, 0.0), (0.0, 1.5))
_FREEDOM = 5
_TRIAL, _STEPS = 12, 80
_NUDGE = 1e-3
_FAR = 12.0


@dataclass(frozen=True, kw_only=True)
class NormalDraws:
    """Draws of all parameters from their posterior, each (S,).

    Attributes:
        contamination: Share of contaminated rows among all possible rows.
        dwell: Dwell in usual steps.
        clean_mean: Mean of clean measurements.
        clean_scale: Standard deviation of clean measurements.
        shift: Mean of contaminated measurements minus that of clean ones.
        contaminated_scale: Standard deviation of contaminated measurements.
        log_evidence: Log evidence of the model.
        effective: Effective number of independent draws; the smallest one of several models.
    """

    contamination: np.ndarray
    dwell: np.ndarray
    clean_mean: np.ndarray
    clean_scale: np.ndarray
    shift: np.ndarray
    contaminated_scale: np.ndarray
    log_evidence: float
    effective: float


def normal_densities(y: np.ndarray, draws: NormalDraws) -> tuple[np.ndarray, np.ndarray]:
    """Return log densities of clean and of contaminated measurements, each (N, S).

    Args:
        y: Measurements, (N,); NaN where missing.
        draws: Draws of the parameters.
    """
    clean = _log_normal(y[:, None], draws.clean_mean, draws.clean_scale)
    mean = draws.clean_mean + draws.shift
    return clean, _log_normal(y[:, None], mean, draws.contaminated_scale)


def normal_draws(
    y: np.ndarray,
    rows: SeriesRows,
    switch: MarkovSwitch,
    *,
    draws: int,
    independent: bool,
    equal: bool,
    rng: np.random.Generator,
) -> NormalDraws:
    """Draw all parameters from their posterior.

    Args:
        y: Measurements of the sorted rows, robustly standardised, (N,); NaN where missing.
        rows: Sorted rows. Their emissions are not used, except of verified rows.
        switch: Coupling, which gives the priors of share and dwell.
        draws: Number of draws, S.
        independent: Whether rows are independent, so that the dwell follows from the share.
        equal: Whether both likelihoods have the same standard deviation.
        rng: Random number generator.
    """
    model = _Model(y, rows, switch, independent=independent, equal=equal)
    mode = model.mode()
    covariance = _covariance(model, mode)
    proposal = multivariate_t(mode.numpy(), covariance, df=_FREEDOM, seed=rng)
    drawn = proposal.rvs(draws)
    share, dwell, mean, scale, shift, other = model.named(torch.from_numpy(drawn))
    one = NormalDraws(
        contamination=share.numpy(),
        dwell=dwell.numpy(),
        clean_mean=mean.numpy(),
        clean_scale=scale.numpy(),
        shift=shift.numpy(),
        contaminated_scale=other.numpy(),
        log_evidence=0.0,
        effective=0.0,
    )
    log = log_density(rows.with_densities(*normal_densities(y, one)), one.contamination, one.dwell)
    log = log + model.log_prior(torch.from_numpy(drawn)).numpy() - proposal.logpdf(drawn)
    log[~np.isfinite(log)] = -np.inf
    weights = np.exp(log - logsumexp(log))
    even = (np.arange(draws) + rng.random()) / draws
    kept = np.searchsorted(weights.cumsum(), even).clip(0, draws - 1)
    arrays = {name: value[kept] for name, value in vars(one).items() if np.ndim(value)}
    return NormalDraws(
        **arrays,
        log_evidence=float(logsumexp(log) - math.log(draws)),
        effective=float(1 / (weights**2).sum()),
    )


def joined_draws(found: Sequence[NormalDraws], *, rng: np.random.Generator) -> NormalDraws:
    """Return draws from several models, in proportion to their evidence, with equal priors.

    Args:
        found: Draws of each model, the same number of each.
        rng: Random number generator.
    """
    log = np.array([one.log_evidence for one in found])
    draws = len(found[0].dwell)
    share = np.exp(log - logsumexp(log)).cumsum()
    model = np.searchsorted(share, (np.arange(draws) + rng.random()) / draws)
    model = model.clip(0, len(found) - 1)
    names = [name for name, value in vars(found[0]).items() if np.ndim(value)]
    arrays = {
        name: np.stack([getattr(one, name) for one in found])[model, np.arange(draws)]
        for name in names
    }
    return NormalDraws(
        **arrays,
        log_evidence=float(logsumexp(log) - math.log(len(found))),
        effective=min(one.effective for one in found),
    )


class _Model:
    """Log density of measurements and unconstrained parameters, in double precision.

    The parameters are logit pi, log(d - 1), the clean mean, the log clean scale, the shift, and the
    log ratio of both scales. Independent rows have no log(d - 1), and equal scales no ratio.
    """

    def __init__(
        self,
        y: np.ndarray,
        rows: SeriesRows,
        switch: MarkovSwitch,
        *,
        independent: bool,
        equal: bool,
    ) -> None:
        self.y = torch.from_numpy(np.nan_to_num(y))
        self.seen = torch.from_numpy(~np.isnan(y))
        self.rows = rows
        self.switch = switch
        self.independent = independent
        self.equal = equal
        # One batch of padded series would waste memory; a chain that restarts equals all of them.
        self.starts = torch.from_numpy(rows.first[1:])
        self.steps = torch.from_numpy(rows.steps[1:])
        self.codes = torch.from_numpy(rows.codes)

    def named(self, theta: Tensor) -> tuple[Tensor, ...]:
        """Return share, dwell, clean mean, clean scale, shift and contaminated scale, (S,) each."""
        # Steps of the ascent may go far, where exponentials would overflow.
        parts = theta.clamp(-_FAR, _FAR).unbind(-1)
        share = parts[0].sigmoid()
        if self.independent:
            dwell, rest = 1 / (1 - share), parts[1:]
        else:
            least = (share if self.rows.whole else torch.ones_like(share)) / (1 - share)
            dwell, rest = torch.maximum(1 + parts[1].exp(), least), parts[2:]
        mean, log_scale, shift, *ratio = rest
        other = log_scale + ratio[0] if ratio else log_scale
        return share, dwell, mean, log_scale.exp(), shift, other.exp()

    def log_prior(self, theta: Tensor) -> Tensor:
        """Return the log prior density of the unconstrained parameters, (S,)."""
        share = theta[..., 0].clamp(-_FAR, _FAR).sigmoid()
        priors = self.switch.priors()
        log = priors["contamination"].log_prob(share) + share.log() + (-share).log1p()
        rest = theta[..., 1:]
        if not self.independent:
            log = log + _log_normal_torch(
                rest[..., 0], math.log(self.switch.median_dwell), self.switch.spread
            )
            rest = rest[..., 1:]
        for i, (mean, spread) in enumerate(zip(_MEANS, _SPREADS, strict=True)):
            if i == rest.shape[-1]:
                break
            log = log + _log_normal_torch(rest[..., i], mean, spread)
        return log

    def log_posterior(self, theta: Tensor) -> Tensor:
        """Return the log prior plus the log density of all series, ()."""
        share, dwell, mean, scale, shift, other = self.named(theta)
        e = torch.stack(
            [
                _log_normal_torch(self.y, mean, scale),
                _log_normal_torch(self.y, mean + shift, other),
            ],
            -1,
        )
        e = torch.where(self.seen[:, None], e, 0.0)
        e = torch.stack(nf.observe_switch(e[:, 0], e[:, 1], self.codes), -1)
        start = nf.chain_start(share)
        if self.independent:
            return (start + e).logsumexp(-1).sum() + self.log_prior(theta)
        moves = nf.chain_transitions(share, dwell, self.steps)
        moves = torch.where(self.starts[:, None, None], start, moves)
        return nf.chain_log_partition(start, moves, e) + self.log_prior(theta)

    def mode(self) -> Tensor:
        """Return the best of several modes, from starts with different shifts and scales."""
        found = [self._ascended(start, _TRIAL) for start in self._starts()]
        best = max(found, key=lambda theta: float(self.log_posterior(theta)))
        return self._ascended(best, _STEPS)

    def _starts(self) -> list[Tensor]:
        dwell = [] if self.independent else [math.log(self.switch.median_dwell)]
        return [
            torch.tensor(
                [-2.0, *dwell, 0.0, -0.3, shift, *([] if self.equal else [ratio])],
                dtype=torch.double,
            )
            for shift, ratio in _STARTS
            if shift or not self.equal
        ]

    def _ascended(self, start: Tensor, steps: int) -> Tensor:
        theta = start.clone().requires_grad_()
        optimiser = torch.optim.LBFGS([theta], max_iter=steps, line_search_fn="strong_wolfe")

        def loss() -> Tensor:
            optimiser.zero_grad()
            value = -self.log_posterior(theta)
            value.backward()  # type: ignore[no-untyped-call]
            return value

        optimiser.step(loss)
        found = theta.detach()
        return found if math.isfinite(self.log_posterior(found)) else start


def _covariance(model: _Model, mode: Tensor) -> np.ndarray:
    """Return the inverse of the curvature at the mode, positive definite.

    The curvature is a difference of gradients: second derivatives of the tree overflow where a
    path is impossible.
    """
    nudges = _NUDGE * torch.eye(len(mode), dtype=mode.dtype)
    rows = [(_slope(model, mode - one) - _slope(model, mode + one)) / 2 / _NUDGE for one in nudges]
    curvature = torch.stack(rows)
    values, vectors = torch.linalg.eigh((curvature + curvature.T) / 2)
    # Flat directions have the width of a wide prior.
    inverse = vectors @ torch.diag(1 / values.clamp(min=0.1)) @ vectors.T
    return np.asarray(inverse.numpy())


def _slope(model: _Model, theta: Tensor) -> Tensor:
    theta = theta.clone().requires_grad_()
    (slope,) = torch.autograd.grad(model.log_posterior(theta), theta)
    return slope


def _log_normal(y: np.ndarray, mean: np.ndarray, scale: np.ndarray) -> np.ndarray:
    found: np.ndarray = -0.5 * ((y - mean) / scale) ** 2 - np.log(scale) - _LOG_ROOT
    return found


def _log_normal_torch(y: Tensor, mean: Tensor | float, scale: Tensor | float) -> Tensor:
    log_scale = scale.log() if isinstance(scale, Tensor) else math.log(scale)
    return -0.5 * ((y - mean) / scale) ** 2 - log_scale - _LOG_ROOT


_LOG_ROOT = 0.5 * math.log(2 * math.pi)
