"""Base class of benchmarks, and the cases and rows that they yield."""

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
    """One measured combination of data, method, seed and settings.

    Two cases are equal if all of these are equal.

    Attributes:
        data: Name of the data.
        method: Name of the method.
        seed: Seed, or None if the method uses no random numbers.
        settings: Other settings by name, as numbers and texts. Settings that are None are ignored.
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
    """Measured figures of one case.

    Attributes:
        case: Case that was measured.
        figures: Numbers by name of the metric. None means that a metric is undefined.
        notes: Texts by name, such as a verdict.
        device: Device that was used. None means the GPU if this machine has one, else the CPU.
        packages: Versions of other packages that were used, by name.
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
    """Base class of benchmarks. Fields of subclasses become options of the command line.

    Subclasses are dataclasses. `python -m benchmarks list` prints the first docstring line of each.
    """

    @abstractmethod
    def measure(self, known: Collection[Case]) -> Iterator[Row]:
        """Measure all cases and yield one row after another.

        Args:
            known: Cases to skip, because their results exist already.
        """

    @staticmethod
    @abstractmethod
    def summary(rows: pd.DataFrame) -> str:
        """Return the text that is printed at the end of a run.

        Args:
            rows: One row per case, as `rows.wide` returns them.
        """


def name_of(benchmark: type[Benchmark]) -> str:
    """Return the name on the command line, such as "label-noise" for `LabelNoise`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", benchmark.__name__).lower()


def flat(values: Mapping[str, Any] | list[Any], above: str = "") -> dict[str, Any]:
    """Flatten nested dictionaries and lists. Names are joined, as in "verified.clean"."""
    pairs = values.items() if isinstance(values, Mapping) else enumerate(values)
    found: dict[str, Any] = {}
    for key, value in pairs:
        name = f"{above}{key}"
        if isinstance(value, Mapping | list):
            found |= flat(value, f"{name}.")
        else:
            found[name] = value
    return found
