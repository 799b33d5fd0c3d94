"""The distribution of standardised residuals: clean rows, and contaminated rows around them."""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, gammaln, logit, softmax

from nbam_pyro.models.priors.pseudo_counts import Beta
from nbam_pyro.outputs.predictions.cells import ResidualCells

__all__ = ["Errors", "prior_rates"]

# Normal priors (mean, standard deviation) of the unknowns. Lengths are in robust standard
# deviations of the residuals. They are wide; benchmarks/regression/from_predictions.py names the
# simulations on which they were checked.
_PLACE = ((0.0, 0.7), (-0.2, 0.6), (0.0, 0.4))  # mode, log scale, half log ratio of the two scales
_TAILS = ((-1.0, 1.3), (-1.0, 1.3))  # logit of 2 / degrees of freedom, on the left and the right
# Distance and log width of contaminated rows on the asinh scale, and logit of the share above.
# A distance of 2.5 is about six clean scales.
_ERRORS = ((2.5, 0.7), (np.log(0.5), 0.5), (0.0, 1.5))
# Part of the contaminated rows that has the tails of a Student-t distribution, and its degrees of
# freedom on the asinh scale. Its tails are heavier than those of clean rows, so that a huge
# residual is always suspicious.
_FAR, _BROAD = 0.1, 2.0
# No family fits residuals exactly, and a small misfit of many rows looks like contamination.
# Therefore the likelihood counts as at most this many rows (Miller & Dunson 2019).
_ROWS = 500.0
# Loss of log likelihood per contaminated share above one half: fewer rows are wrong than right.
_MAJORITY = 2000.0
_LEAST = 1e-12


