"""Verified rows: what somebody has found out about them, as observations of the story."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from nbam_pyro.errors import DataError

__all__ = ["NOTHING", "Verified", "verified_codes"]


@dataclass(frozen=True, eq=False)
class Verified:
    """What somebody has verified of each row: whether its target is contaminated, its true label.

    A row that is verified as clean or contaminated is an observation of the switch z. A row whose
    true label is verified is an observation of the true label c, and thereby of the switch. The
    log marginal of such a row is log p(y, z | x) or log p(y, c | x); its responsibility is 0 or 1.

    Make it with `Verified.of`, which fills in what is left out and checks it against the targets.
    `NOTHING` says that nothing is verified.

    Attributes:
        contaminated: 1 where the target is contaminated, 0 where it is clean, -1 where that is
            unknown, integers (N, *dims).
        true_label: Number of the true class, -1 where it is unknown, integers (N, *dims).

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
        """Collect what is verified of rows with targets y, and check it.

        Args:
            y: Observed targets, (N, *dims).
            contaminated: 1 or True where a target is contaminated, 0 or False where it is clean,
                -1 where that is unknown, (N, *dims); None where it is unknown of every target.
            true_label: Number of the true class, -1 where it is unknown, (N, *dims); None where it
                is unknown of every target.
            num_classes: Number of classes, K; None where there are no classes.

        Raises:
            DataError: A shape or a value is wrong, or two statements contradict each other.
        """
        y = torch.as_tensor(y)
        verified = cls(verified_codes(contaminated, y), verified_codes(true_label, y))
        verified.check(y, num_classes=num_classes)
        return verified

    def check(self, y: Tensor, *, num_classes: int | None = None) -> None:
        """Raise a `DataError` that names the first row where targets y contradict what is verified.

        Args:
            y: Observed targets, (N, *dims).
            num_classes: Number of classes, K; None where there are no classes.
        """
        if not len(self):
            return
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
        """Booleans that say of which targets anything is verified, (N, *dims)."""
        return (self.contaminated >= 0) | (self.true_label >= 0)

    def switch(self, y: Tensor) -> Tensor:
        """The verified switch of targets y: 1, 0, or -1 where it is unknown, (N, *dims)."""
        if not len(self):
            return torch.full_like(y, -1, dtype=torch.long)
        flipped = (self.true_label != y).long()
        return torch.where(self.true_label >= 0, flipped, self.contaminated)

    def label(self, y: Tensor) -> Tensor:
        """The verified true label of labels y, -1 where it is unknown, (N, *dims).

        The true label of a row that is verified as clean is its observed label.
        """
        if not len(self):
            return torch.full_like(y, -1, dtype=torch.long)
        clean = torch.where(self.contaminated == 0, y, -1)
        return torch.where(self.true_label >= 0, self.true_label, clean)

    @property
    def codes(self) -> dict[str, Tensor]:
        """The two tensors by name; no entry where nothing is verified."""
        return vars(self) if len(self) else {}

    @property
    def keyword(self) -> dict[str, "Verified"]:
        """The argument `verified` of a story's method; no entry where nothing is verified."""
        return {"verified": self} if len(self) else {}

    def targets(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Targets to train on when only verified rows are treated as contaminated.

        Args:
            y: Observed targets, (N, *dims).

        Returns:
            Targets with verified true labels in place of observed ones, and a boolean mask of the
            targets that count: it leaves out those that are verified as contaminated and whose
            true label is unknown. Both have the shape of y.
        """
        if not len(self):
            return y, torch.ones_like(y, dtype=torch.bool)
        known = self.true_label >= 0
        return torch.where(known, self.true_label.to(y.dtype), y), known | (self.contaminated != 1)

    def flatten(self) -> "Verified":
        """The same with one element after the other, (N * ...,)."""
        return Verified(self.contaminated.flatten(), self.true_label.flatten())

    def to(self, device: torch.device | str) -> "Verified":
        """The same on another device."""
        return Verified(self.contaminated.to(device), self.true_label.to(device))

    def __len__(self) -> int:
        return len(self.contaminated)

    def __getitem__(self, rows: Any) -> "Verified":
        return Verified(self.contaminated[rows], self.true_label[rows]) if len(self) else self


NOTHING = Verified(torch.zeros(0, dtype=torch.long), torch.zeros(0, dtype=torch.long))
"""What is verified where nothing is, of any number of rows."""


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
