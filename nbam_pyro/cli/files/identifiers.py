"""Identifiers: columns that number or name the rows and carry no other information."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from nbam_pyro.cli.files.cells import cell_kind, numbers, texts
from nbam_pyro.cli.files.column_names import NAMELESS
from nbam_pyro.cli.files.columns import tells_rows_apart
from nbam_pyro.cli.files.messages import listing, option, problem
from nbam_pyro.cli.files.source import Features

__all__ = ["Choice", "chosen"]

_NAMES = frozenset({"id", "index", "row", "rownames", "uuid", NAMELESS.lower()})


@dataclass(frozen=True)
class Choice:
    """Which columns of a table are left out.

    Attributes:
        drop: Names of the columns to leave out.
        notes: One message for the user about identifiers that were left out or kept. The list is
            empty if there is nothing to say.
    """

    drop: tuple[str, ...]
    notes: list[str]


def chosen(x: Features, *, drop: Sequence[str] = (), keep: Sequence[str] = ()) -> Choice:
    """Choose which columns of a training table to leave out.

    A column is an identifier if its name is id, index, row, rownames, uuid or Unnamed: 0 (upper or
    lower case), and its cells are whole numbers or texts that are all different. Identifiers are
    left out unless no feature would be left. Other columns whose cells are all different are kept,
    and a note names them.

    Args:
        x: Features: a table, an array or images. Arrays and images have no columns to choose.
        drop: Names of columns to leave out in any case.
        keep: Names of columns to keep in any case.

    Raises:
        DataError: A name in drop or keep is unknown or in both lists, no feature is left, or the
            cells of a column are neither numbers nor texts.

    Example:
        >>> frame = pd.DataFrame({"id": [7, 3, 9], "year": [1, 2, 3], "size": [0.5, 0.7, 0.5]})
        >>> choice = chosen(frame)
        >>> choice.drop
        ('id',)
        >>> print(choice.notes[0])
        column 'id' was left out as identifier (to use it, add --keep id); column 'year' has a
        different value in every row, like an identifier, but was kept (to leave it out, add --drop
        year)
    """
    if not isinstance(x, pd.DataFrame):
        if drop or keep:
            raise problem(
                f"{option('--drop', drop) or option('--keep', keep)} names a column, but only CSV "
                "and Parquet files have columns with names. Leave this option out."
            )
        return Choice((), [])
    names = [str(name) for name in x]
    _check_names(names, drop=drop, keep=keep)
    gone, asked = set(drop), set(keep)
    columns = {name: column for name, (_, column) in zip(names, x.items(), strict=True)}
    columns = {name: column for name, column in columns.items() if name not in gone}
    free = {name: column for name, column in columns.items() if name not in asked}
    found = [name for name, c in free.items() if name.lower() in _NAMES and _all_differ(c, name)]
    _refuse_nameless(NAMELESS in free and NAMELESS not in found)
    useless = {name for name, column in columns.items() if _has_too_many_texts(column, name)}
    _refuse_useless(sorted(useless & asked))
    other = useless.union(found)
    rest = [name for name in columns if name not in other]
    only = [] if rest else [name for name in found if name not in useless]
    left_out = [name for name in found if rest or (only and name in useless)]
    alike: list[str] = []
    if len(rest) > 1:  # nobody would drop the only feature
        alike = [name for name in rest if name in free and _looks_alike(free[name], name)]
    said = "; ".join(_said(left_out, only, alike))
    return Choice((*dict.fromkeys(drop), *left_out), [said] if said else [])


def _said(gone: list[str], only: list[str], alike: list[str]) -> Iterator[str]:
    if gone:
        s, was, it = ("", "was", "it") if len(gone) == 1 else ("s", "were", "them")
        yield (
            f"column{s} {listing(gone)} {was} left out as identifier{s} (to use {it}, add "
            f"{option('--keep', gone)})"
        )
    if only:
        yield f"column {listing(only)} looks like an identifier, but was kept as the only feature"
    if alike:
        s, has, like, was, it = (
            ("", "has", "an identifier", "was", "it")
            if len(alike) == 1
            else ("s", "have", "identifiers", "were", "them")
        )
        yield (
            f"column{s} {listing(alike)} {has} a different value in every row, like {like}, but "
            f"{was} kept (to leave {it} out, add {option('--drop', alike)})"
        )


def _looks_alike(column: pd.Series, name: str) -> bool:
    return _all_differ(column, name) and bool(column.notna().all())


def _all_differ(column: pd.Series, name: str) -> bool:
    """Whether the cells of a column are whole numbers or texts that are all different."""
    if cell_kind(column, name=name) == "texts":
        present = [cell for cell in texts(column) if cell is not None]
        return 1 < len(present) == len(set(present))
    values = numbers(column)
    values = values[~np.isnan(values)]
    if len(values) < 2 or not (np.isfinite(values) & (values == np.round(values))).all():
        return False
    # The original cells are compared: beyond 2^53, neighbouring numbers are equal in float64.
    return not pd.api.types.is_bool_dtype(column.dtype) and column.dropna().is_unique


def _has_too_many_texts(column: pd.Series, name: str) -> bool:
    if cell_kind(column, name=name) != "texts":
        return False
    different = len(set(texts(column)) - {None})
    return tells_rows_apart(different, len(column))


def _check_names(names: list[str], *, drop: Sequence[str], keep: Sequence[str]) -> None:
    known = set(names)
    for flag, asked in (("--drop", drop), ("--keep", keep)):
        unknown = [name for name in dict.fromkeys(asked) if name not in known]
        if unknown:
            raise problem(
                f"{flag} names {listing(unknown)}, but the data have no such feature column. Their "
                f"columns are: {listing(names)}."
            )
    both = sorted(set(drop).intersection(keep))
    if both:
        raise problem(
            f"{listing(both)} is given to --drop and to --keep. Choose one of the two options."
        )
    if known.issubset(drop):
        raise problem("--drop removes every feature column. Keep at least one.")


def _refuse_nameless(there: bool) -> None:
    if there:
        raise problem(
            "The first column has no name. It may be an index that was saved with the table, but "
            f"its cells do not identify the rows. Name it, or add {option('--drop', [NAMELESS])} "
            f"to leave it out, or {option('--keep', [NAMELESS])} to use it."
        )


def _refuse_useless(names: list[str]) -> None:
    if names:
        raise problem(
            f"Column {names[0]!r} cannot be kept: it holds too many different texts to learn "
            f"from. Remove {option('--keep', names[:1])}."
        )
