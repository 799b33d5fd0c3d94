"""The matrices of a `LabelFlip` fit with intervals: M = p(observed | true) and T."""

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
from nbam_pyro.inference.posterior.scoring import scored_rows, settled
from nbam_pyro.inference.variational.guides import Draw, guide_draws

__all__ = ["MatrixEstimate", "flip_matrix", "transition_matrix"]


# Entries of all draws together that are held in memory at once.
_ENTRIES = 20_000_000


@dataclass(frozen=True)
class MatrixEstimate:
    """A matrix with intervals over draws of the global latents, conditional on the networks.

    Attributes:
        mean: posterior mean, (K, K).
        low: lower end of the central interval, (K, K).
        high: upper end, (K, K).
        probability: of the interval.
    """

    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    probability: float

    def __str__(self) -> str:
        """The mean, entries that would round to 0 left out."""
        classes = range(len(self.mean))
        true, observed = (pd.Index(classes, name=name) for name in ("true", "observed"))
        frame = pd.DataFrame(self.mean, true, observed)
        return str(frame.map(lambda share: f"{share:.2f}" if share >= 0.005 else ""))

    def frame(self) -> pd.DataFrame:
        """One row per entry: true, observed, mean, low, high."""
        k = len(self.mean)
        true, observed = np.divmod(np.arange(k * k), k)
        columns = {"mean": self.mean, "low": self.low, "high": self.high}
        flat = {name: matrix.ravel() for name, matrix in columns.items()}
        return pd.DataFrame({"true": true, "observed": observed, **flat})

    def directions(self, *, above: float = 0.01) -> list[tuple[int, int]]:
        """Flips (true, observed) that are the largest of their row and whose interval, too, is
        above a threshold.
        """
        off = np.where(np.eye(len(self.mean), dtype=bool), -1.0, self.mean)
        pairs = [(c, int(target)) for c, target in enumerate(off.argmax(1))]
        return [pair for pair in pairs if self.low[pair] > above]


def transition_matrix(
    fit: Fit, x: Any = None, *, probability: float = 0.9, num_draws: int | None = None
) -> MatrixEstimate:
    """M = p(observed | true) with central intervals.

    Args:
        fit: a fit of a `LabelFlip`.
        x: rows to average the rates over, needed where the story has a deviation g(x).
        probability: of the intervals.
        num_draws: draws of the global latents; None for 1000, or fewer of large matrices.

    Raises:
        StoryError: the story is no `LabelFlip`, or its rates depend on x, which is missing.
    """
    fit = settled(fit)
    story = latent_label_of(fit)
    if story.deviates and x is None:
        raise StoryError("With locality or groups, rates depend on x: pass rows to average over.")

    rows = None if x is None else scored_rows(fit, x).x

    def of(latents: Draw) -> Tensor:
        rate = latents["rate"] if rows is None else story.rate_given(rows, latents)
        return nf.transition_matrix(rate, nf.zero_diagonal(latents["flip"]))

    return _matrix(fit, of, probability, num_draws)


def flip_matrix(
    fit: Fit, *, probability: float = 0.9, num_draws: int | None = None
) -> MatrixEstimate:
    """T = p(observed | true, z=1) with central intervals; zero on the diagonal.

    Raises:
        StoryError: the story is no `LabelFlip`.
    """
    latent_label_of(fit)
    return _matrix(fit, lambda one: nf.zero_diagonal(one["flip"]), probability, num_draws)


def matrix_draws(fit: Fit, num_draws: int = 100) -> np.ndarray:
    """M at draws of the global latents, at g = 0, (S, K, K)."""
    draws = guide_draws(fit.guide, num_draws)
    flips = torch.vmap(nf.zero_diagonal)(draws["flip"])
    return torch.vmap(nf.transition_matrix)(draws["rate"], flips).numpy()


def _matrix(
    fit: Fit, of: Callable[[Draw], Tensor], probability: float, num_draws: int | None
) -> MatrixEstimate:
    entries = latent_label_of(fit).num_classes ** 2
    draws = guide_draws(fit.guide, num_draws or max(50, min(1000, _ENTRIES // entries)))
    with torch.no_grad():
        values = torch.vmap(of)(draws).cpu().numpy()
    tail = (1 - probability) / 2
    low, high = np.quantile(values, [tail, 1 - tail], axis=0)
    return MatrixEstimate(values.mean(0), low, high, probability)
