"""What a detector is given, checked before anything is trained."""

import math
from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np
import torch
from sklearn.utils.validation import validate_data
from torch import Tensor

from nbam_pyro.checks import check_finite
from nbam_pyro.detection.assignments import UNKNOWN
from nbam_pyro.detection.backbones.base import Energies
from nbam_pyro.errors import DataError
from nbam_pyro.estimators.targets import as_data_errors
from nbam_pyro.models.component import check_positive, check_whole


def check_settings(detector: Any) -> None:
    """Raise a `DataError` where a setting of an `AnomalyDetector` is out of its range."""
    given = detector.contamination
    if given != "auto" and not (isinstance(given, Real) and 0 <= float(given) <= 0.5):
        raise DataError(f"contamination is {given!r}; give a share up to 0.5, or 'auto'.")
    for name in ("members", "epochs", "batch_size"):
        check_whole(name, getattr(detector, name), least=1)
    check_whole("warm_up", detector.warm_up, least=0)
    check_positive("lr", detector.lr)
    if not 0 <= detector.weight_decay < math.inf:
        raise DataError(f"weight_decay is {detector.weight_decay}; give 0 or more.")


def as_observed(observed: Any, count: int) -> Tensor | None:
    """Switches that are known, (N,): 1, 0, or -1; None where none is.

    Raises:
        DataError: there are others, or not one of each row.
    """
    if observed is None:
        return None
    values = np.asarray(observed)
    if values.shape != (count,) or not np.isin(values, [UNKNOWN, 0, 1]).all():
        raise DataError(
            f"observed has shape {values.shape} and values such as {values.ravel()[:5].tolist()}; "
            f"it needs one of 1, 0 and -1 (unknown) for each of {count} rows."
        )
    return torch.as_tensor(values.astype(np.int64))


def features_of(detector: Any, X: Any, *, reset: bool) -> tuple[np.ndarray, Sequence[str] | None]:
    """Rows as numbers, (N, ...), and the names of their columns, if they have names.

    Args:
        detector: An `AnomalyDetector`.
        X: Features, (N, D), or images, (N, C, H, W).
        reset: Whether later rows must be like these; else these must be like the training rows.

    Raises:
        DataError: X has another shape, no numbers, or missing or infinite ones.
    """
    with as_data_errors():
        x = validate_data(
            detector,
            X,
            dtype=[np.float64, np.float32],
            ensure_all_finite=False,
            allow_nd=True,
            ensure_min_samples=2 if reset else 1,
            reset=reset,
        )
    names = getattr(detector, "feature_names_in_", None)
    check_finite(x, "X", columns=names)
    return x, names


def check_energies_finite(energies: Energies) -> None:
    """Raise a `DataError` that names the member and the row where an energy is not finite."""
    for kind, values in energies._asdict().items():
        bad = (~values.isfinite()).nonzero()
        if len(bad):
            member, row = bad[0].tolist()
            raise DataError(
                f"The {kind} energy of row {row} by member {member} is not finite: features or "
                "steps are too large. Use scale='range', or a lower lr."
            )
