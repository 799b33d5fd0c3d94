"""What a benchmark is, and what it yields."""

import re
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, final

import pandas as pd
import torch

__all__ = ["CPU", "Benchmark", "Case", "Row", "flat", "name_of"]

CPU = torch.device("cpu")


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Case:
    """What figures are about. Two cases are equal if all of their parts are.

    Attributes:
        data: Name of the data.
        method: Name of the method.
        seed: Seed, or None if there is no randomness.
        settings: Further settings by name: numbers and texts. A setting that is None is left out.
    """

    data: str
    method: str
    seed: int | None = None
    settings: Mapping[str, object] = field(default_factory=dict)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Case) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __str__(self) -> str:
        parts = [self.data, self.method]
        parts += [f"{name} {value}" for name, value in self.settings.items() if value is not None]
        return ", ".join(parts if self.seed is None else [*parts, f"seed {self.seed}"])

    def _key(self) -> tuple[Any, ...]:
        settings = frozenset(one for one in self.settings.items() if one[1] is not None)
        return self.data, self.method, self.seed, settings


@final
@dataclass(frozen=True, kw_only=True)
class Row:
    """Figures of a case.

    Attributes:
        case: What they are about.
        figures: Numbers by metric, None where a metric is undefined.
        notes: Texts by name, such as a verdict.
        device: Device that was used, or None for a GPU where there is one.
        packages: Versions of further packages that were used.
    """

    case: Case
    figures: Mapping[str, float | None]
    notes: Mapping[str, str | None] = field(default_factory=dict)
    device: torch.device | None = None
    packages: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        figures = [
            f"{name} {'-' if value is None else f'{value:.4g}'}"
            for name, value in self.figures.items()
        ]
        notes = [f"{name} {text!r}" for name, text in self.notes.items() if text]
        return f"{self.case}: {' '.join([*figures, *notes])}"


class Benchmark(ABC):
    """A benchmark. Subclasses are dataclasses, and their fields are options of the command line.

    The first line of a subclass's docstring is what `python -m benchmarks list` prints.
    """

    @abstractmethod
    def measure(self, known: Collection[Case]) -> Iterator[Row]:
        """Yield rows as they are measured.

        Args:
            known: Cases that need not be measured again.
        """

    @staticmethod
    @abstractmethod
    def summary(rows: pd.DataFrame) -> str:
        """A text that says how it came out.

        Args:
            rows: One row per case, as `rows.wide` returns them.
        """


def name_of(benchmark: type[Benchmark]) -> str:
    """The name on the command line, such as "label-noise" for `LabelNoise`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", benchmark.__name__).lower()


def flat(values: Mapping[str, Any] | list[Any], above: str = "") -> dict[str, Any]:
    """Nested dictionaries and lists as one dictionary, with names such as "contamination.mean"."""
    pairs = values.items() if isinstance(values, Mapping) else enumerate(values)
    found: dict[str, Any] = {}
    for key, value in pairs:
        name = f"{above}{key}"
        if isinstance(value, Mapping | list):
            found |= flat(value, f"{name}.")
        else:
            found[name] = value
    return found
