"""Checks of a fit: labels drawn anew beside those observed, and flips made on purpose."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor
from torchmetrics.functional.classification import binary_calibration_error

from nbam_pyro import functional as nf
from nbam_pyro.decisions import flags
from nbam_pyro.errors import DataError, StoryError
from nbam_pyro.inference.posterior.draws import Scored
from nbam_pyro.inference.posterior.fit_result import Fit
from nbam_pyro.inference.posterior.predictive import predictive_draws
from nbam_pyro.inference.posterior.row_posteriors import latent_label_of, responsibilities
from nbam_pyro.inference.posterior.scoring import at_median, scored_rows, settled
from nbam_pyro.inference.variational.guides import guide_draws, guide_median

__all__ = ["KnownFlips", "confusion_check", "expected_calibration_error", "known_flips"]


def confusion_check(
    fit: Fit, x: Any, y: Any, *, num_draws: int = 200, probability: float = 0.9, seed: int = 0
) -> pd.DataFrame:
    r"""Posterior predictive check of how observed labels disagree with predicted ones.

    Labels are drawn anew for the same rows, :math:`y^{rep} \sim p(y | x)`, once for every draw of
    the global latents, and counted beside the most probable true label. Rows that the network was
    trained on have memorised labels: give it `x[fit.held_out]`.

    Args:
        fit: a fit of a `LabelFlip`.
        x: rows, (N, ...).
        y: observed labels, (N,).
        num_draws: replicated data sets.
        probability: of the interval.
        seed: of the draws.

    Returns:
        One row for each predicted and observed label, and one for each predicted label with
        observed label -1, for all that are not the predicted one: "count" of the data, "mean",
        "low" and "high" of the replications, and "p", the two-sided posterior predictive
        probability of a count at least as far out. One p in twenty is below .05 by chance.

    Raises:
        StoryError: the story is no `LabelFlip`.

    Source: Rubin (1984), Gelman et al. (1996).
    """
    fit = settled(fit)
    story = latent_label_of(fit)
    rows = scored_rows(fit, x, y)
    k = story.num_classes
    predicted = at_median(fit, lambda part, one: story.log_predictor(part.x, one)[0].argmax(-1), x)
    draws = guide_draws(fit.guide, num_draws, seed=seed)
    replicated = predictive_draws(story, rows, draws, num_draws, seed=seed)[0]
    observed = _counts(predicted, rows.y.numpy(), k)
    again = np.stack([_counts(predicted, labels, k) for labels in replicated])
    tail = (1 - probability) / 2
    low, high = np.quantile(again, [tail, 1 - tail], axis=0)
    below, above = (again <= observed).mean(0), (again >= observed).mean(0)
    class_, label = np.divmod(np.arange(k * (k + 1)), k + 1)
    return pd.DataFrame(
        {
            "predicted": class_,
            "observed": np.where(label == k, -1, label),
            "count": observed.ravel(),
            "mean": again.mean(0).ravel(),
            "low": low.ravel(),
            "high": high.ravel(),
            "p": np.minimum(1.0, 2 * np.minimum(below, above)).ravel(),
        }
    )


def _counts(predicted: np.ndarray, labels: np.ndarray, k: int) -> np.ndarray:
    """Rows by predicted and observed label, (K, K + 1); the last column has the disagreements."""
    table = np.bincount(predicted.ravel() * k + labels.ravel(), minlength=k * k).reshape(k, k)
    return np.column_stack([table, table.sum(1) - table.diagonal()])


@dataclass(frozen=True, eq=False)
class KnownFlips:
    """How well flips are found that were made on purpose.

    Human errors are less independent than these: they cluster on rows that are hard, where the
    predictor is unsure as well. Real flips are found less well, and the figures are a bound.

    Attributes:
        responsibility: of every row that took part, (n,).
        flipped: which of them were flipped, (n,).
        auroc: probability that a flipped row is more suspect than another.
        ece: expected calibration error over 15 bins of equal width.
        fdr: the posterior-expected false discovery rate at which rows were flagged.
        false_discoveries: the realised share of flagged rows that had not been flipped.
        recall: the share of flipped rows that was flagged.
    """

    responsibility: np.ndarray
    flipped: np.ndarray
    auroc: float
    ece: float
    fdr: float
    false_discoveries: float
    recall: float

    def __str__(self) -> str:
        return (
            f"{self.flipped.sum()} of {len(self.flipped)} labels flipped on purpose: AUROC "
            f"{self.auroc:.3f}, ECE {self.ece:.3f}; at an expected false discovery rate of "
            f"{self.fdr:.2f}, {self.false_discoveries:.3f} of the flagged were not flipped and "
            f"{self.recall:.3f} of the flipped were found. Human errors are less independent than "
            "these: they cluster where the predictor is unsure, and are found less well."
        )


def known_flips(
    fit: Fit, x: Any, y: Any, *, share: float = 0.05, fdr: float = 0.1, seed: int = 0
) -> KnownFlips:
    """Flip a few labels by the learned T and see whether the fit finds them.

    Rows that are more probably contaminated than not are left out; the labels of the others count
    as right, which they are but for the mean of their responsibilities. A share of them is flipped
    by T and all are scored with rates equal to that share, as is true of them. It is f and T that
    are put to the test, not the rates. Rows that were trained on have memorised labels: give it
    `x[fit.held_out]`.

    Args:
        fit: a fit of a `LabelFlip`.
        x: rows, (N, ...).
        y: observed labels, (N,).
        share: of the labels to flip.
        fdr: the posterior-expected false discovery rate to flag at.
        seed: of what is flipped.

    Raises:
        DataError: the share is not in (0, 1), or no row is flipped.
        StoryError: the story is no `LabelFlip`, or has several labels per row.
    """
    fit = settled(fit)
    story = latent_label_of(fit)
    if story.dims:
        raise StoryError("known_flips is for one label per row; this story has dims.")
    if not 0 < share < 1:
        raise DataError(f"share is {share}; it must lie in (0, 1).")
    rows = scored_rows(fit, x, y)
    believed = torch.as_tensor(responsibilities(fit, x, y) < 0.5)
    clean = Scored(rows.x[believed], rows.y[believed])
    rng = np.random.default_rng(seed)
    flipped = rng.random(len(clean.y)) < share
    if not flipped.any() or flipped.all():
        raise DataError(
            f"{int(flipped.sum())} of {len(flipped)} labels were flipped: give more rows."
        )
    latents = guide_median(fit.guide)
    labels = clean.y.numpy().copy()
    flip = nf.zero_diagonal(latents["flip"]).double().numpy()
    labels[flipped] = _flipped(labels[flipped], flip, rng)
    told = {**latents, "rate": torch.full_like(latents["rate"], share)}
    # Flips made on purpose know of no groups and places.
    told |= {n: torch.zeros_like(latents[n]) for n in ("deviation", "group") if n in latents}

    def of(part: Scored, _: Any) -> Tensor:
        return nf.responsibility(*story.log_joint(part.x, part.y, told))

    r = at_median(fit, of, clean.x, torch.as_tensor(labels))
    flagged = flags(r, fdr=fdr).flagged
    return KnownFlips(
        responsibility=r,
        flipped=flipped,
        auroc=float(roc_auc_score(flipped, r)),
        ece=expected_calibration_error(r, flipped),
        fdr=fdr,
        false_discoveries=float((flagged & ~flipped).sum() / max(flagged.sum(), 1)),
        recall=float((flagged & flipped).sum() / flipped.sum()),
    )


def _flipped(labels: np.ndarray, flip: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Other labels drawn from the rows of T that belong to these."""
    above = flip.cumsum(1)[labels]
    return (rng.random(len(labels))[:, None] * above[:, -1:] >= above).sum(1)


def expected_calibration_error(r: np.ndarray, contaminated: np.ndarray) -> float:
    """Mean distance of stated and realised contamination over 15 bins of equal width.

    Args:
        r: responsibilities, (N,).
        contaminated: the truth, (N,) booleans.

    Source: Naeini et al. (2015), by torchmetrics.

    Example:
        >>> r, truth = np.array([0.2, 0.2, 1.0]), np.array([False, True, True])
        >>> round(expected_calibration_error(r, truth), 3)
        0.2
    """
    truth = torch.as_tensor(np.asarray(contaminated))
    return float(binary_calibration_error(torch.as_tensor(r), truth, n_bins=15))
