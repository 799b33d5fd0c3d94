"""Checked measurements, and the log joint probabilities of clean and anomalous ones."""

import math

import torch
from torch import Tensor

from nbam_pyro import functional as nf
from nbam_pyro.checks.numbers import LARGEST, check_all_finite, check_finite, first_place
from nbam_pyro.errors import DataError
from nbam_pyro.verified import Verified

__all__ = ["checked_targets", "counted_targets", "regression_pair"]


def checked_targets(prediction: Tensor, target: Tensor) -> Tensor:
    """Check that targets agree with predictions, and return them as floating-point numbers.

    Args:
        prediction: Predictions of any shape.
        target: Measurements, in the same shape.

    Raises:
        DataError: The shapes differ, a type is wrong, or a number is not finite.
    """
    if prediction.shape != target.shape:
        raise DataError(
            f"prediction has shape {tuple(prediction.shape)} and target {tuple(target.shape)}. "
            "The shapes must be equal; broadcasting would hide mistakes."
        )
    if not prediction.is_floating_point() or target.is_complex():
        raise DataError(
            f"prediction has type {prediction.dtype} and target {target.dtype}; expected "
            "floating-point predictions and real targets."
        )
    if not target.is_floating_point():
        # Single precision represents all integers of two bytes, but not all of four.
        target = target.to(torch.float32 if target.element_size() <= 2 else torch.float64)
    check_finite(
        prediction,
        "prediction",
        largest=LARGEST,
        mend="check whether the network has diverged",
    )
    check_finite(target, "target", largest=LARGEST, mend="leave such rows out")
    return target


def counted_targets(target: Tensor, contaminated: Tensor | None) -> Tensor:
    """Return a mask of the targets that are not verified as contaminated.

    Args:
        target: Measurements of any shape.
        contaminated: Verified switches, in the shape of target, or None.
    """
    return Verified.of(target, contaminated=contaminated).targets(target)[1]


def regression_pair(
    prediction: Tensor,
    target: Tensor,
    *,
    switch_logit: Tensor,
    log_scale: Tensor,
    anomaly_loc: Tensor,
    anomaly_scale: Tensor,
    contaminated: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """Return log p(y, z=0 | x) of a clean measurement and log p(y, z=1 | x) of an anomaly.

    Args:
        prediction: Predictions of any shape.
        target: Measurements, in the same shape.
        switch_logit: Logit of the contamination rate.
        log_scale: Logarithm of the noise scale of clean measurements.
        anomaly_loc: Location of the anomaly likelihood.
        anomaly_scale: Scale of the anomaly likelihood.
        contaminated: Verified switches, in the shape of target, or None. For a verified target, the
            term that is ruled out is -inf.

    Raises:
        DataError: A number is not finite, a scale is not positive, or a target has density 0
            under both likelihoods after rounding.
    """
    settings = {
        "switch_logit": switch_logit,
        "log_scale": log_scale,
        "anomaly_loc": anomaly_loc,
        "anomaly_scale": anomaly_scale,
    }
    check_all_finite(settings, largest=LARGEST, mend="check whether the training has diverged")
    if not (anomaly_scale > 0).all():
        raise DataError(f"anomaly_scale is {anomaly_scale.min().item()}; it must be positive.")
    clean = _normal_log_prob((target - prediction) / log_scale.exp(), log_scale)
    anomaly = _normal_log_prob((target - anomaly_loc) / anomaly_scale, anomaly_scale.log())
    a, b = nf.switch_log_joint(switch_logit, clean, anomaly)
    if contaminated is not None:
        verified = Verified.of(target, contaminated=contaminated)
        a, b = nf.observe_switch(a, b, verified.contaminated)
    # A comparison with NaN is false, so that its negation refuses NaN, too.
    impossible = ~((a > -torch.inf) | (b > -torch.inf))
    if impossible.any():
        raise DataError(
            f"The target in {first_place(impossible)} has density 0 under both likelihoods, "
            f"after rounding to {a.dtype}: it is too far from its prediction and from anomaly_loc, "
            "compared with the scales. Leave such rows out, or pass double precision."
        )
    return a, b


def _normal_log_prob(standardised: Tensor, log_scale: Tensor) -> Tensor:
    return -0.5 * standardised.square() - log_scale - 0.5 * math.log(2 * math.pi)
