"""Estimates with intervals of the two matrices of a `LabelFlip` fit.

The transition matrix is M = p(observed label | true label). The flip matrix is T = p(observed label
| true label, z=1): the probabilities of the classes that a flipped label can get. Its diagonal is
zero.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from nbam_pyro import functional as nf
from nbam_pyro.errors import StoryError
from nbam_pyro.inference.posterior.fit_result import Fit
from nbam_pyro.inference.posterior.row_posteriors import latent_label_of
from nbam_pyro.inference.posterior.scoring import in_evaluation_mode, scored_rows
from nbam_pyro.inference.variational.guides import Draw, guide_draws

__all__ = ["MatrixEstimate", "flip_matrix", "transition_matrix"]


# Entries of all draws together that are in memory at once.
_ENTRIES = 20_000_000


@dataclass(frozen=True)
class MatrixEstimate:
    """Estimate of a matrix with an interval for every entry.

    Rows of the matrix are true labels, and columns are observed labels.

    The intervals cover the uncertainty of the global latents. They are conditional on the networks.

    Attributes:
        mean: Posterior mean, (K, K).
        low: Lower ends of the central intervals, (K, K).
        high: Upper ends of the central intervals, (K, K).
        probability: Posterior probability that each interval contains, for example 0.9.
    """

    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    probability: float

    def __str__(self) -> str:
        """The mean as a table. Entries that would be rounded to 0 are left empty."""
        classes = range(len(self.mean))
        true, observed = (pd.Index(classes, name=name) for name in ("true", "observed"))
        frame = pd.DataFrame(self.mean, true, observed)
        return str(frame.map(lambda share: f"{share:.2f}" if share >= 0.005 else ""))

    def frame(self) -> pd.DataFrame:
        """Return one row per entry, with the columns "true", "observed", "mean", "low", "high"."""
        k = len(self.mean)
        true, observed = np.divmod(np.arange(k * k), k)
        columns = {"mean": self.mean, "low": self.low, "high": self.high}
        flat = {name: matrix.ravel() for name, matrix in columns.items()}
        return pd.DataFrame({"true": true, "observed": observed, **flat})

    def directions(self, *, above: float = 0.01) -> list[tuple[int, int]]:
        """Return the most probable flip (true, observed) of each class, if it is certain enough.

        Args:
            above: Threshold. A flip is returned if the lower end of its interval is above it.
        """
        off = np.where(np.eye(len(self.mean), dtype=bool), -1.0, self.mean)
        pairs = [(c, int(target)) for c, target in enumerate(off.argmax(1))]
        return [pair for pair in pairs if self.low[pair] > above]


def transition_matrix(
    fit: Fit, x: Any = None, *, probability: float = 0.9, num_draws: int | None = None
) -> MatrixEstimate:
    """Estimate the transition matrix M = p(observed | true) with central intervals.

    Args:
        fit: Fit of a `LabelFlip`.
        x: Rows over which the contamination rates are averaged, (N, ...). They are needed if rates
            depend on the row (`locality` or `groups`); otherwise give None.
        probability: Posterior probability that each interval contains, for example 0.9.
        num_draws: Number of draws of the global latents; None for 1000, or fewer for large
            matrices.

    Raises:
        DataError: The rows have another shape or type than those of the fit.
        StoryError: The story is not a `LabelFlip`, or its rates depend on x and x is missing.
    """
    fit = in_evaluation_mode(fit)
    story = latent_label_of(fit)
    if story.deviates and x is None:
        raise StoryError(
            "The contamination rates of this story depend on x (locality or groups), but x is "
            "missing: pass rows x, over which the rates are averaged."
        )

    rows = None if x is None else scored_rows(fit, x).x

    def matrix(latents: Draw) -> Tensor:
        rate = latents["rate"] if rows is None else story.rate_given(rows, latents)
        return nf.transition_matrix(rate, nf.zero_diagonal(latents["flip"]))

    return _estimate(fit, matrix, probability, num_draws)


def flip_matrix(
    fit: Fit, *, probability: float = 0.9, num_draws: int | None = None
) -> MatrixEstimate:
    """Estimate the flip matrix T = p(observed | true, z=1) with central intervals.

    Its diagonal is zero, because a flipped label differs from the true label.

    Args:
        fit: Fit of a `LabelFlip`.
        probability: Posterior probability that each interval contains, for example 0.9.
        num_draws: Number of draws of the global latents; None for 1000, or fewer for large
            matrices.

    Raises:
        StoryError: The story is not a `LabelFlip`.
    """
    latent_label_of(fit)
    return _estimate(fit, lambda one: nf.zero_diagonal(one["flip"]), probability, num_draws)


def matrix_draws(fit: Fit, num_draws: int = 100) -> np.ndarray:
    """Return M at draws of the global latents, without any deviation g(x) of a row, (S, K, K)."""
    draws = guide_draws(fit.guide, num_draws)
    flips = torch.vmap(nf.zero_diagonal)(draws["flip"])
    return torch.vmap(nf.transition_matrix)(draws["rate"], flips).numpy()


def _estimate(
    fit: Fit, matrix: Callable[[Draw], Tensor], probability: float, num_draws: int | None
) -> MatrixEstimate:
    """Estimate a matrix that is a function of one draw of the global latents."""
    entries = latent_label_of(fit).num_classes ** 2
    draws = guide_draws(fit.guide, num_draws or max(50, min(1000, _ENTRIES // entries)))
    with torch.no_grad():
        values = torch.vmap(matrix)(draws).cpu().numpy()
    tail = (1 - probability) / 2
    low, high = np.quantile(values, [tail, 1 - tail], axis=0)
    return MatrixEstimate(values.mean(0), low, high, probability)
