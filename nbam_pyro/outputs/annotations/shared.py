r"""The prior that annotators share: C_j[c] ~ Dirichlet(kappa * Cbar[c]), and its update."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.special import digamma, gammaln

__all__ = ["SharedConfusion"]

# Values of kappa, equally probable before the data: 1 to 200 annotations.
_GRID = np.geomspace(1.0, 200.0, 18)
# A probability of Cbar is never smaller than this.
_LEAST = 1e-6


@dataclass(frozen=True, eq=False, kw_only=True)
class SharedConfusion:
    """What annotators have in common: their mean confusion matrix, and how much they differ.

    Attributes:
        mean: Mean confusion matrix Cbar, (K, K). Its prior is Dirichlet with pseudo-count 1 off the
            diagonal and K on the diagonal, because annotators are more often right than wrong.
        kappa: Concentration: how many annotations of a class the mean counts for.
    """

    mean: Float[np.ndarray, "k k"]
    kappa: float

    @classmethod
    def before(cls, classes: int) -> "SharedConfusion":
        """Return the value at which estimates start.

        Args:
            classes: Number of classes K.
        """
        prior = _pseudo_counts(classes)
        return cls(mean=prior / prior.sum(-1, keepdims=True), kappa=4.0)

    @property
    def counts(self) -> Float[np.ndarray, "k k"]:
        """Pseudo-counts of the prior of every annotator, kappa * Cbar, (K, K)."""
        return self.kappa * self.mean

    def expected(self, counts: Float[np.ndarray, "j k k"]) -> "SharedConfusion":
        """Return the update of a variational step: expected numbers of tables, mean of kappa.

        Args:
            counts: Expected counts of each annotator, (J, K, K).
        """
        new = self
        for _ in range(2):
            own = new.counts
            tables = (own * (digamma(counts + own) - digamma(own))).sum(0)
            new = SharedConfusion(mean=_normalised(_pseudo_counts(len(own)) + tables), kappa=new.kappa)
        weight = _weights(new.mean, counts)
        return SharedConfusion(mean=new.mean, kappa=float(weight @ _GRID))

    def drawn(
        self, counts: Float[np.ndarray, "j k k"], rng: np.random.Generator
    ) -> "SharedConfusion":
        """Return a draw given the counts of all annotators, with the number of tables as auxiliary.

        Args:
            counts: Counts of each annotator, (J, K, K).
            rng: Random generator.
        """
        tables = _tables(counts, np.broadcast_to(self.counts, counts.shape), rng).sum(0)
        mean = _normalised(rng.standard_gamma(_pseudo_counts(len(self.mean)) + tables))
        return SharedConfusion(mean=mean, kappa=float(rng.choice(_GRID, p=_weights(mean, counts))))


def _pseudo_counts(k: int) -> np.ndarray:
    return np.ones((k, k)) + (k - 1) * np.eye(k)


def _normalised(values: np.ndarray) -> np.ndarray:
    floored = np.maximum(values / values.sum(-1, keepdims=True), _LEAST)
    return floored / floored.sum(-1, keepdims=True)


def _weights(mean: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the posterior probabilities of the values of kappa, the matrices summed out."""
    total = counts.sum(-1)
    log_p = np.array(
        [
            (gammaln(kappa) - gammaln(total + kappa)).sum()
            + (gammaln(counts + kappa * mean) - gammaln(kappa * mean)).sum()
            for kappa in _GRID
        ]
    )
    weight = np.exp(log_p - log_p.max())
    return weight / weight.sum()


def _tables(counts: np.ndarray, own: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw numbers of tables of Chinese restaurants with given numbers of guests."""
    guests = counts.ravel()
    table = np.repeat(np.arange(guests.size), guests)
    before = np.arange(len(table)) - np.repeat(np.cumsum(guests) - guests, guests)
    weight = own.ravel()[table]
    opened = rng.random(len(table)) * (weight + before) < weight
    return np.bincount(table[opened], minlength=guests.size).reshape(counts.shape)
