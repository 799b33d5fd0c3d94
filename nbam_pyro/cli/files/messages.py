"""Building blocks of errors and notes about files."""

import shlex
from collections.abc import Iterable, Sequence

from nbam_pyro.errors import DataError

__all__ = ["counted", "listing", "option", "problem", "repeated"]


def problem(message: str) -> DataError:
    """Return an error with its message on one line, even if quoted names contain line breaks.

    Args:
        message: Text of the error.

    Example:
        >>> str(problem("two lines," + chr(10) + "joined"))
        'two lines, joined'
    """
    return DataError(" ".join(message.splitlines()))


def listing(names: Sequence[str], *, most: int = 10) -> str:
    """Names in quotes, separated by commas.

    Args:
        names: Names to list.
        most: Largest number of names to write out; the others are counted.

    Example:
        >>> listing(["a", "b", "c"], most=2)
        "'a', 'b' and 1 more"
    """
    shown = ", ".join(repr(name) for name in names[:most])
    rest = len(names) - most
    return f"{shown} and {rest} more" if rest > 0 else shown or "none"


def option(flag: str, names: Sequence[str], *, most: int = 10) -> str:
    """The text that a person types to give these names to an option.

    Args:
        flag: Option, for instance "--drop".
        names: Names; the option is repeated for each of them.
        most: Largest number of names to write out.

    Example:
        >>> option("--drop", ["id", "row number"])
        "--drop id --drop 'row number'"
    """
    typed = [f"{flag} {shlex.quote(' '.join(name.splitlines()))}" for name in names[:most]]
    return " ".join([*typed, "..."] if len(names) > most else typed)


def counted(number: int, thing: str, *, were: tuple[str, str] = ("", "")) -> str:
    """A number with its noun, and a verb if one is given, in singular or plural.

    Args:
        number: Number of things.
        thing: Noun in singular.
        were: Verb that follows the noun, in singular and in plural.

    Example:
        >>> counted(1, "cell", were=("was", "were")), counted(3, "row")
        ('1 cell was', '3 rows')
    """
    noun = thing if number == 1 else f"{thing}s"
    return f"{number} {noun} {were[number != 1]}".rstrip()


def repeated(names: Iterable[str]) -> list[str]:
    """Names that occur more than once, sorted.

    Args:
        names: Names to search.

    Example:
        >>> repeated(["b", "a", "b"])
        ['b']
    """
    seen: set[str] = set()
    twice: set[str] = set()
    for name in names:
        (twice if name in seen else seen).add(name)
    return sorted(twice)
