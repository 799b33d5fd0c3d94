"""Checks of tensors that name the first place where something is wrong."""

import math
from collections.abc import Sequence

import numpy as np
from torch import Tensor

from nbam_pyro.errors import DataError

__all__ = [
    "LARGEST",
    "as_class_codes",
    "check_finite",
    "check_log_probs",
    "check_predictions",
    "check_weights",
    "first_place",
]

LARGEST = 1e30
"""Numbers beyond it overflow when a few of them are added or squared in single precision."""


def first_place(wrong: Tensor | np.ndarray, columns: Sequence[object] | None = None) -> str:
    """The first place where something is true, in words.

    Args:
        wrong: Booleans of any shape of which at least one is true. The first axis is rows, the
            second columns.
        columns: Names of the columns; None for their numbers.

    Example:
        >>> import torch
        >>> first_place(torch.tensor([[False, False], [False, True]]))
        'row 1, column 1'
    """
    if not wrong.ndim:
        return "its only element"
    row, *rest = (int(at) for at in np.argwhere(np.asarray(wrong))[0])
    if not rest:
        return f"row {row}"
    if len(rest) > 1:
        return f"row {row}, place {tuple(rest)}"
    return f"row {row}, column {rest[0] if columns is None else repr(columns[rest[0]])}"


def check_finite(
    values: Tensor | np.ndarray,
    name: str,
    *,
    columns: Sequence[object] | None = None,
    largest: float = math.inf,
    mend: str = "fill them in, or leave such rows out",
) -> None:
    """Refuse numbers that are missing, infinite, or too large to compute with.

    Args:
        values: Numbers of any shape; the first axis is rows.
        name: What the message calls them.
        columns: Names of the columns, for the message; None for their numbers.
        largest: Larger numbers are refused, too.
        mend: What to do about it, for the message.

    Raises:
        DataError: A number is NaN, infinite or too large; the message names the first place.

    Example:
        >>> check_finite(np.array([[1.0, np.nan]]), "X", columns=["age", "size"])
        Traceback (most recent call last):
        nbam_pyro.errors.DataError: X has 1 number that is missing (NaN) or infinite, the first is
        nan in row 0, column 'size': fill them in, or leave such rows out.
    """
    if isinstance(values, Tensor):
        values = values.detach()
        if not values.numel():
            return
        lowest, highest = values.aminmax()
        if lowest > -largest and highest < largest:  # both are NaN where any number is
            return
        values = values.cpu().double().numpy()
    good = np.isfinite(values) if largest == math.inf else np.abs(values) < largest
    if good.all():
        return
    count = int((~good).sum())
    said = "number that is" if count == 1 else "numbers that are"
    bound = " or infinite" if largest == math.inf else f", infinite or beyond {largest:g}"
    raise DataError(
        f"{name} has {count} {said} missing (NaN){bound}, the first is {values[~good][0]} in "
        f"{first_place(~good, columns)}: {mend}."
    )


def check_predictions(values: Tensor, name: str) -> None:
    """Refuse what has not one row of floating-point numbers per datum and one column per class.

    Args:
        values: Predictions, (N, K).
        name: The name of the argument, for the message.

    Raises:
        DataError: There is no row, there are fewer than two columns, or the type is no
            floating-point type.
    """
    if values.ndim != 2 or values.shape[1] < 2 or not values.is_floating_point():
        raise DataError(
            f"{name} has shape {tuple(values.shape)} and type {values.dtype}; expected floats "
            "(N, K), one column per class and at least two."
        )
    if not len(values):
        raise DataError(f"{name} has no rows; pass at least one.")


def check_log_probs(values: Tensor, name: str) -> None:
    """Refuse what is no logarithm of probabilities.

    Args:
        values: Logarithms of probabilities, (N, K); -inf where a class is impossible.
        name: The name of the argument, for the message.

    Raises:
        DataError: A number is NaN or above 0.
    """
    # Negated, so that NaN fails; rounding may leave a probability a little above one.
    wrong = ~(values.detach() <= 0.1)
    if wrong.any():
        raise DataError(
            f"{name} is {values[wrong][0].item()} in {first_place(wrong)}; expected logarithms of "
            "probabilities: pass logits through log_softmax, and look for a network that has "
            "diverged."
        )


def check_weights(weights: Tensor, rows: int) -> None:
    """Refuse what does not say how many times each row counts.

    Args:
        weights: How many times each row counts, (N,).
        rows: N.

    Raises:
        DataError: There is not one weight per row, one is missing, infinite or negative, or all
            are 0.
    """
    if weights.shape != (rows,):
        raise DataError(f"weights have shape {tuple(weights.shape)}; there are {rows} rows.")
    wrong = ~((weights >= 0) & (weights < LARGEST))
    if wrong.any():
        raise DataError(
            f"weights has {weights[wrong][0].item()} in {first_place(wrong)}; a weight is a finite "
            "number that is not negative."
        )
    if not weights.any():
        raise DataError("weights are all zero, so that no row counts; pass at least one above 0.")


def as_class_codes(
    values: Tensor, name: str, num_classes: int, *, unlabelled: int | None, option: str = ""
) -> Tensor:
    """Class numbers as int64, whatever integer type they came in.

    Args:
        values: Class numbers 0, ..., K-1 of any shape.
        name: The name of the argument, for the message.
        num_classes: K.
        unlabelled: The number that stands for no label; None where every element needs one.
        option: The argument that sets `unlabelled`, for the message; empty where it is fixed.

    Raises:
        DataError: The type is no integer type, or a number is no class; the message names the first
            place, the expected classes and the mend.

    Example:
        >>> import torch
        >>> as_class_codes(torch.tensor([2, 255], dtype=torch.uint8), "target", 3, unlabelled=255)
        tensor([  2, 255])
    """
    if values.is_floating_point() or values.is_complex():
        raise DataError(
            f"{name} has type {values.dtype}; expected integers, class numbers 0 to "
            f"{num_classes - 1}: convert it, for instance by .long()."
        )
    codes = values.detach().long()
    if not codes.numel():
        return codes
    lowest, highest = codes.aminmax()
    if lowest >= 0 and highest < num_classes:
        return codes
    wrong = (codes < 0) | (codes >= num_classes)
    if unlabelled is not None:
        wrong &= codes != unlabelled
    if not wrong.any():
        return codes
    label = int(codes[wrong][0])
    expected = f"0 to {num_classes - 1} for {num_classes} classes"
    if unlabelled is not None:
        expected += f", or {unlabelled} where there is no label"
    raise DataError(
        f"{name} has the label {label} in {first_place(wrong)}, one of {int(wrong.sum())} that are "
        f"no class; expected {expected}. {_mend(codes, label, num_classes, unlabelled, option)}"
    )


def _mend(codes: Tensor, label: int, num_classes: int, unlabelled: int | None, option: str) -> str:
    there = codes if unlabelled is None else codes[codes != unlabelled]
    if there.min() == 1 and there.max() == num_classes:
        return "Labels that count from 1 need 1 subtracted."
    if label < 0 and option:
        return f"Where {label} means that there is no label, pass {option}={label}."
    if label < 0:
        return f"Where {label} means that there is no label, leave those rows out."
    return "Number the classes from 0, or state a larger number of classes."
