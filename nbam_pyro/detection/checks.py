"""Checks of the rows that a detector takes, and of the energies that a backbone returns."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.utils.validation import validate_data
from torch import Tensor

from nbam_pyro.checks.column import as_data_errors
from nbam_pyro.checks.numbers import check_finite
from nbam_pyro.detection.backbones.base import Backbone, Energies
from nbam_pyro.errors import DataError

__all__ = ["check_energies_finite", "check_row_dims", "features_of"]


def features_of(detector: Any, X: Any, *, reset: bool) -> tuple[np.ndarray, Sequence[str] | None]:
    """Return rows as numbers, (N, ...), and the names of their columns, if they have names.

    Args:
        detector: An `AnomalyDetector`.
        X: Features, (N, D), or images, (N, C, H, W).
        reset: True for training rows; the number and the names of their features are stored. False
            for later rows, which must have the same features.

    Raises:
        DataError: X has a wrong shape, or values that are not finite numbers.
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


def check_row_dims(backbone: Backbone, rows: Tensor) -> None:
    """Raise a `DataError` if a backbone for features gets images, or the reverse.

    Args:
        backbone: Backbone that takes the rows.
        rows: Rows that all models of the backbone use, (1, N, ...).
    """
    shape = tuple(rows.shape[2:])
    if len(shape) != backbone.row_dims:
        raise DataError(
            f"{type(backbone).__name__} takes rows of {backbone.row_dims} dimensions, but rows of "
            f"X have shape {shape}. Give images (N, C, H, W) to Rotations or Cobra, and features "
            "(N, D) to the other backbones."
        )


def check_energies_finite(energies: Energies) -> None:
    """Raise a `DataError` that names the model and the row if an energy is not finite.

    Args:
        energies: Clean and anomaly energies of N rows by each of the S members (models): two arrays
            of shape (S, N).
    """
    for kind, values in energies._asdict().items():
        bad = (~values.isfinite()).nonzero()
        if len(bad):
            member, row = bad[0].tolist()
            raise DataError(
                f"The {kind} energy of row {row} in model {member} is not finite: features or "
                "steps are too large. Use scale='range', or a lower lr."
            )
