"""What `nbam_pyro.outputs.transition` is given: checked, and in the types that it computes with."""

import torch
from jaxtyping import Float
from torch import Tensor

from nbam_pyro.checks.numbers import (
    LARGEST,
    as_class_codes,
    check_finite,
    check_log_probs,
    first_place,
)
from nbam_pyro.errors import DataError

__all__ = ["check_normalised", "labels_of", "precise", "start_counts"]

# Rows may sum to one up to this; those of half precision, whose logarithms have two or three
# digits, up to the other.
_ROUNDING, _COARSE_ROUNDING = 1e-3, 0.05


def precise(log_f: Tensor) -> Tensor:
    """Predictions without their graph, in single precision at least.

    Args:
        log_f: Log p(c | x), (N, K), normalised.

    Raises:
        DataError: They are in half precision and not normalised as far as that goes.
    """
    log_f = log_f.detach()
    if not log_f.is_floating_point() or torch.finfo(log_f.dtype).bits >= 32:
        return log_f
    log_f = log_f.float()
    check_normalised(log_f.exp().sum(-1), log_f, _COARSE_ROUNDING)
    return log_f.log_softmax(-1)


def check_normalised(total: Tensor, log_f: Tensor, rounding: float = _ROUNDING) -> None:
    """Refuse rows that do not sum to one.

    Args:
        total: The sum of the probabilities of each row, (N,).
        log_f: Log p(c | x), (N, K), for the message.
        rounding: How far from one a sum may be.

    Raises:
        DataError: A row sums to something else, or holds NaN.
    """
    # Negated, so that NaN fails.
    wrong = ~((total - 1).abs() < rounding)
    if not wrong.any():
        return
    check_log_probs(log_f, "log_f")
    raise DataError(
        f"log_f is not normalised in {int(wrong.sum())} rows, the first is {first_place(wrong)}: "
        "pass logits through log_softmax, or the logarithm of probabilities that sum to one."
    )


def labels_of(name: str, values: Tensor, log_f: Tensor, *, unlabelled: int | None) -> Tensor:
    """Labels of rows with predictions log_f as int64.

    Args:
        name: The name of the argument, for the message.
        values: Labels of any integer type, (N,).
        log_f: Log p(c | x), (N, K).
        unlabelled: The number that stands for no label; None where every row needs one.

    Raises:
        DataError: There is not one label per row, or one is no class.
    """
    n, k = log_f.shape
    if values.shape != (n,):
        raise DataError(f"{name} have shape {tuple(values.shape)}; expected ({n},), as log_f has.")
    return as_class_codes(values, name, k, unlabelled=unlabelled)


def start_counts(counts: Tensor, k: int) -> Float[Tensor, "k k"]:
    """Counts to start from in double precision.

    Args:
        counts: Counts by true and observed label, (K, K).
        k: K.

    Raises:
        DataError: The shape differs, or a count is negative or not finite.
    """
    if counts.shape != (k, k):
        raise DataError(f"start has shape {tuple(counts.shape)}; give counts, ({k}, {k}).")
    counts = counts.detach().double()
    check_finite(counts, "start", largest=LARGEST, mend="give counts by true and observed label")
    if (counts < 0).any():
        raise DataError(
            f"start is negative in {first_place(counts < 0)}; give counts by true and observed "
            "label."
        )
    return counts
