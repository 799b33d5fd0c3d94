"""Texts of the data, such as labels, in a form that a page and a picture can show."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from nbam_pyro.errors import printable

__all__ = ["short_names", "shortened"]

# Largest numbers of characters of a cell, and of a name in a picture.
_CHARACTERS, _NAME = 120, 20


def shortened(value: object, *, most: int = _CHARACTERS) -> str:
    r"""Return a value as text: without control characters, and cut if it is long.

    Args:
        value: Any cell, label or name.
        most: Largest number of characters.

    Example:
        >>> shortened("a\x1b[2Jb"), shortened("x" * 9, most=4), shortened(0.1 + 0.2)
        ('a\\x1b[2Jb', 'xxx…', '0.3')
    """
    if isinstance(value, float | np.floating):
        return "" if np.isnan(value) else f"{value:.6g}"
    if value is None or value is pd.NA or value is pd.NaT:
        return ""
    text = str(value)
    text = printable(text[: 2 * most])[: most + 1]
    return text if len(text) <= most else f"{text[: most - 1]}…"


def short_names(names: Sequence[object]) -> list[str]:
    """Return names of classes for a picture: short, and all different.

    Args:
        names: Names of the classes.

    Example:
        >>> short_names(["ant", "x" * 30, "x" * 40])
        ['ant', 'xxxxxxxxxxxxxxxxxxx…', 'xxxxxxxxxxxxxxxxxxx… (2)']
    """
    short = [shortened(name, most=_NAME) for name in names]
    seen: dict[str, int] = {}
    for place, name in enumerate(short):
        seen[name] = seen.get(name, 0) + 1
        if seen[name] > 1:
            short[place] = f"{name} ({seen[name]})"
    return short
