"""What is verified: rows that somebody has looked at, as observations of switch or true label."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from nbam_pyro.errors import DataError

__all__ = ["Verified", "verified_codes"]


@dataclass(frozen=True, eq=False)
class Verified:
    """What is known of every row beside its target: whether it is contaminated, its true label.

    A row verified as clean or contaminated is an observation of the switch z; one whose true label
    is verified is an observation of c, and so of the switch too. They enter a story as such: the
    log marginal of the row is log p(y, z | x) or log p(y, c | x), its responsibility 0 or 1.

    `Verified.of` fills in what is left out and checks it against the targets.

    Attributes:
        contaminated: 1 where verified as contaminated, 0 as clean, -1 where unknown, (N, *dims)
            integers.
        true_label: number of the verified true class, -1 where unknown, the same shape.

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
        """What is verified of rows with targets y.

        Args:
            y: targets, (N, *dims).
            contaminated: 1 or True, 0 or False, -1 where unknown, (N, *dims); None for all unknown.
            true_label: numbers of classes, -1 where unknown, (N, *dims); None for all unknown.
            num_classes: K, where classes are known.

        Raises:
            DataError: a shape or a value is wrong, or something contradicts something else.
        """
        y = torch.as_tensor(y)
        verified = cls(verified_codes(contaminated, y), verified_codes(true_label, y))
        verified.check(y, num_classes=num_classes)
        return verified

    def check(self, y: Tensor, *, num_classes: int | None = None) -> None:
        """Raise a `DataError` that names the first row where this cannot be of targets y.

        Args:
            y: targets, (N, *dims).
            num_classes: K, where classes are known.
        """
        for name, codes in vars(self).items():
            if codes.shape != y.shape or codes.is_floating_point():
                raise DataError(
                    f"{name} has shape {tuple(codes.shape)} and type {codes.dtype}; expected "
                    f"integers of the targets' shape {tuple(y.shape)}, -1 where unknown."
                )
        classes = "no class" if num_classes is None else f"none of the {num_classes} classes"
        past = torch.inf if num_classes is None else num_classes
        own, known = self.true_label == y, self.true_label >= 0
        mistakes = {
            "contaminated is neither 1, 0 nor -1 (unknown)": abs(self.contaminated) > 1,
            f"true_label is {classes} and not -1 (unknown)": (
                (self.true_label < -1) | (self.true_label >= past)
            ),
            "a label is verified as clean and its true label is another one": (
                known & ~own & (self.contaminated == 0)
            ),
            "a label is verified as contaminated and its true label is the same": (
                known & own & (self.contaminated == 1)
            ),
        }
        if not torch.stack(list(mistakes.values())).any():
            return
        reason, wrong = next((reason, wrong) for reason, wrong in mistakes.items() if wrong.any())
        raise DataError(
            f"What is verified cannot be: {reason} in {int(wrong.sum())} cases, the first in row "
            f"{int(wrong.nonzero()[0, 0])}."
        )

    @property
    def known(self) -> Tensor:
        """Where anything is verified, (N, *dims) booleans."""
        return (self.contaminated >= 0) | (self.true_label >= 0)

    def switch(self, y: Tensor) -> Tensor:
        """The verified switch of targets y, 1 or 0, -1 where it is unknown, (N, *dims)."""
        flipped = (self.true_label != y).long()
        return torch.where(self.true_label >= 0, flipped, self.contaminated)

    def label(self, y: Tensor) -> Tensor:
        """The true label of labels y where what is verified says it, else -1, (N, *dims)."""
        clean = torch.where(self.contaminated == 0, y, -1)
        return torch.where(self.true_label >= 0, self.true_label, clean)

    def supposed(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """What one would train on if nothing else were contaminated.

        Returns:
            targets with verified true labels in place of observed ones, and where there is one:
            booleans that leave out what is contaminated without a verified true label.
        """
        known = self.true_label >= 0
        return torch.where(known, self.true_label.to(y.dtype), y), known | (self.contaminated != 1)

    def flatten(self) -> "Verified":
        """One element after the other, (N * ...,)."""
        return Verified(self.contaminated.flatten(), self.true_label.flatten())

    def to(self, device: torch.device | str) -> "Verified":
        """The same on another device."""
        return Verified(self.contaminated.to(device), self.true_label.to(device))

    def __len__(self) -> int:
        return len(self.contaminated)

    def __getitem__(self, rows: Any) -> "Verified":
        return Verified(self.contaminated[rows], self.true_label[rows])


def verified_codes(values: Any, y: Tensor) -> Tensor:
    """What is verified of targets y as int64, or as the floats that `Verified.check` refuses.

    Args:
        values: Integers or booleans, in the shape of y; None for all unknown, which is -1.
        y: Targets, (N, *dims).
    """
    if values is None:
        return torch.full_like(y, -1, dtype=torch.long)
    codes = torch.as_tensor(values, device=y.device)
    return codes if codes.is_floating_point() else codes.long()
