"""Settings of detectors: how a backbone is trained, and which values are allowed."""

import math
from dataclasses import dataclass
from numbers import Real
from typing import Any

from torch import Tensor

from nbam_pyro.errors import DataError
from nbam_pyro.models.likelihoods.component import check_positive, check_whole
from nbam_pyro.training.devices import check_one_device

__all__ = ["Schedule", "check_contamination", "check_settings", "check_verified"]


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """Number of epochs, and the steps of the optimiser.

    Args:
        epochs: Number of epochs, the warm-up included.
        warm_up: Number of first epochs in which each row that is not verified counts as normal. At
            most half of the epochs are used for it.
        lr: Step size of AdamW.
        weight_decay: Weight decay of AdamW.
    """

    epochs: int = 200
    warm_up: int = 2
    lr: float = 1e-3
    weight_decay: float = 1e-5


def check_contamination(given: Any) -> None:
    """Raise a `DataError` if a share of anomalies is neither a number up to 0.5 nor "auto".

    Args:
        given: Value of the setting `contamination` of a detector.
    """
    if given != "auto" and not (isinstance(given, Real) and 0 <= float(given) <= 0.5):
        raise DataError(
            f"contamination is {given!r}; give a share of anomalies up to 0.5, or 'auto'."
        )


def check_settings(detector: Any) -> None:
    """Raise an error if a setting of an `AnomalyDetector` is not allowed.

    Args:
        detector: The detector, before it is fitted.

    Raises:
        DataError: A number is out of its range.
        StoryError: The trainer has several devices.
    """
    check_one_device(detector.trainer or {})
    check_contamination(detector.contamination)
    for name in ("members", "epochs", "batch_size"):
        check_whole(name, getattr(detector, name), least=1)
    check_whole("warm_up", detector.warm_up, least=0)
    check_positive("lr", detector.lr)
    if not 0 <= detector.weight_decay < math.inf:
        raise DataError(f"weight_decay is {detector.weight_decay}; give 0 or more.")


def check_verified(contamination: Any, verified: Tensor, *, exact: bool) -> None:
    """Raise a `DataError` if the share of anomalies is 0 but rows are verified as anomalies.

    With a share of 0, the posterior probability that a row is an anomaly is 0, which contradicts a
    verified anomaly. Assignments that do not compute posteriors accept a share of 0.

    Args:
        contamination: Share of anomalies among the training rows, or "auto".
        verified: Integer codes of the training rows, (N,): 1 for a verified anomaly, 0 for a
            verified normal row, -1 where nothing is verified.
        exact: Whether the assignment computes posteriors, as `Exact` does.
    """
    anomalies = int((verified == 1).sum())
    if contamination == 0 and exact and anomalies:
        raise DataError(
            f"contamination is 0, but {anomalies} rows are verified as anomalies. Give a share "
            "above 0, or 'auto'."
        )
