"""Checks of the settings of a `Representation`."""

from typing import Any

from nbam_pyro.detection.settings import check_contamination
from nbam_pyro.errors import DataError
from nbam_pyro.models.likelihoods.component import check_positive, check_whole
from nbam_pyro.training.devices import check_one_device
from nbam_pyro.training.parallel import check_n_jobs

__all__ = ["check_given", "check_settings"]

_SCORES = ("mahalanobis", "max_logit", "density")


def check_settings(detector: Any) -> None:
    """Raise an error if a setting of a `Representation` is not allowed.

    Args:
        detector: The detector, before it is fitted.

    Raises:
        DataError: A number is out of its range.
        StoryError: The trainer has several devices.
    """
    check_one_device(detector.trainer or {})
    check_contamination(detector.contamination)
    check_n_jobs(detector.n_jobs)
    check_whole("epochs", detector.epochs, least=1)
    check_whole("batch_size", detector.batch_size, least=2)
    check_positive("lr", detector.lr)
    if not 0 <= detector.weight_decay < float("inf"):
        raise DataError(f"weight_decay is {detector.weight_decay}; give 0 or more.")
    if not 0 < detector.held_out <= 0.5:
        raise DataError(f"held_out is {detector.held_out}; give a share above 0, up to 0.5.")
    if detector.score not in _SCORES:
        raise DataError(f"score is {detector.score!r}; give one of {', '.join(_SCORES)}.")


def check_given(y: Any, nuisance: Any) -> None:
    """Raise a `DataError` if classes or nuisances are missing.

    Args:
        y: Class of each row; None if it is missing.
        nuisance: Nuisance of each row; None if it is missing.
    """
    if y is None or nuisance is None:
        raise DataError(
            "Representation needs the class of each row, y, and its nuisance: call "
            "fit(X, y, nuisance=...). Without them, use MixedDetector or AnomalyDetector."
        )
