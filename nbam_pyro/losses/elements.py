"""Labels of any shape, with what is verified of them, one element after the other."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from nbam_pyro import functional as nf
from nbam_pyro.checks.numbers import LARGEST, as_class_codes, check_finite
from nbam_pyro.errors import DataError
from nbam_pyro.verified import NOTHING, Verified, verified_codes

__all__ = ["Elements", "checked_labels", "elements_of", "log_flip_of", "verified_of"]


class Elements(NamedTuple):
    """Labels and their predictions; ignored ones have some label and nothing verified.

    Attributes:
        log_f: log p(c | x), (N, K).
        labels: observed labels, (N,).
        labelled: which of them are not ignored, (N,).
        deviation: g(x), (N,), if there is one.
        verified: What is verified of them.
    """

    log_f: Tensor
    labels: Tensor
    labelled: Tensor
    deviation: Tensor | None
    verified: Verified

    def pair(self, rate_logits: Tensor, flip_logits: Tensor) -> tuple[Tensor, Tensor]:
        """The pair (a, b) of the latent true label, each (N,)."""
        log_flip = log_flip_of(flip_logits)
        return nf.label_flip_log_joint(
            self.log_f, self.labels, rate_logits, log_flip, self.deviation, **self.verified.codes
        )


def elements_of(
    logits: Tensor,
    target: Tensor,
    switch_logits: Tensor | None,
    verified: Verified,
    ignore_index: int,
) -> Elements:
    """The elements of logits (N, K, d1, ...) and of what has the shape of target (N, d1, ...)."""
    # In half precision the logarithm of a probability has two or three digits.
    precise = logits.to(torch.promote_types(logits.dtype, torch.float32))
    rows = precise.movedim(1, -1).reshape(-1, logits.shape[1])
    labels = target.reshape(-1)
    labelled = labels != ignore_index
    return Elements(
        rows.log_softmax(-1),
        torch.where(labelled, labels, 0),
        labelled,
        None if switch_logits is None else switch_logits.reshape(-1),
        verified.flatten(),
    )


def log_flip_of(flip_logits: Tensor) -> Tensor:
    """log T with -inf on its diagonal, (K, K), from logits of its rows, (K, K-1)."""
    return nf.zero_diagonal(flip_logits.log_softmax(-1), fill=-math.inf)


def checked_labels(
    logits: Tensor, target: Tensor, k: int, switch_logits: Tensor | None, ignore_index: int
) -> Tensor:
    """The target as int64, once logits, target and the prior's logits are known to fit together.

    Args:
        logits: Predictions, (N, K, d1, ...).
        target: Observed labels of any integer type, (N, d1, ...).
        k: The number of classes that the criterion has parameters for.
        switch_logits: The prior's logits, in the shape of target; None where there are none.
        ignore_index: The value of target that stands for no label.

    Raises:
        DataError: A shape or type does not fit, a number is not finite, or a label is no class.
    """
    if logits.ndim < 2 or logits.shape[1] != k:
        raise DataError(f"logits have shape {tuple(logits.shape)}; expected (N, {k}, ...).")
    if not logits.is_floating_point():
        raise DataError(f"logits have type {logits.dtype}; expected floating-point numbers.")
    expected = (logits.shape[0], *logits.shape[2:])
    if target.shape != expected:
        raise DataError(f"target has shape {tuple(target.shape)}; expected {expected}.")
    if switch_logits is not None and switch_logits.shape != expected:
        raise DataError(
            f"switch_logits have shape {tuple(switch_logits.shape)}; expected {expected}."
        )
    check_finite(
        logits,
        "logits",
        largest=LARGEST,
        mend="look for a network that has diverged, and give an impossible class a logit such as "
        "-1e4",
    )
    if switch_logits is not None:
        check_finite(
            switch_logits,
            "switch_logits",
            largest=LARGEST,
            mend="look for a network that has diverged",
        )
    return as_class_codes(target, "target", k, unlabelled=ignore_index, option="ignore_index")


def verified_of(
    logits: Tensor,
    target: Tensor,
    contaminated: Tensor | None,
    true_label: Tensor | None,
    ignore_index: int,
) -> Verified:
    """What is verified of the labels that are not ignored, in the shape of target.

    Raises:
        DataError: a shape or value is wrong, or something contradicts something else.
    """
    if contaminated is None and true_label is None:
        return NOTHING
    ignored = target == ignore_index
    given = {"contaminated": contaminated, "true_label": true_label}
    for name, values in given.items():
        codes = verified_codes(values, target)
        if codes.shape == target.shape:
            codes = codes.masked_fill(ignored, -1)
        given[name] = codes
    return Verified.of(target, **given, num_classes=logits.shape[1])
