"""`Sculpting`: a figure with its floor."""

from dataclasses import dataclass

__all__ = ["Sculpting"]


@dataclass(frozen=True, kw_only=True)
class Sculpting:
    """A figure with the value that it has for a score without any information.

    Attributes:
        value: The figure.
        floor: Its mean for a score that is random, with the same number of rows.

    Example:
        >>> print(Sculpting(value=0.25, floor=0.02))
        0.250 (floor 0.020)
    """

    value: float
    floor: float

    def __str__(self) -> str:
        return f"{self.value:.3f} (floor {self.floor:.3f})"
