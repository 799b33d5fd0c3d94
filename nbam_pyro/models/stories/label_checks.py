"""Checks of the settings and of the labels of `LabelFlip`."""

import math
from collections.abc import Sequence

from torch import Tensor

from nbam_pyro.errors import DataError, StoryError


def check_settings(
    *,
    locality: float,
    over: bool,
    groups: int,
    last_layer: float,
    difficulty: float | None,
    dims: Sequence[str],
) -> None:
    """Raise an error where optional parts of the story have invalid settings.

    Args:
        locality: Prior standard deviation of the weights of the input-dependent deviation.
        over: Whether the deviation is a Gaussian process over coordinates.
        groups: Number of groups.
        last_layer: Prior standard deviation of the weights of the last layer.
        difficulty: How much more often labels are wrong where the network hesitates; None if it is
            not known.
        dims: Names of the dimensions of a target.

    Raises:
        DataError: A number is negative, the difficulty is not finite, or the Gaussian process has a
            standard deviation of 0.
        StoryError: A target has several labels, and an optional part needs one label per row; or
            the last layer has a posterior and a difficulty is given.
    """
    for name, value in (("locality", locality), ("last_layer", last_layer)):
        if value < 0:
            raise DataError(
                f"{name} is {value}, but a standard deviation cannot be negative; give a positive "
                "number, or 0 to leave this part out."
            )
    if over and not locality:
        raise DataError(
            "over is given, but locality is 0, so all rows of a class have the same rate: give "
            "locality, the standard deviation of the Gaussian process in logits, such as 2.0."
        )
    if groups < 0:
        raise DataError(
            f"groups is {groups}, but a number of groups cannot be negative; give 0 for no groups."
        )
    if difficulty is not None and not 0 <= difficulty < math.inf:
        raise DataError(
            f"difficulty is {difficulty}; give a finite number, 0 or more, or None if it is not "
            "known."
        )
    if difficulty is not None and last_layer:
        raise StoryError(
            "difficulty acts on predictions out of fold, which a story with last_layer does not "
            "have: leave out one of the two."
        )
    if dims and (locality or groups or last_layer):
        raise StoryError(
            "locality, groups and last_layer need one label per row, but dims declares several "
            "labels per row: leave out either dims or these arguments."
        )


def check_labels(y: Tensor, *, dims: Sequence[str]) -> None:
    """Raise a `DataError` where labels are not integers or have the wrong number of dimensions.

    Args:
        y: Observed labels.
        dims: Names of the dimensions of a target.
    """
    if y.is_floating_point() or y.ndim != 1 + len(dims):
        raise DataError(
            f"Labels have shape {tuple(y.shape)} and type {y.dtype}; expected integers of "
            f"shape ({', '.join(['rows', *dims])}). For more than one label per row, create "
            "LabelFlip(..., dims=(...)) with a name for each further dimension."
        )


def check_label_range(y: Tensor, *, num_classes: int) -> None:
    """Raise a `DataError` where a label is not the index of a class.

    Args:
        y: Observed labels, integers.
        num_classes: Number of classes K.
    """
    if y.min() < 0 or y.max() >= num_classes:
        raise DataError(
            f"Labels have values from {int(y.min())} to {int(y.max())}; expected 0 to "
            f"{num_classes - 1} for {num_classes} classes."
        )
