"""Labels of any shape, with what is verified of them, one element after the other."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from nbam_pyro import functional as nf
from nbam_pyro.errors import DataError
from nbam_pyro.verified import Verified

__all__ = ["Elements", "check_shapes", "elements_of", "log_flip_of", "verified_of"]


class Elements(NamedTuple):
    """Labels and their predictions; ignored ones have some label and nothing verified.

    Attributes:
        log_f: log p(c | x), (N, K).
        labels: observed labels, (N,).
        labelled: which of them are not ignored, (N,).
        deviation: g(x), (N,), if there is one.
        verified: what is verified of them, (N,), if anything.
    """

    log_f: Tensor
    labels: Tensor
    labelled: Tensor
    deviation: Tensor | None
    verified: Verified | None

    def pair(self, rate_logits: Tensor, flip_logits: Tensor) -> tuple[Tensor, Tensor]:
        """The pair (a, b) of the latent true label, each (N,)."""
        known = {} if self.verified is None else vars(self.verified)
        log_flip = log_flip_of(flip_logits)
        return nf.label_flip_log_joint(
            self.log_f, self.labels, rate_logits, log_flip, self.deviation, **known
        )


def elements_of(
    logits: Tensor,
    target: Tensor,
    switch_logits: Tensor | None,
    verified: Verified | None,
    ignore_index: int,
) -> Elements:
    """The elements of logits (N, K, d1, ...) and of what has the shape of target (N, d1, ...)."""
    rows = logits.movedim(1, -1).reshape(-1, logits.shape[1])
    labels = target.reshape(-1)
    labelled = labels != ignore_index
    return Elements(
        rows.log_softmax(-1),
        torch.where(labelled, labels, 0),
        labelled,
        None if switch_logits is None else switch_logits.reshape(-1),
        None if verified is None else verified.flatten(),
    )


def log_flip_of(flip_logits: Tensor) -> Tensor:
    """log T with -inf on its diagonal, (K, K), from logits of its rows, (K, K-1)."""
    return nf.zero_diagonal(flip_logits.log_softmax(-1), fill=-math.inf)


def check_shapes(logits: Tensor, target: Tensor, k: int, switch: Tensor | None) -> None:
    """Raise a `DataError` where logits, target and the prior's logits do not fit together."""
    if logits.ndim < 2 or logits.shape[1] != k:
        raise DataError(f"logits have shape {tuple(logits.shape)}; expected (N, {k}, ...).")
    expected = (logits.shape[0], *logits.shape[2:])
    if target.shape != expected:
        raise DataError(f"target has shape {tuple(target.shape)}; expected {expected}.")
    if switch is not None and switch.shape != expected:
        raise DataError(f"switch_logits have shape {tuple(switch.shape)}; expected {expected}.")


def verified_of(
    logits: Tensor,
    target: Tensor,
    contaminated: Tensor | None,
    true_label: Tensor | None,
    ignore_index: int,
) -> Verified | None:
    """What is verified of the labels that are not ignored, in the shape of target.

    Raises:
        DataError: a shape or value is wrong, or something contradicts something else.
    """
    if contaminated is None and true_label is None:
        return None
    ignored = target == ignore_index
    given = {"contaminated": contaminated, "true_label": true_label}
    for name, codes in given.items():
        if codes is not None and codes.shape == target.shape:
            given[name] = codes.masked_fill(ignored, -1)
    return Verified.of(target, **given, num_classes=logits.shape[1])
