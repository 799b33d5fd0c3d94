"""Numbers that can be seen of predicted probabilities and labels."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.special import expit
from torch import Tensor

__all__ = ["SEEN", "Seen", "sharpened"]

EPSILON = 0.005
"""Probability that a prediction is replaced by the mean prediction."""

SEEN = (
    "log share of disagreements",
    "log share of disagreements among the most certain fifth of the rows of each class",
    "log of its maximum over classes",
    "log share of disagreements among the more certain half of the rows of each class",
    "log power that fits the labels",
    "logit of the share that a broad distribution gets in that fit",
    "log number of classes",
    "log rows per class",
    "log doubt of the most certain tenth of the rows of each class",
    "log of its maximum over classes",
    "disagreements relative to the most frequent class",
    "square of the first",
    "square of the second",
    "square of the third",
)
"""Names of the numbers that the prior depends on."""

# The two-parameter fit uses at most this number of rows, evenly spaced by certainty.
_MOST = 20_000
# A class with fewer predicted rows does not count as the one with most disagreements, if others
# have more.
_FEW = 10


def sharpened(
    log_p: Float[Tensor, "n k"],
    sharpness: float | Float[Tensor, ""],
    mean: Float[Tensor, " k"] | None = None,
) -> Float[Tensor, "n k"]:
    """Return log f, the predictions of the true label at a sharpness.

    Args:
        log_p: Log predicted probabilities, (N, K).
        sharpness: Power a to which the probabilities are raised before they are normalised.
        mean: Mean predicted probabilities, (K,); None for those of these rows.
    """
    return _mixed(log_p, sharpness, EPSILON, mean).log_()


def _mixed(
    log_p: Float[Tensor, "n k"],
    a: float | Float[Tensor, ""],
    epsilon: float,
    mean: Float[Tensor, " k"] | None = None,
) -> Float[Tensor, "n k"]:
    f = (log_p * a).softmax(-1)
    mean = log_p.exp().mean(0) if mean is None else mean
    return f.mul_(1 - epsilon).add_(mean / mean.sum(), alpha=epsilon)


@dataclass(frozen=True)
class Seen:
    """Numbers that are computed from predicted probabilities and observed labels.

    Attributes:
        log_power: Logarithm of a power. The probabilities are raised to this power and normalised;
            with this power they predict the observed labels best.
        numbers: Numbers that the prior depends on, in the order of `SEEN`.
    """

    log_power: float
    numbers: np.ndarray

    @classmethod
    def of(cls, log_p: Float[Tensor, "n k"], labels: Int[Tensor, " n"]) -> "Seen":
        """Return the numbers for predictions and labels.

        Args:
            log_p: Log predicted probabilities, (N, K).
            labels: Observed labels, (N,).
        """
        n, k = log_p.shape
        top, predicted = log_p.max(-1)
        order = top.argsort(descending=True, stable=True)
        wrong = (predicted != labels).double()
        every = max(1, n // _MOST)
        log_power = _power(log_p, labels)
        power, broad = _broad_share(log_p[order[::every]].double(), labels[order[::every]])
        doubt = 1 - _mixed(log_p, math.exp(power), float(expit(broad))).amax(-1).double()
        classes = [order[predicted[order] == c] for c in range(k)]
        sizes, certain, largest, half, doubts = (
            np.array(column)
            for column in zip(
                *(_class(wrong[rows], doubt[rows]) for rows in classes if len(rows)), strict=True
            )
        )
        size = sizes / sizes.sum()
        enough = sizes >= min(_FEW, sizes.max())
        rest = 1 - float(labels.bincount(minlength=k).max()) / n
        overall = float(wrong.mean())
        shares = [
            math.log(overall + 0.5 / n),
            math.log(size @ certain + 2.5 / n),
            math.log(largest[enough].max()),
        ]
        numbers = [
            *shares,
            math.log(size @ half + 1 / n),
            log_power,
            float(np.clip(broad, -7, 2)),
            math.log(k),
            math.log(n / k),
            math.log(size @ doubts + 0.003),
            math.log(doubts[enough].max() + 0.003),
            min(overall / max(rest, 0.5 / n), 1.2),
            *(share**2 for share in shares),
        ]
        return cls(log_power, np.array(numbers))


def _class(wrong: Tensor, doubt: Tensor) -> tuple[float, ...]:
    """Return numbers about the rows that are predicted as one class.

    Args:
        wrong: Whether the classifier and the label disagree, the most certain row first, (n,).
        doubt: One minus the fitted probability of the class, (n,).

    Returns:
        The number of rows; the shares of disagreements in the most certain fifth, the same shrunk
        towards a small value, and in the more certain half; the doubt of the most certain tenth.
    """
    n = len(wrong)
    fifth = max(n // 5, min(_FEW, n))
    disagreements = float(wrong[:fifth].sum())
    return (
        n,
        disagreements / fifth,
        (disagreements + 0.2) / (fifth + 2),
        float(wrong[: max(n // 2, 1)].mean()),
        float(np.quantile(doubt.numpy(), 0.1)),
    )


def _power(log_p: Tensor, labels: Tensor) -> float:
    """Return the log of the power at which normalised powers of f predict the labels best."""
    from scipy.optimize import minimize_scalar

    def loss(log_a: float) -> float:
        f = _mixed(log_p, math.exp(log_a), EPSILON)
        return _log_loss(f, labels) + 0.5 * (log_a / 1.5) ** 2

    return float(minimize_scalar(loss, bounds=(-3, 3), options={"xatol": 0.02}).x)


def _broad_share(log_p: Tensor, labels: Tensor) -> tuple[float, float]:
    """Fit a power and the share of a broad distribution to the labels: log power and logit."""
    from scipy.optimize import minimize

    def loss(at: np.ndarray) -> float:
        f = _mixed(log_p, math.exp(at[0]), float(expit(at[1])))
        return _log_loss(f, labels) + 0.5 * (at[0] / 1.5) ** 2 + 0.5 * ((at[1] + 5) / 2.5) ** 2

    options = {"xatol": 0.05, "fatol": 0.05, "maxiter": 120}
    best = minimize(loss, (0.3, -3.0), method="Nelder-Mead", options=options).x
    return float(best[0]), float(best[1])


def _log_loss(f: Tensor, labels: Tensor) -> float:
    return -float(f.gather(1, labels[:, None]).double().log().sum())
