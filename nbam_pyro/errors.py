"""The errors and warnings of the library, one small tree."""


class NBAMError(Exception):
    """Base of every error raised on purpose; its message names the cause and the mend."""

    def __str__(self) -> str:
        return printable(super().__str__())


class DataError(NBAMError, ValueError):
    """The data do not fit the call: a shape, a type, a label out of range, a missing value."""


class SupportError(DataError):
    """A target lies where neither likelihood has any mass, so no fit can explain it."""


class StoryError(NBAMError, TypeError):
    """The story lacks what the call needs, for instance a closed form or a transition matrix."""


class FolderError(NBAMError, OSError):
    """A run folder exists already or cannot be written."""


class ContractError(NBAMError, AssertionError):
    """A part that you wrote does not do what the library needs of it; see `nbam_pyro.testing`."""


class NBAMWarning(UserWarning):
    """Base of every warning given on purpose."""


class CollapseWarning(NBAMWarning):
    """The fit explains every disagreement as clean: its flags mean nothing."""


class OptimiserWarning(NBAMWarning):
    """Parameters of a loss do not move: they were probably never given to the optimiser."""


class WildValueWarning(NBAMWarning):
    """Some values lie so far from the rest of their column that they count as its edge."""


class SupportWarning(NBAMWarning):
    """Scored targets lie outside the stated range; they count as contaminated."""


def printable(text: str) -> str:
    r"""The text with every character written as an escape that a terminal would act on.

    These are control characters (line ends stay), and those that change the direction of writing or
    are shown as nothing.

    Args:
        text: Text to show.

    Example:
        >>> printable("a\x1b[2Jb")
        'a\\x1b[2Jb'
    """
    return "".join(one if one == "\n" or one.isprintable() else _escaped(one) for one in text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode()
