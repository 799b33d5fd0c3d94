"""`LabelEvidence`: numbers about what the data identify of a latent true label."""

from dataclasses import dataclass

from nbam_pyro.storage import Count, Finite, Probability

__all__ = ["DECIDING", "LabelEvidence", "MutualPair"]

# The name of a class is identified if its margin is positive with at least this probability.
_SURE = 0.95
# A class is absorbed by others if its share is smaller than this fraction of an even share.
_EMPTY = 0.1
# Rows of M from equally probable starts are different if their total variation exceeds this.
_DISAGREE = 0.1
# A pair with exchanged names is not counted if more of the labels of one class would be wrong.
_PLAUSIBLE = 0.85

DECIDING = 2
"""Verified rows decide a mutual pair if at least this many more support one reading than the other.
"""


@dataclass(frozen=True)
class MutualPair:
    """Two classes that are mistaken for each other, with both readings of the labels.

    If the names of the two classes are exchanged, other rates explain the labels equally well.

    Attributes:
        classes: Indices of the two classes.
        rates: Probability that a row of the first class has the label of the second class, and the
            reverse, with the names that the fit uses.
        exchanged: The same two probabilities if the names of the classes are exchanged.
        decided: Whether verified labels confirm the reading that the fit uses.
        exchanged_contamination: Share of the rows whose label is wrong if the names are exchanged.
    """

    classes: tuple[Count, Count]
    rates: tuple[Probability, Probability]
    exchanged: tuple[Probability, Probability]
    decided: bool
    exchanged_contamination: Probability


@dataclass(frozen=True, kw_only=True)
class LabelEvidence:
    r"""Numbers from which the verdict of a fit with a latent true label is made.

    They say how well wrong labels can be separated from ambiguous rows, and whether it is clear
    which class is which. If the likelihood cannot decide the names of the classes, the fit assumes
    that in each true class fewer labels are wrong than correct. `Fit.verdict` states what follows
    from the numbers.

    A row is flagged if its responsibility, the probability P(z=1 | x, y) that its label is wrong,
    exceeds one half. M is the transition matrix p(observed | true).

    Attributes:
        rows: Number of rows.
        contamination: Share of the rows whose label is wrong: the mean responsibility.
        flagged: Share of flagged rows.
        alarm: Reason why the fit has collapsed (`CollapseReport`), for example a rate near 0
            although many held-out labels contradict the predictor. None if it has not.
        margin: Permutation margin of each class k, (K,). With :math:`J_{kj} = n_k M_{kj} / n`, it
            is the trace of J minus the trace of the best other naming in which k has another name.
        margin_probability: Posterior probability that the margin of each class is positive, (K,).
        occupancy: Expected share of the rows that truly belong to each class, (K,).
        share: Ends of the 90 % interval of the share of wrong labels, which contains how far the
            network can be trusted where it contradicts labels. None for predictions in-sample,
            which agree too much with the labels.
        all_right: Probability that no label is wrong, so that all contradictions are mistakes of
            the network; 0 for predictions in-sample.
        restarts: Largest total variation between the row of M of each class and the same row from
            another start, among starts with equally probable labels out of fold, (K,).
        pairs: Every mutual pair of classes with both readings.
        echoed: Share of the nearest rows of flagged rows that have the same label as the flagged
            row, minus the share that the fit predicts. None if x is not a table or if no row is
            flagged.
        class_prior: Pseudo-count of each class of the prior on class frequencies, which assumes
            that classes are about equally frequent. None if there was no such prior.
        disagreement: Share of the rows whose label is not the most probable class by networks that
            have not seen it. It would be the share of wrong labels if all of these labels were
            wrong. None for predictions in-sample.
        open_error: True if the clean error is declared open, so that ambiguous rows and wrong
            labels are not distinguished.
        hesitant: Probability that labels are wrong more often where the network hesitates.
        other_contamination: Share of wrong labels if this is the other way round: if they do not
            depend on how far the network hesitates, or if they do. None if verified rows have
            decided, or if it is not known.
    """

    rows: Count
    contamination: Probability
    flagged: Probability
    alarm: str | None
    margin: tuple[Finite, ...]
    margin_probability: tuple[Probability, ...]
    occupancy: tuple[Probability, ...]
    share: tuple[Probability, Probability] | None
    all_right: Probability
    restarts: tuple[Finite, ...]
    pairs: tuple[MutualPair, ...]
    echoed: Finite | None = None
    class_prior: Finite | None = None
    disagreement: Probability | None = None
    open_error: bool = False
    hesitant: Probability = 0.0
    other_contamination: Probability | None = None

    @property
    def open_pairs(self) -> list[MutualPair]:
        """The mutual pairs that verified labels do not decide, and that may be exchanged.

        The first pair is the one for which an exchange is most plausible.
        """
        found = [
            pair for pair in self.pairs if not pair.decided and max(pair.exchanged) <= _PLAUSIBLE
        ]
        return sorted(found, key=lambda pair: max(pair.exchanged))

    @property
    def open_classes(self) -> list[int]:
        """The classes outside of open pairs whose names, rows or flips are open, sorted."""
        paired = {c for pair in self.open_pairs for c in pair.classes}
        return sorted({*self.unsure, *self.empty, *self.apart} - paired)

    @property
    def empty(self) -> list[int]:
        """The classes whose rows other classes have absorbed."""
        even = 1 / len(self.occupancy)
        return [c for c, share in enumerate(self.occupancy) if share < _EMPTY * even]

    @property
    def unsure(self) -> list[int]:
        """The classes whose names are uncertain and not decided by verified labels."""
        decided = {c for pair in self.pairs if pair.decided for c in pair.classes}
        return [c for c, p in enumerate(self.margin_probability) if p < _SURE and c not in decided]

    @property
    def apart(self) -> list[int]:
        """The classes whose flips differ between equally probable starts."""
        return [c for c, distance in enumerate(self.restarts) if distance > _DISAGREE]
