r"""The prior that annotators share, and its update given their counts.

.. math::
    s_j \sim N(0, \sigma^2), \qquad
    \bar C_j[c, c] = \mathrm{sigmoid}(b_c + s_j), \qquad
    \bar C_j[c, l] = (1 - \bar C_j[c, c])\, T_{cl}, \qquad
    C_j[c] \sim \mathrm{Dirichlet}(\kappa\, \bar C_j[c])

The skill s_j raises or lowers the accuracy of annotator j for all classes. Without it, annotators
with few labels per class would all look alike.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float
from scipy.special import digamma, expit, gammaln, log_expit, logsumexp

__all__ = ["SharedConfusion"]

# Values of kappa, equally probable before the data: 1 to 200 annotations.
_KAPPAS = np.geomspace(1.0, 200.0, 30)
# Values of a skill, and of the log odds b of a right label, whose prior is N(1, 1.5).
_SKILLS = np.linspace(-4.5, 4.5, 37)
_ODDS = np.linspace(-3.0, 6.0, 37)
# A probability of T is never smaller than this.
_LEAST = 1e-6


@dataclass(frozen=True, eq=False, kw_only=True)
class SharedConfusion:
    """What annotators have in common, and their skills.

    Attributes:
        odds: Log odds b of a right label of each class for an annotator of mean skill, (K,).
        flip: Probabilities T of wrong labels, (K, K), with a zero diagonal.
        skill: Skill s of each annotator, (J,).
        spread: Standard deviation sigma of skills.
        kappa: Concentration: how many annotations of a class the shared prior counts for.
    """

    odds: Float[np.ndarray, " k"]
    flip: Float[np.ndarray, "k k"]
    skill: Float[np.ndarray, " j"]
    spread: float
    kappa: float

    @classmethod
    def before(cls, *, classes: int, annotators: int) -> "SharedConfusion":
        """Return the value at which estimates start.

        Args:
            classes: Number of classes K.
            annotators: Number of annotators J.
        """
        flip = (1 - np.eye(classes)) / (classes - 1)
        return cls(
            odds=np.zeros(classes), flip=flip, skill=np.zeros(annotators), spread=1.0, kappa=4.0
        )

    @property
    def counts(self) -> Float[np.ndarray, "j k k"]:
        """Pseudo-counts of the prior of every annotator, kappa * Cbar_j, (J, K, K)."""
        return self.kappa * self._mean(self.skill)

    def _mean(self, skill: np.ndarray) -> np.ndarray:
        """Return the prior mean matrix at each skill, (S, K, K)."""
        right = expit(self.odds + skill[:, None])
        return (1 - right)[:, :, None] * self.flip + right[:, :, None] * np.eye(len(self.flip))

    def updated(
        self, counts: Float[np.ndarray, "j k k"], rng: np.random.Generator | None = None
    ) -> "SharedConfusion":
        """Return the update given counts of all annotators.

        Args:
            counts: Counts, or expected counts, of each annotator, (J, K, K).
            rng: Random generator for a draw; None for the means that a variational step uses.
        """
        skill = _chosen(_SKILLS, self._log_skills(counts), rng)
        new = replace(self, skill=skill, spread=_spread(skill, rng))
        tables = _tables(counts, np.maximum(new.counts, 1e-9), rng)
        new = replace(new, odds=new._odds(tables, rng), flip=_flip(tables.sum(0), rng))
        return replace(new, kappa=float(_chosen(_KAPPAS, new._log_kappas(counts)[None], rng)[0]))

    def _log_skills(self, counts: np.ndarray) -> np.ndarray:
        """Return the log posterior of each skill on the grid, matrices summed out, (J, S)."""
        prior = -0.5 * (_SKILLS / self.spread) ** 2
        own = np.stack([_log_marginal(counts, self.kappa * one) for one in self._mean(_SKILLS)], 1)
        return own + prior

    def _log_kappas(self, counts: np.ndarray) -> np.ndarray:
        mean = self._mean(self.skill)
        return np.array([_log_marginal(counts, kappa * mean).sum() for kappa in _KAPPAS])

    def _odds(self, tables: np.ndarray, rng: np.random.Generator | None) -> np.ndarray:
        right = np.diagonal(tables, axis1=1, axis2=2)
        wrong = tables.sum(-1) - right
        at = _ODDS[:, None] + self.skill
        log_p = log_expit(at) @ right + log_expit(-at) @ wrong
        return _chosen(_ODDS, log_p.T - 0.5 * ((_ODDS - 1) / 1.5) ** 2, rng)


def _log_marginal(counts: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Return the log probability of each annotator's labels, matrices summed out, (J,)."""
    own = np.maximum(own, 1e-9)
    # Unused cells contribute nothing, and most cells of many classes are unused.
    cells = np.broadcast_to(own, counts.shape)
    used = counts > 0
    terms = np.zeros(counts.shape)
    terms[used] = gammaln(counts[used] + cells[used]) - gammaln(cells[used])
    total, prior = counts.sum(-1), own.sum(-1)
    return terms.sum((-2, -1)) + (gammaln(prior) - gammaln(total + prior)).sum(-1)


def _chosen(grid: np.ndarray, log_p: np.ndarray, rng: np.random.Generator | None) -> np.ndarray:
    """Return a draw, or the mean, of each row's distribution on a grid."""
    p = np.exp(log_p - logsumexp(log_p, axis=-1, keepdims=True))
    if rng is None:
        return p @ grid
    below = p.cumsum(-1)[:, :-1] < rng.random((len(p), 1))
    return grid[below.sum(-1)]


def _spread(skill: np.ndarray, rng: np.random.Generator | None) -> float:
    """Return sigma, whose square has the prior InverseGamma(1, 0.5)."""
    shape, rate = 1 + len(skill) / 2, 0.5 + (skill**2).sum() / 2
    return float(np.sqrt(rate / (shape if rng is None else rng.standard_gamma(shape))))


def _flip(tables: np.ndarray, rng: np.random.Generator | None) -> np.ndarray:
    """Return T, whose rows have the prior Dirichlet(1, ..., 1)."""
    wrong = 1 - np.eye(len(tables))
    counts = tables * wrong + 1
    flip = (counts if rng is None else rng.standard_gamma(counts)) * wrong
    flip = np.maximum(flip / flip.sum(-1, keepdims=True), _LEAST) * wrong
    return flip / flip.sum(-1, keepdims=True)


def _tables(counts: np.ndarray, own: np.ndarray, rng: np.random.Generator | None) -> np.ndarray:
    """Return numbers of tables of Chinese restaurants with given numbers of guests.

    They are the counts that inform the shared prior: repeated labels of one annotator count less.
    """
    if rng is None:
        return own * (digamma(counts + own) - digamma(own))
    guests = counts.ravel()
    table = np.repeat(np.arange(guests.size), guests)
    before = np.arange(len(table)) - np.repeat(np.cumsum(guests) - guests, guests)
    weight = own.ravel()[table]
    opened = rng.random(len(table)) * (weight + before) < weight
    return np.bincount(table[opened], minlength=guests.size).reshape(counts.shape)
