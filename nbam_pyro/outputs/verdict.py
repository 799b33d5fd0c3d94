"""`Verdict`: whether the data identify the contamination, as a level and three sentences."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
from pydantic import TypeAdapter

from nbam_pyro.outputs.explanation import Explanation, Level

__all__ = ["Verdict"]

# Explanations of less weight do not widen intervals.
_LIGHT = 0.05
# Largest contamination that the prior allows.
_HALF = 0.5


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Verdict on whether the data identify which targets are contaminated.

    `level` has one of three values:

    * "identified": The data identify which targets are contaminated.
    * "weak": A part of the result rests on an assumption, or another explanation is almost as good.
    * "cannot tell": The data do not identify the contamination. Do not act on the responsibilities
      (the probabilities that targets are wrong) without further information.

    `str()` gives the level and at most three sentences: what is sure, what rests on an assumption,
    and what would decide it. `table` lists the competing explanations. A sentence writes the class
    with index 3 as "{3}"; `named` replaces it by the name of the class.

    Attributes:
        level: Level, one of the three above.
        sure: Sentence that says what the data show, or why they do not show it.
        assumed: Sentence that says what rests on an assumption; empty if nothing does.
        decides: Sentence that says what would decide, for example which rows to verify and how
            many; empty if nothing is open.
        explanations: Competing explanations of the data, the one that the result uses first. Empty
            if there is only one.

    Example:
        >>> verdict = Verdict(
        ...     level="weak",
        ...     sure="Between 19.0% and 21.0% of the labels are wrong (90% interval).",
        ...     assumed="The names of the classes {0} and {1} rest on an assumption.",
        ...     decides="Verify 5 rows of these classes.",
        ... )
        >>> print(verdict.named(["cat", "dog"]))
        Verdict: weak
        Between 19.0% and 21.0% of the labels are wrong (90% interval).
        The names of the classes cat and dog rest on an assumption.
        Verify 5 rows of these classes.
    """

    level: Level
    sure: str
    assumed: str = ""
    decides: str = ""
    explanations: tuple[Explanation, ...] = ()

    def lines(self) -> list[str]:
        """Return the level and the sentences, one in each line."""
        told = [f"Verdict: {self.level}", self.sure, self.assumed, self.decides]
        return [_named(line, None) for line in told if line]

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def table(self) -> pd.DataFrame:
        """Return the competing explanations as a table, the one that the result uses first.

        Returns:
            One row per explanation, with the columns "explanation" (a sentence), "contamination"
            (share of these rows that is contaminated if the explanation is right) and "weight"
            (probability of the explanation; NaN if it cannot be computed from the data). Without
            competing explanations the table is empty.

        Example:
            >>> one = Explanation(text="Class {0} has no wrong label.", contamination=0.1)
            >>> Verdict(level="weak", sure="", explanations=(one,)).table()
                                explanation  contamination  weight
            0  Class 0 has no wrong label.            0.1     NaN
        """
        rows = [
            (_named(one.text, None), one.contamination, one.weight) for one in self.explanations
        ]
        table = pd.DataFrame(rows, columns=["explanation", "contamination", "weight"])
        return table.astype({"explanation": object, "contamination": float, "weight": float})

    @property
    def band(self) -> list[float]:
        """Contaminations of the competing explanations that an interval should contain.

        Explanations of little weight are left out. Explanations with more wrong than right rows are
        left out, too, because the prior decides against them.
        """
        if self.level == "identified":
            return []
        return [
            one.contamination
            for one in self.explanations
            if one.contamination <= _HALF and (one.weight is None or one.weight >= _LIGHT)
        ]

    def named(self, names: Sequence[object]) -> "Verdict":
        """Return the same verdict with the names of the classes in all sentences.

        Args:
            names: Names of the classes.

        Example:
            >>> Verdict(level="weak", sure="The name of {1} is open.").named(["cat", "dog"]).sure
            'The name of dog is open.'
        """
        return replace(
            self,
            sure=_named(self.sure, names),
            assumed=_named(self.assumed, names),
            decides=_named(self.decides, names),
            explanations=tuple(
                replace(one, text=_named(one.text, names)) for one in self.explanations
            ),
        )

    @classmethod
    def from_saved(cls, saved: Any) -> "Verdict":
        """Restore a verdict from the result of `dataclasses.asdict`, read from a file.

        Args:
            saved: Dictionary of the attributes.

        Raises:
            pydantic.ValidationError: An attribute is missing or has another type.
        """
        return TypeAdapter(cls).validate_python(saved)


def _named(line: str, names: Sequence[object] | None) -> str:
    """Replace every class index in braces by the name of the class."""
    return re.sub(r"\{(\d+)\}", lambda m: m[1] if names is None else str(names[int(m[1])]), line)
