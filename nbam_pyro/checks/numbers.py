"""Checks of tensors; error messages name the first place where something is wrong."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from nbam_pyro.errors import DataError

__all__ = [
    "LARGEST",
    "as_class_codes",
    "check_all_finite",
    "check_finite",
    "check_log_probs",
    "check_predictions",
    "check_weights",
    "first_place",
]

LARGEST = 1e30
"""Larger numbers may overflow in single precision when they are added or squared."""


def first_place(wrong: Tensor | np.ndarray, columns: Sequence[object] | None = None) -> str:
    """Return the first place where a mask is True, in words.

    Args:
        wrong: Booleans of any shape, at least one of them True. The first axis is rows, the second
            columns.
        columns: Names of the columns; None to show column numbers (0, 1, ...).

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
    """Raise an error if a number is missing, infinite, or too large to compute with.

    Args:
        values: Numbers of any shape; the first axis is rows.
        name: Name of the values, which the error message shows.
        columns: Names of the columns, which the error message shows; None to show column
            numbers (0, 1, ...).
        largest: Largest absolute value that is accepted.
        mend: Text added to the error message that says how to fix the problem.

    Raises:
        DataError: A number is NaN, infinite or too large; the message names the first place.

    Example:
        >>> check_finite(np.array([[1.0, np.nan]]), "X", columns=["age", "size"])
        Traceback (most recent call last):
        nbam_pyro.errors.DataError: X has 1 number that is missing (NaN) or infinite, the first is
        nan in row 0, column 'size': fill them in, or leave such rows out.
    """
    if isinstance(values, Tensor):
        if _within(values, largest=largest):
            return
        values = values.detach().cpu().double().numpy()
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


def check_all_finite(
    values: Mapping[str, Tensor],
    *,
    largest: float = math.inf,
    mend: str = "fill them in, or leave such rows out",
) -> None:
    """Raise an error if a number of several tensors is missing, infinite, or too large.

    The host waits once for the device, and not once for each tensor.

    Args:
        values: Numbers of any shape, by the name that the error message shows.
        largest: Largest absolute value that is accepted.
        mend: Text added to the error message that says how to fix the problem.

    Raises:
        DataError: A number is NaN, infinite or too large; the message names the first place.
    """
    if not _within(*values.values(), largest=largest):
        for name, one in values.items():
            check_finite(one, name, largest=largest, mend=mend)


def _within(*values: Tensor, largest: float) -> bool:
    """Return whether all numbers are finite and below a limit; True inside `torch.compile`.

    A compiled graph cannot raise an error that depends on values.
    """
    if torch.compiler.is_compiling():
        return True
    ends = [end.double() for one in values if one.numel() for end in one.detach().aminmax()]
    # aminmax is NaN if any number is NaN, and comparisons with NaN are false.
    return not ends or bool((torch.stack(ends).abs() < largest).all())


def check_predictions(values: Tensor, name: str) -> None:
    """Raise an error if predictions are not a table of floats with one column per class.

    Args:
        values: Predictions, (N, K).
        name: Name of the argument, which the error message shows.

    Raises:
        DataError: There is no row, there are fewer than two columns, or the type is not a
            floating-point type.
    """
    if values.ndim != 2 or values.shape[1] < 2 or not values.is_floating_point():
        raise DataError(
            f"{name} has shape {tuple(values.shape)} and type {values.dtype}; expected floats "
            "(N, K), one column per class and at least two."
        )
    if not len(values):
        raise DataError(f"{name} has no rows. Pass at least one row.")


def check_log_probs(values: Tensor, name: str) -> None:
    """Raise an error if numbers are not logarithms of probabilities.

    Args:
        values: Logarithms of probabilities, (N, K); -inf where a class is impossible.
        name: Name of the argument, which the error message shows.

    Raises:
        DataError: A number is NaN or above 0.
    """
    # The negation also finds NaN. Rounding may make a probability a little larger than one.
    wrong = ~(values.detach() <= 0.1)
    if wrong.any():
        raise DataError(
            f"{name} is {values[wrong][0].item()} in {first_place(wrong)}; expected logarithms of "
            "probabilities. Apply log_softmax to logits, and check whether the network has "
            "diverged."
        )


def check_weights(weights: Tensor, rows: int) -> None:
    """Raise an error if weights of rows are negative, not finite, all 0, or of wrong length.

    Args:
        weights: Weights of the rows, (N,): a row of weight 2 counts as two rows.
        rows: Number of rows N.

    Raises:
        DataError: The number of weights is not N, a weight is missing, infinite or negative, or all
            weights are 0.
    """
    if weights.shape != (rows,):
        raise DataError(
            f"weights have shape {tuple(weights.shape)}; expected ({rows},), one per row."
        )
    wrong = ~((weights >= 0) & (weights < LARGEST))
    if wrong.any():
        raise DataError(
            f"weights has {weights[wrong][0].item()} in {first_place(wrong)}; weights must be "
            "finite and not negative."
        )
    if not weights.any():
        raise DataError("All weights are 0, so no row counts. Pass at least one weight above 0.")


def as_class_codes(
    values: Tensor, name: str, num_classes: int, *, unlabelled: int | None, option: str = ""
) -> Tensor:
    """Return class indices of any integer type as int64.

    Args:
        values: Class indices 0, ..., K-1 of any shape.
        name: Name of the argument, which the error message shows.
        num_classes: Number of classes K.
        unlabelled: Integer that means "no label"; None if every element needs a label.
        option: Name of the argument that sets `unlabelled`, which the error message shows; empty if
            `unlabelled` is fixed.

    Raises:
        DataError: The type is not an integer type, or an index is not in 0, ..., K-1; the message
            names the first place, the expected classes and a remedy.

    Example:
        >>> import torch
        >>> as_class_codes(torch.tensor([2, 255], dtype=torch.uint8), "target", 3, unlabelled=255)
        tensor([  2, 255])
    """
    if values.is_floating_point() or values.is_complex():
        raise DataError(
            f"{name} has type {values.dtype}; expected integers, class indices 0 to "
            f"{num_classes - 1}. Convert it, for instance with .long()."
        )
    codes = values.detach().long()
    if torch.compiler.is_compiling() or not codes.numel():
        return codes
    lowest, highest = codes.aminmax()
    if (lowest >= 0) & (highest < num_classes):
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
        f"not classes; expected {expected}. {_mend(codes, label, num_classes, unlabelled, option)}"
    )


def _mend(codes: Tensor, label: int, num_classes: int, unlabelled: int | None, option: str) -> str:
    there = codes if unlabelled is None else codes[codes != unlabelled]
    if there.min() == 1 and there.max() == num_classes:
        return "If labels start at 1, subtract 1."
    if label < 0 and option:
        return f"If {label} means that there is no label, pass {option}={label}."
    if label < 0:
        return f"If {label} means that there is no label, leave those rows out."
    return "Number the classes from 0, or state a larger number of classes."
