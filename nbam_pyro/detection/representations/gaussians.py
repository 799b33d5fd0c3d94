"""`ClassGaussians`: densities of normal rows and of anomalies in a representation."""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.special import logsumexp

from nbam_pyro.detection.backbones.base import Energies
from nbam_pyro.detection.mahalanobis import Mahalanobis
from nbam_pyro.errors import DataError

__all__ = ["ClassGaussians"]

# The broad Gaussian of anomalies is this much wider than the scatter of all rows.
_BREADTH = 3.0


@dataclass(frozen=True, eq=False)
class ClassGaussians:
    r"""One Gaussian for each class of normal rows, and one broad Gaussian for anomalies.

    .. math::
        E_n(r) = -\log \sum_k \pi_k N(r; \mu_k, \Sigma), \qquad E_a(r) = -\log N(r; m, 9 S)

    The share pi_k and the mean mu_k of class k, and the covariance Sigma within classes, are
    weighted moments. The mean m and the covariance S are those of all rows. Both energies are
    negative log densities.

    Attributes:
        within: Squared distances to the means of the classes.
        shares: Weighted shares of the classes, (K,).
        broad: Squared distances to the mean of all rows.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> r = rng.normal(size=(200, 2)) + np.repeat([[0.0], [5.0]], 100, axis=0)
        >>> fitted = ClassGaussians.of(r, np.repeat([0, 1], 100), np.ones(200))
        >>> clean, anomalous = fitted.energies(np.array([[0.0, 0.0], [20.0, -20.0]]))
        >>> (clean < anomalous).tolist()
        [True, False]
    """

    within: Mahalanobis
    shares: np.ndarray
    broad: Mahalanobis

    @classmethod
    def of(
        cls,
        r: np.ndarray,
        codes: np.ndarray,
        weights: np.ndarray,
        *,
        total: np.ndarray | None = None,
    ) -> "ClassGaussians":
        """Return the densities of weighted rows.

        Args:
            r: Rows of the representation, (N, D).
            codes: Position of the class of each row, (N,); every class has a weight above 0.
            weights: Weights of the rows for the classes, (N,).
            total: Weights of the rows for the broad Gaussian, (N,). None for the same weights.

        Raises:
            DataError: The rows of each class are equal.
        """
        shares = np.bincount(codes, weights=weights) / weights.sum()
        broad = Mahalanobis(r, weights=weights if total is None else total)
        within = Mahalanobis(r, codes, weights=weights)
        if not (within.variance > 0).all() or not (broad.variance > 0).all():
            raise DataError(
                "The representation is constant within classes, so it has no density. Use a lower "
                "lr, more epochs or another encoder."
            )
        return cls(within, shares, broad)

    def energies(self, r: np.ndarray) -> Energies:
        """Return clean and anomaly energies of rows, two tensors of shape (N,).

        Args:
            r: Rows of the representation, (N, D).
        """
        width = r.shape[1] * np.log(2 * np.pi)
        parts = np.log(self.shares) - 0.5 * self.within.distances(r)
        clean = 0.5 * (_log_determinant(self.within) + width) - logsumexp(parts, axis=1)
        anomalous = 0.5 * (
            self.broad(r) / _BREADTH**2
            + _log_determinant(self.broad)
            + 2 * r.shape[1] * np.log(_BREADTH)
            + width
        )
        return Energies(torch.from_numpy(clean), torch.from_numpy(anomalous))


def _log_determinant(statistic: Mahalanobis) -> float:
    return float(np.log(statistic.variance).sum() + 2 * np.log(statistic.unit).sum())
