"""Sentences made of clauses, and clauses about shares."""

import math
from collections.abc import Sequence
from statistics import NormalDist

__all__ = [
    "about",
    "halving_rows",
    "listed",
    "percent",
    "rows_are",
    "sentence",
    "share_clause",
    "verified_clause",
]

# A smaller share is zero in one decimal place of a percent.
_VISIBLE = 0.001
# Intervals that are narrower are treated as if they had this width.
_NARROWEST = 0.01


def sentence(*clauses: str) -> str:
    """Return one sentence in which semicolons separate the clauses.

    Args:
        clauses: Clauses without a capital letter and a full stop, or sentences. Empty ones are left
            out.

    Returns:
        The sentence; an empty text if there is no clause.

    Example:
        >>> sentence("the scores have one part", "", "No row is verified.")
        'The scores have one part; no row is verified.'
    """
    told = [clause.removesuffix(".") for clause in clauses if clause]
    if not told:
        return ""
    first, *others = told
    lowered = [one[0].lower() + one[1:] for one in others]
    return "; ".join([first[0].upper() + first[1:], *lowered]) + "."


def listed(items: Sequence[str], *, most: int, hint: str = "") -> str:
    """Return a list in words, which names only the first items if there are too many.

    Args:
        items: Items, at least one.
        most: Largest number of items that are named.
        hint: Text that follows the number of items that are not named.

    Example:
        >>> listed(["a", "b", "c"], most=3), listed(["a", "b", "c"], most=1, hint=" (see below)")
        ('a, b and c', 'a and 2 more (see below)')
    """
    named = list(items[:most])
    if len(items) > most:
        named.append(f"{len(items) - most} more{hint}")
    *first, last = named
    return f"{', '.join(first)} and {last}" if first else last


def percent(share: float, decimals: int = 1) -> str:
    """Write a share in percent. Only a share of exactly 0 or 1 is written as 0 % or 100 %.

    Args:
        share: Share between 0 and 1.
        decimals: Number of decimal places.

    Example:
        >>> percent(0.256), percent(0.0), percent(0.0001), percent(0.9999), percent(0.004, 0)
        ('25.6%', '0.0%', '<0.1%', '>99.9%', '<1%')
    """
    step = 10.0 ** -(decimals + 2)
    text = f"{share:.{decimals}%}"
    if share > 0 and text == f"{0:.{decimals}%}":
        return f"<{step:.{decimals}%}"
    if share < 1 and text == f"{1:.{decimals}%}":
        return f">{1 - step:.{decimals}%}"
    return text


def about(share: float) -> str:
    """Write an estimated share in percent, in words where it is nearly 0 or 1.

    Args:
        share: Share between 0 and 1.

    Example:
        >>> about(0.256), about(0.0001), about(0.9999)
        ('about 25.6%', 'less than 0.1%', 'more than 99.9%')
    """
    text = percent(share)
    words = {"<": "less than ", ">": "more than "}.get(text[0], "about ")
    return words + text.lstrip("<>")


def rows_are(count: int) -> str:
    """Return a number of rows with its verb.

    Args:
        count: Number of rows.

    Example:
        >>> rows_are(1), rows_are(2000)
        ('1 row is', '2,000 rows are')
    """
    return "1 row is" if count == 1 else f"{count:,} rows are"


def share_clause(interval: tuple[float, float], what: str, *, probability: float = 0.9) -> str:
    """Return a clause that gives the interval of a share.

    Args:
        interval: Ends of the interval.
        what: What has the share, such as "labels are wrong".
        probability: Posterior probability that the interval contains.

    Example:
        >>> share_clause((0.19, 0.21), "labels are wrong")
        'between 19.0% and 21.0% of the labels are wrong (90% interval)'
    """
    if interval[1] < _VISIBLE:
        return f"less than {_VISIBLE:.1%} of the {what}"
    low, high = map(percent, interval)
    if low == high:
        return f"about {low} of the {what}"
    return f"between {low} and {high} of the {what} ({probability:.0%} interval)"


def halving_rows(interval: tuple[float, float], rows: int, *, probability: float = 0.9) -> int:
    """Return how many verified rows, drawn at random, give an interval that is half as wide.

    Only the contaminated rows among them are counted. n of N rows with the share s have a variance
    of s (1 - s) (1/n - 1/N). The share is the middle of the interval.

    Args:
        interval: Ends of the interval of the share.
        rows: Number of rows N that have this share.
        probability: Posterior probability that the interval contains.

    Example:
        >>> halving_rows((0.1, 0.3), 100_000), halving_rows((0.1, 0.3), 200)
        (173, 93)
    """
    low, high = interval
    half, middle = max(high - low, _NARROWEST) / 2, max((low + high) / 2, _NARROWEST / 2)
    errors = 2 * NormalDist().inv_cdf((1 + probability) / 2)
    drawn = (errors / half) ** 2 * middle * (1 - middle)
    return math.ceil(drawn / (1 + drawn / rows))


def verified_clause(verified: int, rows: int) -> str:
    """Return a clause that says what verified rows do not say about the other rows.

    Args:
        verified: Number of verified rows.
        rows: Number of rows. If none or all of them are verified, the clause is empty.

    Example:
        >>> verified_clause(20, 240)
        '20 verified rows count as observations, and it is not known how they were chosen, so the
        share of the other rows rests on the model'
    """
    if verified in (0, rows):
        return ""
    they, how = (
        ("row counts as an observation", "it was")
        if verified == 1
        else ("rows count as observations", "they were")
    )
    return (
        f"{verified} verified {they}, and it is not known how {how} chosen, so the share of the "
        "other rows rests on the model"
    )
