"""Clauses and limits for numbers with a clean part and perhaps a contaminated part.

The numbers are the scores of a detector, or the residuals of measurements.
"""

from nbam_pyro.outputs.explanation import Explanation

__all__ = [
    "CLEAR",
    "EVEN",
    "FEWEST",
    "GROUP",
    "NARROW",
    "TIED",
    "few_clause",
    "group_clause",
    "likelier_first",
    "tied_clause",
]

CLEAR, EVEN = 0.95, 0.5
"""A contaminated part with at least the first probability is clear; above the second it is the
likelier explanation."""

NARROW = 0.06
"""Verified rows identify a share whose interval is at most this wide."""

GROUP = 0.3
"""A contaminated part with more than this share of the rows may be a second group of clean rows."""

TIED = 0.2
"""If more than this share of the numbers is equal, their distribution cannot be estimated."""

FEWEST = 20
"""With fewer numbers their distribution cannot be estimated."""


def few_clause(count: int, what: str, shape: str) -> str:
    """Return a clause for too few numbers.

    Args:
        count: How many numbers there are.
        what: What they are, in the plural with an s, such as "different scores".
        shape: What has the distribution, such as "scores".

    Example:
        >>> few_clause(8, "measurements", "residuals")
        'there are only 8 measurements, too few to estimate the distribution of the residuals'
    """
    there = f"is only 1 {what.removesuffix('s')}" if count == 1 else f"are only {count} {what}"
    return f"there {there}, too few to estimate the distribution of the {shape}"


def tied_clause(tied: float, what: str) -> str:
    """Return a clause for equal numbers.

    Args:
        tied: Share of the rows that have the most frequent number.
        what: Name of the number, such as "score".
    """
    return (
        f"{tied:.0%} of the rows have the same {what}, so the distribution of the {what}s cannot "
        "be estimated"
    )


def group_clause(part: str, rows: str) -> str:
    """Return a clause for a contaminated part that may be clean.

    Args:
        part: Name of the part, such as "second part of the scores".
        rows: Name of clean rows, such as "normal rows".
    """
    return f"the {part} is so large that it may be a second group of {rows}"


def likelier_first(contaminated: Explanation, clean: Explanation) -> tuple[Explanation, ...]:
    """Return both explanations, the likelier one first.

    Args:
        contaminated: Explanation with a contaminated part, with its weight.
        clean: Explanation without a contaminated part.
    """
    likely = contaminated.weight is not None and contaminated.weight > EVEN
    return (contaminated, clean) if likely else (clean, contaminated)
