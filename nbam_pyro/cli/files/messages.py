"""How the errors and notes about files are worded."""

import shlex
from collections.abc import Iterable, Sequence

from nbam_pyro.errors import DataError

__all__ = ["counted", "listing", "option", "problem", "repeated"]


def problem(message: str) -> DataError:
    """The error with this message on one line, whatever names and causes it quotes.

    Example:
        >>> str(problem("two lines," + chr(10) + "joined"))
        'two lines, joined'
    """
    return DataError(" ".join(message.splitlines()))


def listing(names: Sequence[str], *, most: int = 10) -> str:
    """The names in quotes, at most so many of them.

    Args:
        names: The names to list.
        most: How many are written out.

    Example:
        >>> listing(["a", "b", "c"], most=2)
        "'a', 'b' and 1 more"
    """
    shown = ", ".join(repr(name) for name in names[:most])
    rest = len(names) - most
    return f"{shown} and {rest} more" if rest > 0 else shown or "none"


def option(flag: str, names: Sequence[str], *, most: int = 10) -> str:
    """What a person types at a shell to give an option these names.

    Args:
        flag: The option, for instance "--drop".
        names: The values, one option for each.
        most: How many are written out.

    Example:
        >>> option("--drop", ["id", "row number"])
        "--drop id --drop 'row number'"
    """
    typed = [f"{flag} {shlex.quote(' '.join(name.splitlines()))}" for name in names[:most]]
    return " ".join([*typed, "..."] if len(names) > most else typed)


def counted(number: int, thing: str, *, were: tuple[str, str] = ("", "")) -> str:
    """A number with its noun and perhaps a verb, in singular or plural.

    Args:
        number: The number of things.
        thing: The noun, in singular.
        were: The verb that follows, in singular and in plural.

    Example:
        >>> counted(1, "cell", were=("was", "were")), counted(3, "row")
        ('1 cell was', '3 rows')
    """
    noun = thing if number == 1 else f"{thing}s"
    return f"{number} {noun} {were[number != 1]}".rstrip()


def repeated(names: Iterable[str]) -> list[str]:
    """The names that occur more than once, sorted.

    Example:
        >>> repeated(["b", "a", "b"])
        ['b']
    """
    seen: set[str] = set()
    twice: set[str] = set()
    for name in names:
        (twice if name in seen else seen).add(name)
    return sorted(twice)
