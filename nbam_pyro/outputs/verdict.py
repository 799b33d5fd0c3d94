"""`Verdict`: whether the data identify the contamination, as a level and in sentences."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from pydantic import TypeAdapter

from nbam_pyro.storage import Probability

__all__ = ["Explanation", "Level", "Verdict"]

Level = Literal["identified", "weak", "cannot tell"]
"""Level of a `Verdict`: how well the data identify the contamination."""

# Explanations of less weight do not widen intervals.
_LIGHT = 0.05
# Largest contamination that the prior allows.
_HALF = 0.5
# The first sentence after the level.
_MEANINGS = {
    "identified": "The data identify the contamination.",
    "weak": "It rests in part on an assumption, or another explanation is almost as good.",
    "cannot tell": "The data do not identify the contamination.",
}


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


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Verdict on whether the data identify which targets are contaminated.

    `level` has one of three values:

    * "identified": The data identify which targets are contaminated.
    * "weak": A part of the result rests on an assumption, or another explanation is almost as good.
    * "cannot tell": The data do not identify the contamination. Do not act on the responsibilities
      (the probabilities that targets are wrong) without further information.

    `str()` gives the level and all sentences. A sentence writes the class with index 3 as "{3}";
    `lines` and `named` replace it by the name of the class.

    Attributes:
        level: Level, one of the three above.
        reasons: Sentences that give the reasons for the level.
        explanations: Competing explanations of the data, the one that the result uses first. Empty
            if there is only one.
        separates: Sentences that say what would decide between the explanations, for example how
            many verified rows.

    Example:
        >>> verdict = Verdict(
        ...     level="weak",
        ...     reasons=("The names of the classes {0}, {1} rest on an assumption.",),
        ...     separates=("Verify 5 rows of these classes.",),
        ... )
        >>> print(verdict)
        Verdict: weak. It rests in part on an assumption, or another explanation is almost as good.
        The names of the classes 0, 1 rest on an assumption.
        Verify 5 rows of these classes.
        >>> verdict.lines(["cat", "dog"])[1]
        'The names of the classes cat, dog rest on an assumption.'
    """

    level: Level
    reasons: tuple[str, ...] = ()
    explanations: tuple[Explanation, ...] = ()
    separates: tuple[str, ...] = ()

    def lines(self, names: Sequence[object] | None = None) -> list[str]:
        """Return the verdict as sentences, one in each line.

        Args:
            names: Names of the classes; None to show the indices of classes (0, 1, ...).
        """
        told = [f"Verdict: {self.level}. {_MEANINGS[self.level]}", *self.reasons]
        if self.explanations:
            told.append("These explanations compete:")
        for one in self.explanations:
            weight = "" if one.weight is None else f", weight {one.weight:.2f}"
            told.append(f"  {one.text} ({one.contamination:.1%} of the rows contaminated{weight})")
        return [_named(line, names) for line in (*told, *self.separates)]

    def __str__(self) -> str:
        return "\n".join(self.lines())

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
            >>> verdict = Verdict(level="weak", reasons=("The name of {1} is uncertain.",))
            >>> verdict.named(["cat", "dog"]).reasons
            ('The name of dog is uncertain.',)
        """
        return replace(
            self,
            reasons=tuple(_named(line, names) for line in self.reasons),
            explanations=tuple(
                replace(one, text=_named(one.text, names)) for one in self.explanations
            ),
            separates=tuple(_named(line, names) for line in self.separates),
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
