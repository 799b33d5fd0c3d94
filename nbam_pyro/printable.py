"""Texts of other people's files, safe to show at a terminal."""

__all__ = ["printable"]


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
