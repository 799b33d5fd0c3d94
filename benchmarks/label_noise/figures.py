"""Figures that compare the outcome of a method with the true labels."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    brier_score_loss,
    log_loss,
    roc_auc_score,
)

from benchmarks.label_noise.problems import Problem
from nbam_pyro import decisions
from nbam_pyro.inference import expected_calibration_error

Direction = tuple[int, int]

# Limits of probabilities in the log score: a certain mistake costs 9.2 nats.
_CERTAIN = (1e-4, 1 - 1e-4)
BINS = 10
"""Number of bins of equal width in a reliability figure."""
LABELS_IN_BIN, WRONG_IN_BIN = "labels_in_bin", "wrong_in_bin"
"""Names of the numbers of all and of wrong labels in a bin; the bin follows in brackets."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Result of a method on one problem.

    Attributes:
        flags: Probability that the label of each noisy training row is wrong, or the number in [0,
            1] that the method uses instead, (N,).
        last: Class probabilities of test rows after the last epoch, (M, K). None if the method
            does not predict.
        selected: Class probabilities of test rows at the epoch selected on noisy validation rows.
        rate: Estimated share of contaminated training rows, or None without an estimate.
        interval: 90 % interval of this share, or None without an interval.
        matrix: Estimated M = p(observed | true), (K, K), or None without an estimate.
        verdict: Level of the verdict, such as "cannot tell". None if the method has none.
    """

    flags: np.ndarray
    last: np.ndarray | None = None
    selected: np.ndarray | None = None
    rate: float | None = None
    interval: tuple[float, float] | None = None
    matrix: np.ndarray | None = None
    verdict: str | None = None


def figures(problem: Problem, outcome: Outcome) -> dict[str, float | int | str | None]:
    """Return all figures of an outcome by name. Undefined figures are None.

    Flags are judged on all noisy training rows, including validation rows. Figures named
    `*_resolvable` leave out rows whose true class is in a mutual pair (two classes that flip into
    each other) with a rate above one half.
    """
    flags, truth = outcome.flags, problem.labels.contaminated
    known = problem.resolvable[problem.labels.clean]
    test = problem.resolvable[problem.y_test]
    matrix = outcome.matrix
    return {
        "rate_overall": problem.labels.rate,
        "accuracy_last": _accuracy(problem.y_test, outcome.last),
        "accuracy_selected": _accuracy(problem.y_test, outcome.selected),
        "accuracy_resolvable": _accuracy(problem.y_test, outcome.selected, test),
        "auroc": _auroc(truth, flags),
        "auroc_resolvable": _auroc(truth[known], flags[known]),
        "auroc_within_label": auroc_within_label(truth, flags, problem.labels.observed),
        "average_precision": _average_precision(truth, flags),
        "average_precision_resolvable": _average_precision(truth[known], flags[known]),
        "brier": _brier(truth, flags),
        "brier_resolvable": _brier(truth[known], flags[known]),
        "ece": _ece(truth, flags),
        "ece_resolvable": _ece(truth[known], flags[known]),
        "log_score": log_loss(truth, flags.clip(*_CERTAIN), labels=[0, 1]),
        "rate_estimate": outcome.rate,
        "rate_true": problem.labels.rate,
        **_interval(problem.labels.rate, outcome.interval),
        "flagged": float((flags > 0.5).mean()),
        **_at_false_discovery_rates(truth, flags),
        **_reliability(truth, flags),
        "verdict": outcome.verdict,
        **_directions(problem, outcome),
        "transition_error": None if matrix is None else transition_error(problem.matrix, matrix),
    }


def _average_precision(truth: np.ndarray, flags: np.ndarray) -> float | None:
    return float(average_precision_score(truth, flags)) if truth.any() else None


def _ece(truth: np.ndarray, flags: np.ndarray) -> float | None:
    return expected_calibration_error(flags, truth) if len(truth) else None


def _interval(rate: float, interval: tuple[float, float] | None) -> dict[str, float | None]:
    """Return the width of an interval of the share, and 1 if it contains the true share."""
    if interval is None:
        return {"interval_width": None, "interval_covers": None}
    low, high = interval
    return {"interval_width": high - low, "interval_covers": float(low <= rate <= high)}


def _at_false_discovery_rates(truth: np.ndarray, flags: np.ndarray) -> dict[str, float | None]:
    """Return false discoveries at expected rates of .05 and .1, and the recall at .1."""
    strict, flagged = (decisions.flags(flags, fdr=rate).flagged for rate in (0.05, 0.1))
    return {
        "false_discoveries_strict": float((~truth)[strict].mean()) if strict.any() else None,
        "false_discoveries": float((~truth)[flagged].mean()) if flagged.any() else None,
        "recall": float(flagged[truth].mean()) if truth.any() else None,
    }


def _reliability(truth: np.ndarray, flags: np.ndarray) -> dict[str, float | None]:
    """Return, for each bin of numbers, how many labels are in it and how many of them are wrong."""
    bins = (flags * BINS).astype(int).clip(0, BINS - 1)
    count, wrong = (np.bincount(bins, w, minlength=BINS) for w in (None, truth))
    return {
        f"{name}[{k}]": float(value)
        for name, values in ((LABELS_IN_BIN, count), (WRONG_IN_BIN, wrong))
        for k, value in enumerate(values)
    }


def auroc_within_label(truth: np.ndarray, flags: np.ndarray, observed: np.ndarray) -> float | None:
    """Return the AUROC among rows with the same observed label, averaged over labels.

    The weight of a label is its number of pairs of a clean and a contaminated row. The result is
    the probability that the contaminated row of a random pair has the higher flag. It does not
    depend on information in the observed label alone. It is None if no label has such a pair.
    """
    total = pairs = 0.0
    for label in np.unique(observed):
        here = observed == label
        count = float(truth[here].sum() * (~truth[here]).sum())
        if count:
            total += count * roc_auc_score(truth[here], flags[here])
            pairs += count
    return total / pairs if pairs else None


def transition_error(true: np.ndarray, estimate: np.ndarray) -> float:
    """Return half the L1 distance between the rows of two matrices M, as mean over classes."""
    return float(0.5 * np.abs(true - estimate).sum(1).mean())


def named_directions(matrix: np.ndarray, *, above: float = 0.05) -> frozenset[Direction]:
    """Return flips (true, observed) that are the largest of their class and exceed `above`."""
    off = np.where(np.eye(len(matrix), dtype=bool), -1.0, matrix)
    pairs = [(c, int(target)) for c, target in enumerate(off.argmax(1))]
    return frozenset(pair for pair in pairs if off[pair] > above)


def _directions(problem: Problem, outcome: Outcome) -> dict[str, int | None]:
    true = problem.directions
    if true is None or outcome.matrix is None:
        found = false = None
    else:
        named = named_directions(outcome.matrix)
        found, false = len(named & true), len(named - true)
    return {
        "directions_found": found,
        "directions_false": false,
        "directions_total": None if true is None else len(true),
    }


def _accuracy(
    truth: np.ndarray, predicted: np.ndarray | None, rows: Any = slice(None)
) -> float | None:
    if predicted is None or not len(truth[rows]):
        return None
    return float(accuracy_score(truth[rows], predicted[rows].argmax(1)))


def _auroc(truth: np.ndarray, flags: np.ndarray) -> float | None:
    return float(roc_auc_score(truth, flags)) if 0 < truth.sum() < len(truth) else None


def _brier(truth: np.ndarray, flags: np.ndarray) -> float | None:
    return float(brier_score_loss(truth, flags, labels=[0, 1])) if len(truth) else None
