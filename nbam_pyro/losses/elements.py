"""Labels of any shape as a flat list of elements, with their predictions and verified values."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from nbam_pyro import functional as nf
from nbam_pyro.checks.numbers import LARGEST, as_class_codes, check_finite
from nbam_pyro.errors import DataError
from nbam_pyro.training.tensors import at_least_single
from nbam_pyro.verified import NOTHING, Verified, verified_codes

__all__ = ["Elements", "checked_labels", "elements_of", "log_flip_of", "verified_of"]


class Elements(NamedTuple):
    """Labels and their predictions, one element per label.

    An element without a label (`ignore_index`) has an arbitrary label here and no verified value.

    Attributes:
        log_f: Log probabilities log p(c | x) of the true label, (N, K).
        labels: Observed labels, (N,).
        labelled: True where an element has a label, (N,) booleans.
        deviation: Each row's deviation g(x) from the logit of its contamination rate, (N,), or
            None.
        verified: Verified switches and true labels.
    """

    log_f: Tensor
    labels: Tensor
    labelled: Tensor
    deviation: Tensor | None
    verified: Verified

    @property
    def known(self) -> "Elements":
        """Elements that have a label; a `DataError` if there are none."""
        if not self.labelled.any():
            raise DataError("No element is labelled. Pass rows that have labels.")
        return self._of(self.labelled)

    @property
    def unaided(self) -> "Elements":
        """Elements that have a label and no verified value, without deviations."""
        unverified = ~self.verified.known if len(self.verified) else True
        return self._of(self.labelled & unverified)._replace(deviation=None, verified=NOTHING)

    def sharpened(self, power: float) -> "Elements":
        """Return the elements with predictions p^a / sum p^a.

        Args:
            power: Power a, positive.
        """
        if power == 1:
            return self
        return self._replace(log_f=(power * self.log_f).log_softmax(-1))

    def _of(self, chosen: Tensor) -> "Elements":
        return Elements(
            self.log_f[chosen],
            self.labels[chosen],
            self.labelled[chosen],
            None if self.deviation is None else self.deviation[chosen],
            self.verified[chosen],
        )

    def pair(self, rate_logits: Tensor, flip_logits: Tensor) -> tuple[Tensor, Tensor]:
        """Return the log joint probabilities (a, b) of a clean and of a wrong label.

        They are a = log p(y, z=0 | x) and b = log p(y, z=1 | x), two tensors of shape (N,).

        Args:
            rate_logits: Logits of the contamination rate of each true class, (K,).
            flip_logits: Logits of the rows of T over the other classes, (K, K-1).
        """
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
    """Flatten a batch to one element per label.

    Args:
        logits: Predictions, (N, K, d1, ...).
        target: Observed labels, (N, d1, ...).
        switch_logits: Deviations g(x), in the shape of target, or None.
        verified: Verified values, in the shape of target.
        ignore_index: Value of target that means "no label".
    """
    rows = at_least_single(logits).movedim(1, -1).reshape(-1, logits.shape[1])
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
    """Return log T, (K, K), with -inf on its diagonal.

    Args:
        flip_logits: Logits of the rows of T over the other classes, (K, K-1).
    """
    return nf.zero_diagonal(flip_logits.log_softmax(-1), fill=-math.inf)


def checked_labels(
    logits: Tensor, target: Tensor, k: int, switch_logits: Tensor | None, ignore_index: int
) -> Tensor:
    """Check a batch of a classification loss, and return its target as int64.

    Args:
        logits: Predictions, (N, K, d1, ...).
        target: Observed labels of any integer type, (N, d1, ...).
        k: Number of classes that the loss has parameters for.
        switch_logits: Deviations g(x), in the shape of target, or None.
        ignore_index: Value of target that means "no label".

    Raises:
        DataError: A shape or type is wrong, a number is not finite, or a label is not one of the K
            classes.
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
            f"switch_logits have shape {tuple(switch_logits.shape)}; expected the shape of target, "
            f"{expected}."
        )
    check_finite(
        logits,
        "logits",
        largest=LARGEST,
        mend="check whether the network has diverged; the logit of an impossible class can be -1e4",
    )
    if switch_logits is not None:
        check_finite(
            switch_logits,
            "switch_logits",
            largest=LARGEST,
            mend="check whether the network has diverged",
        )
    return as_class_codes(target, "target", k, unlabelled=ignore_index, option="ignore_index")


def verified_of(
    logits: Tensor,
    target: Tensor,
    contaminated: Tensor | None,
    true_label: Tensor | None,
    ignore_index: int,
) -> Verified:
    """Collect the verified values of the labels that are not ignored.

    Args:
        logits: Predictions, (N, K, d1, ...).
        target: Observed labels, (N, d1, ...).
        contaminated: Verified switches, in the shape of target, or None.
        true_label: Verified true labels, in the shape of target, or None.
        ignore_index: Value of target that means "no label".

    Returns:
        Verified values, in the shape of target; `NOTHING` if both arguments are None.

    Raises:
        DataError: A shape or value is wrong, or two verified values contradict each other.
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
