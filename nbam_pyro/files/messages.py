"""How the errors and notes about files are worded."""

from collections.abc import Sequence

from nbam_pyro.errors import DataError

__all__ = ["counted", "listing", "problem"]


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
        names: what to list.
        most: how many are written out.

    Example:
        >>> listing(["a", "b", "c"], most=2)
        "'a', 'b' and 1 more"
    """
    shown = ", ".join(repr(name) for name in names[:most])
    rest = len(names) - most
    return f"{shown} and {rest} more" if rest > 0 else shown or "none"


def counted(number: int, thing: str, *, were: tuple[str, str] = ("", "")) -> str:
    """A number with its noun and perhaps a verb, in singular or plural.

    Args:
        number: how many.
        thing: the noun, in singular.
        were: the verb that follows, in singular and in plural.

    Example:
        >>> counted(1, "cell", were=("was", "were")), counted(3, "row")
        ('1 cell was', '3 rows')
    """
    noun = thing if number == 1 else f"{thing}s"
    return f"{number} {noun} {were[number != 1]}".rstrip()