@dataclass(frozen=True, kw_only=True)
class Errors:
    r"""The posterior of the distribution of standardised residuals.

    Clean residuals (z = 0) have a mode m, and a scale and a tail on each side of it. The scale is
    sigma, the skew is kappa, and nu are the degrees of freedom of a tail:

    .. math:: p(e | z=0) \propto
        \Big(1 + \frac{(e - m)^2}{\nu_\pm \sigma_\pm^2}\Big)^{-(\nu_\pm + 1) / 2},
        \qquad \sigma_\pm = \sigma e^{\pm \kappa},

    or the limit of normal tails on both sides. Contaminated residuals are described on the scale
    :math:`v = \mathrm{asinh}((e - m) / \sigma)`, which is logarithmic for large residuals. On this
    scale they lie around d with probability q, and around -d otherwise, with the width w. Nine in
    ten of them are normal on this scale, and one in ten has a Student-t distribution with two
    degrees of freedom.

    Attributes:
        cells: Residuals.
        normal: Number of rows in each cell that are verified as right, (K,).
        wrong: Number of rows in each cell that are verified as contaminated, (K,).
        prior: Pseudo-counts of the contamination rate.
        heavy: Whether clean tails are those of Student-t distributions instead of a normal one.
        mixed: Whether some rows may be contaminated.
    """

    cells: ResidualCells
    normal: np.ndarray
    wrong: np.ndarray
    prior: Beta
    heavy: bool
    mixed: bool

    def draws(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """Draw the unknowns from their prior, (P, D).

        Args:
            count: Number of draws, P.
            rng: Source of randomness.
        """
        means, widths = self._normal_priors().T
        drawn = rng.normal(means, widths, (count, len(means)))
        if not self.mixed:
            return drawn
        rate = rng.beta(self.prior.a, self.prior.b, count).clip(_LEAST, 1 - _LEAST)
        return np.column_stack([drawn, logit(rate)])

    def log_prior(self, values: np.ndarray) -> np.ndarray:
        """Log prior density up to a constant, (P, D) -> (P,)."""
        means, widths = self._normal_priors().T
        total = -0.5 * (((values[:, : len(means)] - means) / widths) ** 2).sum(1)
        if self.mixed:
            odds = values[:, -1]
            total += -self.prior.a * np.logaddexp(0, -odds) - self.prior.b * np.logaddexp(0, odds)
        return np.asarray(total)

    def log_likelihood(self, values: np.ndarray) -> np.ndarray:
        """Log likelihood of the residuals and of the verified rows, (P, D) -> (P,).

        Verified rows have full weight, because a person looked at them. Their term is the
        probability of the verified result given the residual. People may therefore choose the rows
        to verify by their residuals.
        """
        clean, both = self._log_densities(values)
        counts = self.cells.counts
        total = both @ (counts * min(1.0, _ROWS / counts.sum()))
        if self.mixed:
            total = total - _MAJORITY * np.maximum(expit(values[:, -1]) - 0.5, 0)
        if self.normal.any() or self.wrong.any():
            r = (-np.expm1(clean - both)).clip(_LEAST, 1 - _LEAST)
            total = total + np.log(r) @ self.wrong + np.log1p(-r) @ self.normal
        return np.asarray(total)

    def responsibility(self, values: np.ndarray) -> np.ndarray:
        """Probability that a row in each cell is contaminated, (P, D) -> (P, K)."""
        clean, both = self._log_densities(values)
        return np.asarray((-np.expm1(clean - both)).clip(0, 1))

    def _normal_priors(self) -> np.ndarray:
        return np.array(
            [*_PLACE, *(_TAILS if self.heavy else ()), *(_ERRORS if self.mixed else ())]
        )

    def _log_densities(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Log densities of clean rows (times their share), and of all rows, (P, K) each."""
        mode, log_scale, skew = values[:, :3, None].swapaxes(0, 1)
        away = self.cells.values - mode
        clean = self._log_clean(values, away, log_scale, skew)
        if not self.mixed:
            return clean, clean
        distance, log_width, above, odds = values[:, -4:, None].swapaxes(0, 1)
        units = away / np.exp(log_scale)
        place, width = np.arcsinh(units), np.exp(log_width)
        # The derivative of the asinh scale.
        volume = log_width + log_scale + 0.5 * np.log1p(units**2)
        lobes = np.logaddexp(
            _log_broad((place - distance) / width) - np.logaddexp(0, -above),
            _log_broad((place + distance) / width) - np.logaddexp(0, above),
        )
        clean = clean - np.logaddexp(0, odds)
        return clean, np.logaddexp(clean, lobes - volume - np.logaddexp(0, -odds))

    def _log_clean(
        self, values: np.ndarray, away: np.ndarray, log_scale: np.ndarray, skew: np.ndarray
    ) -> np.ndarray:
        right = away > 0
        left_scale, right_scale = np.exp(log_scale - skew), np.exp(log_scale + skew)
        z = away / np.where(right, right_scale, left_scale)
        if not self.heavy:
            # Half of each normal density has the area scale * sqrt(pi / 2) below a peak of one.
            area = (left_scale + right_scale) * np.sqrt(np.pi / 2)
            return np.asarray(-0.5 * z**2 - np.log(area))
        left, tail = 2 / expit(values[:, 3:5, None]).swapaxes(0, 1)
        area = left_scale / (2 * np.exp(_log_peak(left)))
        area = area + right_scale / (2 * np.exp(_log_peak(tail)))
        freedom = np.where(right, tail, left)
        return np.asarray(-(freedom + 1) / 2 * np.log1p(z**2 / freedom) - np.log(area))


def prior_rates(prior: Beta, count: int, rng: np.random.Generator) -> np.ndarray:
    """Draw the contamination rate from its prior, if there is contamination, (P,).

    Args:
        prior: Pseudo-counts of the contamination rate.
        count: Number of draws, P.
        rng: Source of randomness.
    """
    rates = rng.beta(prior.a, prior.b, count)
    return np.asarray(rng.choice(rates, count, p=softmax(-_MAJORITY * np.maximum(rates - 0.5, 0))))


def _log_peak(freedom: np.ndarray) -> np.ndarray:
    """Log density of a Student-t distribution with scale one at its mode."""
    return np.asarray(
        gammaln((freedom + 1) / 2) - gammaln(freedom / 2) - 0.5 * np.log(freedom * np.pi)
    )


def _log_broad(z: np.ndarray) -> np.ndarray:
    """Log density of standardised residuals of contaminated rows on one side."""
    normal = np.log(1 - _FAR) - 0.5 * np.log(2 * np.pi) - 0.5 * z**2
    peak = np.log(_FAR) + _log_peak(np.asarray(_BROAD))
    return np.asarray(np.logaddexp(normal, peak - (_BROAD + 1) / 2 * np.log1p(z**2 / _BROAD)))
