"""`Scored`, sums over scored rows."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["VISIBLE", "Scored"]

VISIBLE = 0.0005
"""Below this, a probability of three decimals is 0.000."""


@dataclass(frozen=True)
class Scored:
    """What scoring has found, as sums over rows.

    Attributes:
        rows: Number of rows.
        expected: Sum of the responsibilities, the expected number of wrong targets or anomalies.
        suspicious: Number of rows with a responsibility that is not 0.000.
        flagged: Number of flagged rows; None without flags.
    """

    rows: int
    expected: float
    suspicious: int
    flagged: int | None

    @classmethod
    def of(cls, table: "pd.DataFrame") -> "Scored":
        """Sum up a table of rows.

        Args:
            table: Table with a column "responsibility" and, for detectors, "flagged".
        """
        r = table["responsibility"]
        flagged = int(table["flagged"].sum()) if "flagged" in table else None
        return cls(len(table), float(r.sum()), int((r >= VISIBLE).sum()), flagged)

    def __add__(self, other: "Scored") -> "Scored":
        flagged = None if self.flagged is None else self.flagged + (other.flagged or 0)
        return Scored(
            self.rows + other.rows,
            self.expected + other.expected,
            self.suspicious + other.suspicious,
            flagged,
        )
