"""`Triples`: annotations as sparse triples of numbers, and what is counted from them."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

__all__ = ["Triples"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Triples:
    """Annotations as sparse triples (item, annotator, label).

    Attributes:
        item: Index of the item of each annotation, (A,).
        annotator: Index of the annotator of each annotation, (A,).
        label: Label of each annotation, 0, ..., K-1, (A,).
        items: Number of items N.
        annotators: Number of annotators J.
        classes: Number of classes K.
    """

    item: Int[np.ndarray, " a"]
    annotator: Int[np.ndarray, " a"]
    label: Int[np.ndarray, " a"]
    items: int
    annotators: int
    classes: int

    @property
    def given(self) -> Int[np.ndarray, " j"]:
        """Number of annotations of each annotator, (J,)."""
        return np.bincount(self.annotator, minlength=self.annotators)

    @property
    def received(self) -> Int[np.ndarray, " n"]:
        """Number of annotations of each item, (N,)."""
        return np.bincount(self.item, minlength=self.items)

    @property
    def votes(self) -> Int[np.ndarray, "n k"]:
        """Number of annotations of each item with each label, (N, K)."""
        n, k = self.items, self.classes
        return np.bincount(self.item * k + self.label, minlength=n * k).reshape(n, k)

    def counts(self, c: Int[np.ndarray, " n"]) -> Int[np.ndarray, "j k k"]:
        """Return how often each annotator gave each label to items of each class, (J, K, K).

        Args:
            c: True labels, (N,).
        """
        j, k = self.annotators, self.classes
        cells = (self.annotator * k + c[self.item]) * k + self.label
        return np.bincount(cells, minlength=j * k * k).reshape(j, k, k)

    def expected_counts(self, q: Float[np.ndarray, "n k"]) -> Float[np.ndarray, "j k k"]:
        """Return the expectation of `counts` under probabilities of the true labels, (J, K, K).

        Args:
            q: Probabilities of the true label of each item, (N, K).
        """
        j, k = self.annotators, self.classes
        cells = self.annotator * k + self.label
        per_class = [
            np.bincount(cells, column[self.item], minlength=j * k).reshape(j, k) for column in q.T
        ]
        return np.stack(per_class, 1)

    def evidence(self, log_confusion: Float[np.ndarray, "j k k"]) -> Float[np.ndarray, "n k"]:
        """Return the log likelihood of all annotations of each item for each true label, (N, K).

        Args:
            log_confusion: Logarithm of the confusion matrices, (J, K, K).
        """
        own = log_confusion[self.annotator, :, self.label]
        return np.stack(
            [np.bincount(self.item, column, minlength=self.items) for column in own.T], 1
        )

    def share_right(self, c: Int[np.ndarray, " n"]) -> Float[np.ndarray, " j"]:
        """Return the share of each annotator's annotations that equal the true label, (J,).

        Args:
            c: True labels, (N,).
        """
        right = np.bincount(self.annotator, c[self.item] == self.label, minlength=self.annotators)
        return right / np.maximum(self.given, 1)
