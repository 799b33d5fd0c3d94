"""`Verified`: verified contamination and true labels of rows."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from nbam_pyro.errors import DataError

__all__ = ["NOTHING", "Verified", "verified_codes"]


@dataclass(frozen=True, eq=False)
class Verified:
    """Verified values of rows: for each target, its contamination, its true label, or nothing.

    The switch z of a row is 1 where its target y is contaminated. A row that is verified as clean
    or contaminated is an observation of z. A row with a verified true label is an observation of
    the true label c, and therefore of z. The log marginal of such a row is log p(y, z | x) or log
    p(y, c | x), and its *responsibility* P(z=1 | x, y), the probability that the target is
    contaminated, is 0 or 1.

    Create it with `Verified.of`, which checks the values against the targets. `NOTHING` is the
    value where nothing is verified.

    Attributes:
        contaminated: 1 where the target is contaminated, 0 where it is clean, -1 where that is
            unknown, integers (N, *dims).
        true_label: Index of the true class, -1 where it is unknown, integers (N, *dims).

    Example:
        >>> y = torch.tensor([0, 1, 1])
        >>> verified = Verified.of(y, true_label=torch.tensor([-1, 1, 2]))
        >>> verified.switch(y)
        tensor([-1,  0,  1])
    """

    contaminated: Tensor
    true_label: Tensor

    @classmethod
    def of(
        cls,
        y: Any,
        *,
        contaminated: Any = None,
        true_label: Any = None,
        num_classes: int | None = None,
    ) -> "Verified":
        """Return the verified values of rows with targets y, after a check.

        Args:
            y: Observed targets, (N, *dims).
            contaminated: 1 or True where a target is contaminated, 0 or False where it is clean,
                -1 where this is unknown, (N, *dims); None where it is unknown for every target.
            true_label: Index of the true class, -1 where it is unknown, (N, *dims); None where it
                is unknown for every target.
            num_classes: Number of classes, K; None if targets are not classes.

        Raises:
            DataError: A shape or a value is wrong, or two verified values contradict each other.
        """
        y = torch.as_tensor(y)
        verified = cls(verified_codes(contaminated, y), verified_codes(true_label, y))
        verified.check(y, num_classes=num_classes)
        return verified

    def check(self, y: Tensor, *, num_classes: int | None = None) -> None:
        """Raise a `DataError` with the first wrong row where verified values and targets conflict.

        Args:
            y: Observed targets, (N, *dims).
            num_classes: Number of classes, K; None if targets are not classes.
        """
        if not len(self):
            return
        for name, codes in vars(self).items():
            if codes.shape != y.shape or codes.is_floating_point():
                raise DataError(
                    f"{name} has shape {tuple(codes.shape)} and type {codes.dtype}; expected "
                    f"integers of the targets' shape {tuple(y.shape)}, -1 where unknown."
                )
        classes = "a class number" if num_classes is None else f"one of the {num_classes} classes"
        past = torch.inf if num_classes is None else num_classes
        own, known = self.true_label == y, self.true_label >= 0
        mistakes = {
            "contaminated is not 1, 0 or -1 (unknown)": abs(self.contaminated) > 1,
            f"true_label is not {classes} or -1 (unknown)": (
                (self.true_label < -1) | (self.true_label >= past)
            ),
            "a label is verified as clean, but its true label is different": (
                known & ~own & (self.contaminated == 0)
            ),
            "a label is verified as contaminated, but its true label is the same": (
                known & own & (self.contaminated == 1)
            ),
        }
        if not torch.stack(list(mistakes.values())).any():
            return
        reason, wrong = next((reason, wrong) for reason, wrong in mistakes.items() if wrong.any())
        raise DataError(
            f"Verified values are wrong: {reason} in {int(wrong.sum())} cases, the first in row "
            f"{int(wrong.nonzero()[0, 0])}. Correct them, or write -1 where nothing is verified."
        )

    @property
    def known(self) -> Tensor:
        """Whether the switch or the true label of each target is verified, booleans (N, *dims)."""
        return (self.contaminated >= 0) | (self.true_label >= 0)

    def switch(self, y: Tensor) -> Tensor:
        """Return the verified switch: 1, 0, or -1 where it is unknown, (N, *dims).

        Args:
            y: Observed targets, (N, *dims).
        """
        if not len(self):
            return torch.full_like(y, -1, dtype=torch.long)
        flipped = (self.true_label != y).long()
        return torch.where(self.true_label >= 0, flipped, self.contaminated)

    def label(self, y: Tensor) -> Tensor:
        """Return the verified true label, -1 where it is unknown, (N, *dims).

        The true label of a row that is verified as clean is its observed label.

        Args:
            y: Observed labels, (N, *dims).
        """
        if not len(self):
            return torch.full_like(y, -1, dtype=torch.long)
        clean = torch.where(self.contaminated == 0, y, -1)
        return torch.where(self.true_label >= 0, self.true_label, clean)

    @property
    def codes(self) -> dict[str, Tensor]:
        """The tensors `contaminated` and `true_label` by name; empty where nothing is verified."""
        return vars(self) if len(self) else {}

    @property
    def keyword(self) -> dict[str, "Verified"]:
        """The keyword argument `verified` of a story's method; empty where nothing is verified."""
        return {"verified": self} if len(self) else {}

    def targets(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return targets to train on when only verified rows are treated as contaminated.

        Args:
            y: Observed targets, (N, *dims).

        Returns:
            Targets with verified true labels in place of observed ones, and a boolean mask of the
            targets that count. Targets that are verified as contaminated and have no verified true
            label do not count. Both tensors have the shape of y.
        """
        if not len(self):
            return y, torch.ones_like(y, dtype=torch.bool)
        # Several elements of a target may share a switch.
        shape = *self.true_label.shape, *[1] * (y.ndim - self.true_label.ndim)
        label, contaminated = self.true_label.reshape(shape), self.contaminated.reshape(shape)
        known = label >= 0
        counted = (known | (contaminated != 1)).expand(y.shape)
        return torch.where(known, label.to(y.dtype), y), counted

    def accuracy(self, responsibility: Tensor, y: Tensor) -> float:
        """Return the share of verified switches that agree with responsibilities above 0.5.

        Args:
            responsibility: P(z=1 | x, y) of each target, computed without verified values,
                (N, *dims).
            y: Observed targets, (N, *dims). At least one switch must be verified.

        Example:
            >>> y = torch.zeros(3)
            >>> verified = Verified.of(y, contaminated=torch.tensor([1, 1, -1]))
            >>> verified.accuracy(torch.tensor([0.9, 0.2, 0.8]), y)
            0.5
        """
        switch = self.switch(y)
        right = (responsibility > 0.5) == (switch == 1)
        return float(right[switch >= 0].double().mean())

    def flatten(self) -> "Verified":
        """Return the same values in one dimension, in the order of `Tensor.flatten`."""
        return Verified(self.contaminated.flatten(), self.true_label.flatten())

    def to(self, device: torch.device | str) -> "Verified":
        """Return the same values on another device.

        Args:
            device: Device that the tensors are copied to.
        """
        return Verified(self.contaminated.to(device), self.true_label.to(device))

    def __len__(self) -> int:
        return len(self.contaminated)

    def __getitem__(self, rows: Any) -> "Verified":
        return Verified(self.contaminated[rows], self.true_label[rows]) if len(self) else self


NOTHING = Verified(torch.zeros(0, dtype=torch.long), torch.zeros(0, dtype=torch.long))
"""The `Verified` for data without verified values, for any number of rows."""


def verified_codes(values: Any, y: Tensor) -> Tensor:
    """Return verified values as an int64 tensor on the device of y.

    Floating-point values are returned unchanged, and `Verified.check` then raises an error.

    Args:
        values: Integers or booleans in the shape of y; None where all are unknown, which is -1.
        y: Targets, (N, *dims).
    """
    if values is None:
        return torch.full_like(y, -1, dtype=torch.long)
    codes = torch.as_tensor(values, device=y.device)
    return codes if codes.is_floating_point() else codes.long()
