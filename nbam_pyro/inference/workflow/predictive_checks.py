"""Checks of a fit: replicated and observed labels, and a test with flipped labels."""

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
from nbam_pyro.inference.posterior.scoring import at_median, in_evaluation_mode, scored_rows
from nbam_pyro.inference.variational.guides import guide_draws, guide_median

__all__ = ["KnownFlips", "confusion_check", "expected_calibration_error", "known_flips"]


def confusion_check(
    fit: Fit, x: Any, y: Any, *, num_draws: int = 200, probability: float = 0.9, seed: int = 0
) -> pd.DataFrame:
    r"""Check whether observed and predicted labels disagree as often as the fit expects.

    This is a posterior predictive check. For every draw of the global latents, new labels are drawn
    for the same rows, :math:`y^{rep} \sim p(y | x)`. Observed and drawn labels are counted for each
    predicted label, which is the most probable true label. The network may have memorised the
    labels of rows that it was trained on, so pass held-out rows, such as `x[fit.held_out]`.

    Args:
        fit: Fit of a `LabelFlip`.
        x: Rows, (N, ...).
        y: Observed labels, (N,).
        num_draws: Number of replicated data sets.
        probability: Probability that the central interval covers, such as 0.9. It is the interval
            of the counts in data sets that are simulated from the fit.
        seed: Seed of the draws.

    Returns:
        One row for each pair of a predicted and an observed label. An additional row for each
        predicted label, with observed label -1, counts all labels that differ from it. The columns
        are "predicted", "observed", the observed "count", "mean", "low" and "high" of the
        replicated counts, and "p", the two-sided probability of a count at least as extreme. By
        chance, one p in twenty is below 0.05.

    Raises:
        DataError: The rows are invalid (see `responsibilities`).
        StoryError: The story is not a `LabelFlip`.

    Source: Rubin (1984), Gelman et al. (1996).
    """
    fit = in_evaluation_mode(fit)
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
    """Count rows by predicted and observed label, (K, K + 1); disagreements in the last column."""
    table = np.bincount(predicted.ravel() * k + labels.ravel(), minlength=k * k).reshape(k, k)
    return np.column_stack([table, table.sum(1) - table.diagonal()])


@dataclass(frozen=True, eq=False)
class KnownFlips:
    """Result of `known_flips`: how well a fit finds labels that were flipped on purpose.

    Flips on purpose are independent of each other given the true label. Human errors are less
    independent: they cluster on difficult rows, where the predictor is uncertain, too. A fit finds
    human errors less well. The results are therefore optimistic: they are upper bounds of its
    performance on human errors.

    Attributes:
        responsibility: Responsibility P(z=1 | x, y) of every row that was used, (n,).
        flipped: Booleans that mark the flipped rows, (n,).
        auroc: Probability that a flipped row has a higher responsibility than another row.
        ece: Expected calibration error over 15 bins of equal width.
        fdr: Expected false discovery rate at which rows were flagged: the mean probability that a
            flagged label is right, according to the fit.
        false_discoveries: Share of the flagged rows that had not been flipped.
        recall: Share of the flipped rows that was flagged.
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
            f"{self.flipped.sum()} of {len(self.flipped)} labels were flipped on purpose: AUROC "
            f"{self.auroc:.3f}, ECE {self.ece:.3f}. At an expected false discovery rate of "
            f"{self.fdr:.2f}, {self.false_discoveries:.3f} of the flagged labels had not been "
            f"flipped, and {self.recall:.3f} of the flipped labels were flagged. Human errors are "
            "less independent than these flips: they cluster where the predictor is uncertain, and "
            "are found less well."
        )


def known_flips(
    fit: Fit, x: Any, y: Any, *, share: float = 0.05, fdr: float = 0.1, seed: int = 0
) -> KnownFlips:
    """Flip some labels by the estimated flip matrix T and measure how well the fit finds them.

    Rows with a responsibility of at least 0.5 are left out. The labels of the other rows are
    assumed to be correct. A few of them are wrong; their expected share is the mean of the
    responsibilities. A share of the labels is flipped by T. All rows are scored with contamination
    rates equal to this share, because these are the rates of the flipped data. This tests the
    predictor f and T, but not the estimated rates. The network may have memorised the labels of
    rows that it was trained on, so pass held-out rows, such as `x[fit.held_out]`.

    Args:
        fit: Fit of a `LabelFlip`.
        x: Rows, (N, ...).
        y: Observed labels, (N,).
        share: Share of the labels to flip.
        fdr: Expected false discovery rate at which rows are flagged.
        seed: Seed of the flips.

    Returns:
        Responsibilities, flips, and measures of how well the responsibilities find the flips.

    Raises:
        DataError: The share is not in (0, 1), or none or all of the rows are flipped.
        StoryError: The story is not a `LabelFlip`, or has several labels per row.
    """
    fit = in_evaluation_mode(fit)
    story = latent_label_of(fit)
    if story.dims:
        raise StoryError(
            f"known_flips needs one label per row, but this story has several, {story.dims}. Fit a "
            "story without dims."
        )
    if not 0 < share < 1:
        raise DataError(f"share is {share}, but it must be between 0 and 1, for example 0.05.")
    rows = scored_rows(fit, x, y)
    believed = torch.as_tensor(responsibilities(fit, x, y) < 0.5)
    clean = Scored(rows.x[believed], rows.y[believed])
    rng = np.random.default_rng(seed)
    flipped = rng.random(len(clean.y)) < share
    if not flipped.any() or flipped.all():
        raise DataError(
            f"{int(flipped.sum())} of {len(flipped)} labels were flipped, so nothing can be "
            "compared. Give more rows."
        )
    latents = guide_median(fit.guide)
    labels = clean.y.numpy().copy()
    flip = nf.zero_diagonal(latents["flip"]).double().numpy()
    labels[flipped] = _flipped(labels[flipped], flip, rng)
    known = {**latents, "rate": torch.full_like(latents["rate"], share)}
    # Flips on purpose do not depend on groups or on the row.
    known |= {n: torch.zeros_like(latents[n]) for n in ("deviation", "group") if n in latents}

    def responsibility(part: Scored, _: Any) -> Tensor:
        return nf.responsibility(*story.log_joint(part.x, part.y, known))

    r = at_median(fit, responsibility, clean.x, torch.as_tensor(labels))
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
    """Draw a different label for each label, with the probabilities of its row of T."""
    above = flip.cumsum(1)[labels]
    return (rng.random(len(labels))[:, None] * above[:, -1:] >= above).sum(1)


def expected_calibration_error(r: np.ndarray, contaminated: np.ndarray) -> float:
    """Return the expected calibration error of responsibilities, from 0 (best) to 1.

    Responsibilities are divided into 15 bins of equal width. The error is the mean absolute
    difference between the mean responsibility of a bin and the share of its targets that are
    contaminated, weighted by the number of rows in each bin.

    Args:
        r: Responsibilities, (N,).
        contaminated: Booleans that mark targets that are truly contaminated, (N,).

    Source: Naeini et al. (2015), by torchmetrics.

    Example:
        >>> r, truth = np.array([0.2, 0.2, 1.0]), np.array([False, True, True])
        >>> round(expected_calibration_error(r, truth), 3)
        0.2
    """
    # Copies, because columns of pandas are read-only.
    truth = torch.as_tensor(np.array(contaminated))
    return float(binary_calibration_error(torch.as_tensor(np.array(r)), truth, n_bins=15))
