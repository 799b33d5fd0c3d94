"""`Explanation`: one of several explanations of the same data; and the levels of a `Verdict`."""

from dataclasses import dataclass
from typing import Literal

from nbam_pyro.storage import Probability

__all__ = ["Explanation", "Level"]

Level = Literal["identified", "weak", "cannot tell"]
"""Level of a `Verdict`: how well the data identify the contamination."""


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """One of several explanations of the same data.

    Attributes:
        text: Sentence that describes the explanation, such as "Two classes have exchanged names."
        contamination: Share of these rows that is contaminated if the explanation is right.
        weight: Probability of the explanation given the data, or its predictive weight. None if
            neither can be computed from the data.
    """

    text: str
    contamination: Probability
    weight: Probability | None = None
