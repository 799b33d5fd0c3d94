"""Checks of the names of columns."""

from collections.abc import Sequence
from pathlib import Path

from nbam_pyro.cli.files.messages import listing, problem, repeated

__all__ = ["NAMELESS", "check_names", "check_repeats", "named_first"]

NAMELESS = "Unnamed: 0"
"""The name that pandas gives to a first column without a name. It is mostly a saved index."""


def named_first(names: list[str]) -> list[str]:
    """Return names of columns, with the name that pandas gives to a first column without one.

    Args:
        names: Names in the file.
    """
    if not names or names[0].strip() or NAMELESS in names:
        return names
    return [NAMELESS, *names[1:]]


def check_names(
    names: list[str],
    *,
    label: str | None,
    beside: Sequence[str],
    features: bool,
    path: Path,
) -> None:
    """Raise a `DataError` if a column is missing, has no name, or has the name of another.

    Args:
        names: Names of the columns of a table.
        label: Name of the column that must hold the labels; None if there is none.
        beside: Names of further columns that must be there and are no features.
        features: True if a feature column must be there.
        path: Path of the file, for messages.
    """
    check_repeats(names, label=label, path=path)
    known = set(names)
    if label is not None and label not in known:
        split_otherwise = len(names) == 1 and any(mark in names[0] for mark in ";|\t")
        hint = " Separate the cells by commas." if split_otherwise else ""
        raise problem(
            f"'{path}' has no column {label!r} for the labels. Its columns are: "
            f"{listing(names)}.{hint}"
        )
    missing = [name for name in beside if name not in known]
    if missing:
        raise problem(
            f"'{path}' has no column {listing(missing)}. Its columns are: {listing(names)}."
        )
    if "" in (name.strip() for name in names):
        raise problem(f"'{path}' has a column without a name. Name it or leave it out.")
    others = [*([] if label is None else [label]), *beside]
    if features and len(names) == len(others):
        what = f"the label {label!r}" if not beside else listing(others)
        raise problem(f"'{path}' has no feature column besides {what}. Add one.")


def check_repeats(names: list[str], *, label: str | None, path: Path) -> None:
    """Raise a `DataError` if two columns have the same name.

    Args:
        names: Names of the columns of a table.
        label: Name of the column of labels; None if there is none.
        path: Path of the file, for messages.
    """
    twice = repeated(names)
    if label in twice:
        raise problem(
            f"'{path}' has more than one column {label!r}. Keep one of them for the labels."
        )
    if twice:
        raise problem(
            f"'{path}' has two columns with the name {listing(twice)}. Give every column its "
            "own name."
        )
