"""Clauses and explanations about labels, for fits and for predicted probabilities."""

from collections.abc import Iterable, Sequence

from nbam_pyro.outputs.explanation import Explanation
from nbam_pyro.outputs.open_share import COMPETES
from nbam_pyro.outputs.wording.sentences import about, halving_rows, listed, percent

__all__ = [
    "all_right",
    "class_list",
    "every_class_clause",
    "look_alike_clause",
    "look_clause",
    "majority_clause",
    "names_clause",
    "open_error_clause",
    "pair_list",
    "random_rows_clause",
    "trust_clause",
    "unknown_clause",
]

# Largest numbers of pairs and of classes that a sentence names.
_PAIRS, _CLASSES = 3, 10


def class_list(classes: Iterable[int]) -> str:
    """Return a phrase that names classes, "the class {2}" or "the classes {0} and {1}".

    Args:
        classes: Indices of the classes, at least one.
    """
    names = [f"{{{c}}}" for c in classes]
    return f"the class{'' if len(names) == 1 else 'es'} {listed(names, most=_CLASSES)}"


def pair_list(pairs: Sequence[tuple[int, int]]) -> str:
    """Return a phrase that names the classes of pairs; of many pairs it names the first three.

    Args:
        pairs: Indices of the two classes of each pair, at least one pair.

    Example:
        >>> pair_list([(0, 1)]), pair_list([(0, 1), (2, 3)])
        ('the classes {0} and {1}', 'the classes in the pairs ({0}, {1}) and ({2}, {3})')
    """
    if len(pairs) == 1:
        return class_list(pairs[0])
    named = [f"({{{c}}}, {{{d}}})" for c, d in pairs]
    return f"the classes in the pairs {listed(named, most=_PAIRS, hint=' (see verdict.table())')}"


def names_clause(pairs: Sequence[tuple[int, int]], *, exchanged: float | None = None) -> str:
    """Return a clause about names that rest on an assumption.

    Args:
        pairs: Pairs of classes that may have exchanged their names, at least one.
        exchanged: Share of wrong labels if the names are exchanged; None with several pairs.
    """
    other = "" if exchanged is None else f": otherwise {percent(exchanged)} of all labels are wrong"
    return (
        f"the names of {pair_list(pairs)} rest on the assumption that fewer of their labels are "
        f"wrong than correct{other}"
    )


def unknown_clause(interval: tuple[float, float], *, probability: float = 0.9) -> str:
    """Return a clause for an interval of the share that is too wide.

    Args:
        interval: Ends of the interval.
        probability: Posterior probability that the interval contains.
    """
    low, high = map(percent, interval)
    return (
        f"the data cannot tell how many labels are wrong: the {probability:.0%} interval reaches "
        f"from {low} to {high}"
    )


def majority_clause(high: float) -> str:
    """Return a clause that says why a large share of wrong labels leaves the names open.

    Args:
        high: Upper end of the interval of the share.
    """
    return (
        f"up to {percent(high)} of the labels may be wrong, and if half of them or more are, it is "
        "open which class is which"
    )


def difficulty_clause(share: float, *, hesitant: bool) -> str:
    """Return a clause about wrong labels where the network hesitates, as an assumption.

    Args:
        share: Share of wrong labels if the assumption does not hold.
        hesitant: Whether labels are assumed to be wrong more often where the network hesitates.

    Example:
        >>> difficulty_clause(0.17, hesitant=False)
        'labels are assumed to be wrong as often where the network hesitates as elsewhere: if people
        err more often there, about 17.0% are wrong'
    """
    if hesitant:
        return (
            "labels are assumed to be wrong more often where the network hesitates: if not, "
            f"{about(share)} are wrong"
        )
    return (
        "labels are assumed to be wrong as often where the network hesitates as elsewhere: if "
        f"people err more often there, {about(share)} are wrong"
    )


def seen_clause(disagreement: float) -> str:
    """Return a clause about a classifier that agrees with nearly all labels.

    Args:
        disagreement: Share of the rows on which classifier and label disagree.

    Example:
        >>> seen_clause(0.002)
        'the classifier disagrees with only 0.2% of the labels: if it was trained on these rows, its
        agreement says nothing, because it may have memorised wrong labels'
    """
    return (
        f"the classifier disagrees with only {percent(disagreement)} of the labels: if it was "
        "trained on these rows, its agreement says nothing, because it may have memorised wrong "
        "labels"
    )


def open_error_clause() -> str:
    """Return a clause that says why nothing can be told if the clean error is open."""
    return "the clean error is open, so the data cannot tell wrong labels from ambiguous rows"


def every_class_clause() -> str:
    """Return a clause that says what decides which class is which."""
    return "verify the true labels of some rows of every class"


def look_alike_clause() -> str:
    """Return a clause about wrong labels that no estimate contains."""
    return "wrong labels of rows that look like the class of their label are not counted"


def look_clause(who: str) -> str:
    """Return a clause that says how to measure the clean error.

    Args:
        who: What predicts the labels, "network" or "classifier".
    """
    return (
        f"look at some random rows on which the {who} and the label disagree, and give "
        "clean_error= the share of right labels among them"
    )


def trust_clause(who: str, *, right: float, disagreement: float | None = None) -> str:
    """Return a clause that says why the share of wrong labels is open.

    Args:
        who: What predicts the labels, "network" or "classifier".
        right: Probability that no label is wrong.
        disagreement: Share of the rows on which it contradicts the label; None to leave it out.

    Example:
        >>> trust_clause("network", right=0.0, disagreement=0.2)
        'the share depends on how far the network can be trusted where it contradicts labels: it is
        20.0% if all of these labels are wrong, and 0.0% if none is'
    """
    ends = (
        ""
        if disagreement is None
        else f": it is {percent(disagreement)} if all of these labels are wrong, and 0.0% if none "
        "is"
    )
    none = f" (with a probability of {percent(right, 0)} no label is wrong)"
    return (
        f"the share depends on how far the {who} can be trusted where it contradicts labels"
        f"{none if right > COMPETES else ''}{ends}"
    )


def all_right(who: str, weight: float) -> Explanation:
    """Return the explanation that no label is wrong.

    Args:
        who: What predicts the labels.
        weight: Probability of this explanation.
    """
    return Explanation(
        text=f"No label is wrong: all contradictions are mistakes of the {who}.",
        contamination=0.0,
        weight=weight,
    )


def random_rows_clause(
    interval: tuple[float, float], rows: int, *, probability: float = 0.9
) -> str:
    """Return a clause that says how many rows to verify.

    Args:
        interval: Ends of the interval of the share of wrong labels.
        rows: Number of rows that have this share.
        probability: Posterior probability that the interval contains.
    """
    needed = halving_rows(interval, rows, probability=probability)
    return (
        f"verify about {needed} rows that are chosen at random: the wrong labels among them give "
        "an interval half as wide"
    )
