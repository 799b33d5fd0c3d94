"""The answers of a person to the table of `nbam review`, compared with the run."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nbam_pyro.checks.codes import codes_of, switches
from nbam_pyro.cli.files import Source, read
from nbam_pyro.cli.files.messages import counted, repeated
from nbam_pyro.cli.runs.formulas import unquoted
from nbam_pyro.cli.runs.reviewing import Reviewable
from nbam_pyro.decisions.queue import inclusion_probabilities
from nbam_pyro.errors import DataError

__all__ = ["Answers"]

_ORDER, _ROW, _RESPONSIBILITY, _DRAWN = "order", "row", "responsibility", "inclusion_probability"
# A spreadsheet writes numbers with six significant digits or more. A sample with one row more or
# less has other probabilities by more than this part if it has fewer than 100,000 rows.
_DIGITS, _ZERO = 1e-5, 1e-9


@dataclass(frozen=True, kw_only=True, eq=False)
class Answers:
    """Answers about a random sample of the rows that nobody had verified, n of them.

    Attributes:
        place: Place of each drawn row in `Reviewable.open`, in the order of review, (n,).
        code: 1 if the row is contaminated, 0 if it is clean, -1 without an answer, (n,).
        inclusion: Probability with which each row was drawn, (n,).
    """

    place: np.ndarray
    code: np.ndarray
    inclusion: np.ndarray

    @classmethod
    def read(cls, path: Path, rows: Reviewable) -> "Answers":
        """Read the answers and check that they belong to a random sample of a run.

        Args:
            path: CSV or Parquet file that `draw_review` wrote and a person filled in.
            rows: Rows of the run.

        Raises:
            DataError: The file cannot be read, has no answer, was not drawn at random from this
                run, or was changed in another way than by filling in answers.
        """
        source = read(
            path,
            label=rows.answer,
            beside=[_ORDER, _ROW, _RESPONSIBILITY, _DRAWN],
            optional=True,
            features=False,
            spelling="texts",
        )
        for name in (_ROW, _RESPONSIBILITY):
            _check_column(name, source, path)
        if _DRAWN not in source.beside:
            raise DataError(
                f"'{path}' has no column {_DRAWN!r}. Rows that were chosen because they look "
                "suspicious say nothing about the other rows, so the share cannot be corrected by "
                "them. Draw rows with --design random; or write the answers into a column of the "
                "data and fit again with --contaminated (nbam detect: --verified), where they are "
                "observations."
            )
        _check_column(_ORDER, source, path)
        code = codes_of(rows.answer, source.y, len(source.rows), switches)
        place = _places(source, rows, path)
        count = len(place)
        order = _numbers(source, _ORDER)
        if not np.array_equal(np.sort(order), np.arange(1, count + 1)):
            raise DataError(
                f"'{path}' is not the table as it was drawn: the column {_ORDER!r} does not "
                f"number its {count} rows from 1 to {count}. Restore rows that were removed, and "
                "leave their answers empty."
            )
        inclusion = inclusion_probabilities(rows.open[_RESPONSIBILITY].to_numpy(), count)[place]
        _check_inclusion(_numbers(source, _DRAWN), inclusion, source, path)
        if not (code >= 0).any():
            raise DataError(
                f"'{path}' has no answer. Write 1 (true) or 0 (false) into the column "
                f"{rows.answer!r}, and leave it empty for rows that nobody has looked at."
            )
        first = order.argsort()
        return cls(place=place[first], code=code[first], inclusion=inclusion[first])


def _check_column(name: str, source: Source, path: Path) -> None:
    if name not in source.beside:
        raise DataError(
            f"'{path}' has no column {name!r}. Give the table that nbam review wrote, with all its "
            "columns."
        )


def _numbers(source: Source, name: str) -> np.ndarray:
    """Return a column of numbers, (n,), NaN where a cell is empty."""
    try:
        numbers = np.array(
            [np.nan if cell is None else float(cell) for cell in source.beside[name]]
        )
    except ValueError as error:
        raise DataError(f"The column {name!r} has a cell that is not a number: {error}.") from error
    return numbers


def _places(source: Source, rows: Reviewable, path: Path) -> np.ndarray:
    """Return the places of the rows in the rows that nobody has verified, (n,)."""
    names = [str(unquoted(cell)) for cell in source.beside[_ROW].tolist()]
    twice = repeated(names)
    if twice:
        raise DataError(
            f"'{path}' has row '{twice[0]}' more than once. Keep one line for each row."
        )
    where = {str(name): place for place, name in enumerate(rows.open[_ROW])}
    strange = [name for name in names if name not in where]
    if strange:
        raise DataError(
            f"'{path}' has {counted(len(strange), 'row')} that nbam review cannot have drawn from "
            f"'{rows.run}', the first is row '{strange[0]}': the run does not have it, or it has "
            "no label there, or it was verified before. Give the run from which the rows were "
            "drawn."
        )
    place = np.array([where[name] for name in names])
    own, given = rows.open[_RESPONSIBILITY].to_numpy()[place], _numbers(source, _RESPONSIBILITY)
    other = ~np.isclose(given, own, rtol=_DIGITS, atol=_ZERO)
    if other.any():
        first = int(other.argmax())
        raise DataError(
            f"'{path}' has responsibility {given[first]:.6g} for row '{names[first]}', but "
            f"'{rows.run}' has {own[first]:.6g}. The rows were drawn from another run, or it was "
            "fitted again. Give the run from which they were drawn, or draw again."
        )
    return place


def _check_inclusion(given: np.ndarray, drawn: np.ndarray, source: Source, path: Path) -> None:
    """Raise an error if inclusion probabilities are not those of a sample of this size."""
    wrong = ~np.isclose(given, drawn, rtol=_DIGITS, atol=_ZERO)
    if wrong.any():
        first = int(wrong.argmax())
        row = unquoted(source.beside[_ROW][first])
        raise DataError(
            f"'{path}' has {_DRAWN} {given[first]:.6g} for row '{row}', but in a sample of "
            f"{len(given)} rows it is {drawn[first]:.6g}. Rows were added or removed, or the "
            "column was changed. Give the table as it was drawn, with empty answers for rows that "
            "nobody has looked at."
        )
