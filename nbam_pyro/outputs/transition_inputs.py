"""Checks of the arguments of `estimate_transition`, and their conversion."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from nbam_pyro.checks.numbers import (
    LARGEST,
    as_class_codes,
    check_finite,
    check_log_probs,
    first_place,
)
from nbam_pyro.errors import DataError
from nbam_pyro.verified import Verified

__all__ = [
    "EXPONENTS",
    "check_normalised",
    "labels_of",
    "precise",
    "start_counts",
    "without_wrong_labels",
]

EXPONENTS = (0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 3.0, 4.0)
"""Candidates for the power to which predictions are raised, so that they fit the labels."""

# Largest deviation of a row's sum from one, and the same in half precision, where a logarithm has
# only two or three digits.
_ROUNDING, _COARSE_ROUNDING = 1e-3, 0.05


def precise(log_f: Tensor) -> Tensor:
    """Return predictions in single or double precision, without their gradient graph.

    Args:
        log_f: Log p(c | x), (N, K), normalised.

    Raises:
        DataError: Predictions in half precision are not normalised, up to its rounding.
    """
    log_f = log_f.detach()
    if not log_f.is_floating_point() or torch.finfo(log_f.dtype).bits >= 32:
        return log_f
    log_f = log_f.float()
    check_normalised(log_f.exp().sum(-1), log_f, _COARSE_ROUNDING)
    return log_f.log_softmax(-1)


def check_normalised(total: Tensor, log_f: Tensor, rounding: float = _ROUNDING) -> None:
    """Raise an error if the probabilities of a row do not sum to one.

    Args:
        total: Sum of the probabilities of each row, (N,).
        log_f: Log p(c | x), (N, K). It is checked for NaN and for logits, for a clearer message.
        rounding: Largest deviation of a sum from one.

    Raises:
        DataError: The sum of a row is not one, or is NaN.
    """
    # A comparison with NaN is false; its negation therefore also finds NaN.
    wrong = ~((total - 1).abs() < rounding)
    if not wrong.any():
        return
    check_log_probs(log_f, "log_f")
    raise DataError(
        f"log_f is not normalised in {int(wrong.sum())} rows, the first is {first_place(wrong)}. "
        "Apply log_softmax to logits, or pass the logarithm of probabilities that sum to one."
    )


def labels_of(name: str, values: Tensor, log_f: Tensor, *, unlabelled: int | None) -> Tensor:
    """Return labels of rows as int64, after a check against the predictions of these rows.

    Args:
        name: Name of the argument, for the message.
        values: Labels of any integer type, (N,).
        log_f: Log p(c | x), (N, K), the predictions of the rows.
        unlabelled: Code that means that a row has no label; None if every row needs a label.

    Raises:
        DataError: The number of labels is not N, or a label is not one of the K classes.
    """
    n, k = log_f.shape
    if values.shape != (n,):
        raise DataError(
            f"{name} have shape {tuple(values.shape)}; expected ({n},), one for each row of log_f."
        )
    return as_class_codes(values, name, k, unlabelled=unlabelled)


def start_counts(counts: Tensor, k: int) -> Float[Tensor, "k k"]:
    """Return counts to start from in double precision.

    Args:
        counts: Counts by true and observed label, (K, K).
        k: Number of classes K.

    Raises:
        DataError: The shape is not (K, K), or a count is negative or not finite.
    """
    if counts.shape != (k, k):
        raise DataError(f"start has shape {tuple(counts.shape)}; expected counts, ({k}, {k}).")
    counts = counts.detach().double()
    check_finite(counts, "start", largest=LARGEST, mend="pass counts by true and observed label")
    if (counts < 0).any():
        raise DataError(
            f"start is negative in {first_place(counts < 0)}. Pass counts by true and observed "
            "label."
        )
    return counts


def without_wrong_labels(
    log_f: Float[Tensor, "n k"], labels: Int[Tensor, " n"], verified: Verified
) -> Float[Tensor, "n k"]:
    """Return normalised log probabilities, -inf for labels verified as wrong.

    Args:
        log_f: Log p(c | x), (N, K).
        labels: Observed labels, (N,).
        verified: Verified switches and true labels of the N rows, or `NOTHING`.
    """
    if len(verified):  # A label that is verified as wrong cannot be the true one.
        wrong = verified.switch(labels) == 1
        log_f = log_f.clone()
        log_f[wrong, labels[wrong]] = -torch.inf
    return log_f.log_softmax(-1)
