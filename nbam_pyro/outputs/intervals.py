r"""Intervals of contamination rates, given predictions of the true label.

They come from the observed information of the transition matrix M.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from nbam_pyro.errors import DataError
from nbam_pyro.models.priors.pseudo_counts import FlipPrior
from nbam_pyro.outputs.transition import RowsByLabel, Transition
from nbam_pyro.outputs.transition_variances import transition_variances

__all__ = [
    "TransitionDraws",
    "TransitionIntervals",
    "check_probability",
    "transition_draws",
    "transition_intervals",
]

# A smaller part of a variance is rounding.
_ROUNDED = 1e-9


@dataclass(frozen=True)
class TransitionIntervals:
    """Central intervals of contamination rates. They do not include errors of the predictions.

    The rate of a true class is the share of wrong labels among the rows that belong to it.

    Attributes:
        rate_low: Lower end of the interval of each true class's rate, (K,) float64.
        rate_high: Upper end of the interval of each true class's rate, (K,) float64.
        share_low: Lower end of the interval of the contaminated share of the rows.
        share_high: Upper end of the interval of the contaminated share of the rows.
        probability: Posterior probability that each interval contains, for example 0.9.
    """

    rate_low: Float[Tensor, " k"]
    rate_high: Float[Tensor, " k"]
    share_low: float
    share_high: float
    probability: float


@dataclass(frozen=True)
class TransitionDraws:
    """Draws of contamination rates. They do not include errors of the predictions.

    Attributes:
        rate: Contamination rate of each true class, (S, K) float64. The rates of different classes
            are drawn independently.
        share: Share of these rows that is contaminated, (S,).
        flip_counts: Number of observations of each row of T that an entry rests on, (K, K): given
            the rates, T_cy is Beta(n T_cy, n (1 - T_cy)), with the number n.
    """

    rate: Float[Tensor, "s k"]
    share: Float[Tensor, " s"]
    flip_counts: Float[Tensor, "k k"]


def check_probability(value: float) -> None:
    """Raise an error if a value is not a valid probability that an interval contains.

    Args:
        value: Probability, in (0, 1).

    Raises:
        DataError: The value is outside (0, 1).
    """
    if not 0 < value < 1:
        raise DataError(f"probability is {value}; it must lie in (0, 1).")


def transition_intervals(
    log_f: Float[Tensor, "n k"],
    labels: Int[Tensor, " n"],
    transition: Transition,
    *,
    prior: FlipPrior,
    weights: Float[Tensor, " n"] | None = None,
    true_labels: Int[Tensor, " n"] | None = None,
    probability: float = 0.9,
) -> TransitionIntervals:
    r"""Return Laplace intervals of rates and of the contaminated share, on the logit scale.

    The observed information of M is block diagonal by observed label, because each row involves one
    column of M only. Row i has the weight w_i, and c is the true class. In relative changes
    :math:`u_{cy} = \delta M_{cy} / M_{cy}`, block y is

    .. math:: \sum_{i: y_i = y} w_i\, r_i r_i^\top + \text{prior}, \qquad r_{ic} = p(c | x_i, y_i),

    and the rows of M sum to one, :math:`\sum_y M_{cy} u_{cy} = 0`. If C_y is the inverse of block y
    in units of M, the covariance under these K constraints is

    .. math:: \mathrm{cov}(M_{\cdot y}, M_{\cdot y'}) = \delta_{yy'} C_y
              - C_y \Big(\sum_z C_z\Big)^{-1} C_{y'}.

    The variance of the share also includes that of the switches given M. The ends of its interval
    respect Cantelli's bound: the ends lie at most k standard deviations from the estimate, where
    :math:`1 / (1 + k^2)` is half of one minus the probability. The bound holds for any
    distribution, and it matters if a share is almost 0 or 1. The intervals do not include errors of
    log_f or of class frequencies. With a prior on class frequencies, the predictions are those at
    the mode of the frequencies.

    If all predictions are certain, such as the 0s and 1s of a decision tree, both ends of the share
    are the share itself. With extreme priors, rounding can hide the variance of a rate; its
    interval is then (0, 1).

    Time is O(N K^2), and at most O(K^4) more if labels have more rows than there are classes;
    memory is O(N K + K^2).

    Args:
        log_f: Log probabilities of the true label, as given to `estimate_transition`.
        labels: Observed labels, as given to `estimate_transition`.
        transition: Result of `estimate_transition`.
        prior: Pseudo-counts of contamination rates and flips, as given to `estimate_transition`.
        weights: Weights of the rows, as given to `estimate_transition`.
        true_labels: Verified true labels of the rows, as given to `estimate_transition`.
        probability: Posterior probability that each interval contains, in (0, 1).

    Raises:
        DataError: The probability is outside (0, 1), or for the same reasons as in
            `estimate_transition`.

    Source: Louis (1982), "Finding the observed information matrix when using the EM algorithm".

    Example:
        >>> from nbam_pyro.outputs.transition import estimate_transition
        >>> f = torch.tensor([[1.0, 0.0], [0.0, 1.0]]).repeat_interleave(500, 0)
        >>> y = torch.tensor([0] * 400 + [1] * 600)
        >>> prior = FlipPrior()
        >>> fitted = estimate_transition(f.log(), y, prior=prior)
        >>> transition_intervals(f.log(), y, fitted, prior=prior).rate_low
        tensor([0.1734, 0.0004], dtype=torch.float64)
    """
    check_probability(probability)
    shifted = transition.shifted(log_f)
    rows = RowsByLabel.of(shifted, labels, weights=weights, true_labels=true_labels)
    found = transition_variances(rows, transition, prior)
    rate_low, rate_high = _logit_interval(transition.rate, found.matrix.diagonal(), probability)
    tail = (1 - probability) / 2
    levels = rate_low.new_tensor([tail, 1 - tail])
    low, high = _share_quantiles(transition, found.contaminated, levels)
    return TransitionIntervals(rate_low, rate_high, float(low), float(high), probability)


def transition_draws(
    log_f: Float[Tensor, "n k"],
    labels: Int[Tensor, " n"],
    transition: Transition,
    *,
    prior: FlipPrior,
    draws: int,
    generator: torch.Generator,
    weights: Float[Tensor, " n"] | None = None,
    true_labels: Int[Tensor, " n"] | None = None,
) -> TransitionDraws:
    """Draw rates and the contaminated share from the distributions of `transition_intervals`.

    Args:
        log_f: Log probabilities of the true label, as given to `estimate_transition`.
        labels: Observed labels, as given to `estimate_transition`.
        transition: Result of `estimate_transition`.
        prior: Pseudo-counts of contamination rates and flips, as given to `estimate_transition`.
        draws: Number of draws S.
        generator: Random number generator.
        weights: Weights of the rows, as given to `estimate_transition`.
        true_labels: Verified true labels of the rows, as given to `estimate_transition`.

    Raises:
        DataError: For the same reasons as in `estimate_transition`.

    Example:
        >>> from nbam_pyro.outputs.transition import estimate_transition
        >>> f = torch.tensor([[1.0, 0.0], [0.0, 1.0]]).repeat_interleave(500, 0)
        >>> y = torch.tensor([0] * 400 + [1] * 600)
        >>> prior, generator = FlipPrior(), torch.Generator().manual_seed(0)
        >>> fitted = estimate_transition(f.log(), y, prior=prior)
        >>> drawn = transition_draws(f.log(), y, fitted, prior=prior, draws=9, generator=generator)
        >>> drawn.rate.shape, drawn.share.shape
        (torch.Size([9, 2]), torch.Size([9]))
    """
    rows = RowsByLabel.of(
        transition.shifted(log_f), labels, weights=weights, true_labels=true_labels
    )
    found = transition_variances(rows, transition, prior)
    z = torch.randn(draws, len(found.matrix), dtype=found.matrix.dtype, generator=generator)
    levels = torch.rand(draws, dtype=z.dtype, generator=generator)
    rate = _logit_quantile(transition.rate, found.matrix.diagonal(), z)
    share = _share_quantiles(transition, found.contaminated, levels)
    return TransitionDraws(rate, share, _flip_counts(transition, found.matrix))


def _flip_counts(transition: Transition, variances: Float[Tensor, "k k"]) -> Float[Tensor, "k k"]:
    """Return the numbers of observations for which T_cy rate_c has the variance of M_cy.

    With known true labels, rate_c and T_cy are independent, and T_cy is a Beta variable that rests
    on the flipped rows of class c and the pseudo-counts of the prior.

    Args:
        transition: Estimated contamination rates and flips.
        variances: Variances of the entries of M, (K, K).
    """
    relative = variances / transition.matrix.square()
    of_rates = variances.diagonal() / transition.rate.square()
    of_rates = torch.where(of_rates.isfinite(), of_rates, 0.0)
    own = (relative - of_rates[:, None]).clamp_min(_ROUNDED * relative)
    flip = transition.flip
    return ((1 - flip) / (flip * own)).nan_to_num(0.0, posinf=0.0)


def _share_quantiles(
    transition: Transition, contaminated: Float[Tensor, ""], levels: Float[Tensor, " s"]
) -> Float[Tensor, " s"]:
    """Return quantiles of the contaminated share, which respect Cantelli's bound.

    Args:
        transition: Estimated contamination rates and flips.
        contaminated: Variance of the number of contaminated rows.
        levels: Probability below each quantile, in (0, 1).
    """
    share = levels.new_tensor(transition.share)
    variance = contaminated / transition.counts.sum() ** 2
    quantiles = _logit_quantile(share, variance, torch.special.ndtri(levels))
    # If the variance is large for the share, the quantiles on the logit scale would be 0 and 1.
    odds = (levels / (1 - levels)).sqrt()
    spread = variance.sqrt()
    return torch.minimum(torch.maximum(quantiles, share - spread / odds), share + spread * odds)


def _logit_interval(value: Tensor, variance: Tensor, probability: float) -> tuple[Tensor, Tensor]:
    z = torch.special.ndtri(value.new_tensor((1 + probability) / 2))
    return _logit_quantile(value, variance, -z), _logit_quantile(value, variance, z)


def _logit_quantile(value: Tensor, variance: Tensor, z: Tensor) -> Tensor:
    """Return a quantile of a Normal on the logit scale; z is the same quantile of N(0, 1)."""
    # A share of exactly 0 or 1 is certain: every row is verified.
    certain = (variance == 0) | (value == 0) | (value == 1)
    spread = variance.sqrt() / (value * (1 - value))
    return torch.where(certain, value, (value.logit() + z * spread).sigmoid())
