"""Held-out rows of a loss: rates and flips from them, and signs that labels were memorised."""

import warnings

import torch
from jaxtyping import Float, Int
from torch import Tensor

from nbam_pyro.errors import CannotTellWarning, InSampleWarning, NothingLearnedWarning
from nbam_pyro.losses.criterion import newest_version
from nbam_pyro.losses.elements import Elements
from nbam_pyro.models.priors.pseudo_counts import FlipPrior
from nbam_pyro.outputs.gains import LEARNED, gain_over_frequencies
from nbam_pyro.outputs.transition import Transition, estimate_transition
from nbam_pyro.outputs.transition_inputs import EXPONENTS, without_wrong_labels

__all__ = ["Memorised", "recounted", "say_merged", "say_nothing_learned", "summary"]

# Iterations of EM, as many as in the default recipe of `fit`.
_ITERATIONS = 100
# A difference of shares is reported if it is larger than this number of standard errors, and than
# this part of the share in held-out rows. With many rows, tiny differences are significant.
_ERRORS, _PART = 4.0, 0.1
# A class with this number of labels is merged if fewer rows than this part of the number are
# predicted as the class.
_LABELS, _MERGED = 20, 0.05


def recounted(
    elements: Elements, prior: FlipPrior, start: Float[Tensor, "k k"]
) -> tuple[float, Transition]:
    r"""Return a power a of the predictions, rates and T, all fitted to labels of held-out rows.

    The predictions become :math:`p^a / \sum p^a`. A network that has learned little is less certain
    than its accuracy justifies, and one that has memorised labels is too certain. Without
    correction, wrong labels would be explained by uncertainty, or hard rows as wrong labels.

    Args:
        elements: Labels of held-out rows and their predictions.
        prior: Pseudo-counts of contamination rates and flips.
        start: Transition matrix M to start from, (K, K).
    """
    labels, verified = elements.labels, elements.verified
    candidates = []
    for power in EXPONENTS:
        log_f = without_wrong_labels(power * elements.log_f, labels, verified)
        found = estimate_transition(
            log_f,
            labels,
            prior=prior,
            true_labels=verified.label(labels) if len(verified) else None,
            start=log_f.exp().sum(0)[:, None] * start,
            iterations=_ITERATIONS,
        )
        candidates.append((power, found))
    return max(candidates, key=lambda candidate: candidate[1].log_marginal)


def say_merged(elements: Elements) -> None:
    """Warn if a class has labels, but almost no rows are predicted as this class.

    Args:
        elements: Labels of held-out rows and their predictions.
    """
    k = elements.log_f.shape[1]
    labels = elements.labels.bincount(minlength=k)
    rows = elements.log_f.argmax(-1).bincount(minlength=k)
    merged = (labels >= _LABELS) & (rows < _MERGED * labels)
    if merged.any():
        c = int(merged.nonzero()[0, 0])
        warnings.warn(
            f"{int(labels[c])} held-out labels are class {c}, but only {int(rows[c])} rows are "
            "predicted as this class. The network has not learned it, or has merged it with "
            "another class, and responsibilities of both are wrong. Call start_from some epochs "
            "later, go back to the weights after the first epoch, and train again.",
            CannotTellWarning,
            stacklevel=4,  # The line that calls the loss.
        )


def say_nothing_learned(elements: Elements, matrix: Float[Tensor, "k k"]) -> None:
    """Warn if the network predicts labels no better than their frequencies do.

    Verified rows are left out. If all labels are of one class, nothing can be said.

    Args:
        elements: Labels of held-out rows and their predictions.
        matrix: Transition matrix M, (K, K).
    """
    verified = elements.verified
    weights = torch.ones_like(elements.labels, dtype=matrix.dtype)
    if len(verified):
        weights[verified.known] = 0
    if len(elements.labels[weights > 0].unique()) < 2:
        return
    probabilities = elements.log_f.double().exp() @ matrix.double()
    log_marginals = probabilities.gather(1, elements.labels[:, None])[:, 0].log()
    gain = gain_over_frequencies(log_marginals, elements.labels, weights, len(matrix))
    if gain < LEARNED:
        warnings.warn(
            "The network predicts held-out labels no better than their frequencies do. Its "
            "responsibilities mean nothing. Use more rows, features with more information about "
            "the labels, more epochs, or another network.",
            NothingLearnedWarning,
            stacklevel=4,  # The line that calls the loss.
        )


def summary(
    responsibilities: Float[Tensor, " n"], labels: Int[Tensor, " n"], k: int
) -> Float[Tensor, "3 k"]:
    """Return number, mean and variance of responsibilities by observed label, (3, K).

    The variance is 0 where a label has fewer than two rows, and the mean is 0 where it has none.

    Args:
        responsibilities: Responsibilities of labelled rows, (N,).
        labels: Their observed labels, (N,).
        k: Number of classes K.
    """
    r = responsibilities.double()
    # Without rows, bincount returns float32.
    n, total, squares = (
        torch.bincount(labels, r**power, minlength=k).double() for power in range(3)
    )
    mean = total / n.clamp_min(1)
    variance = (squares - n * mean**2).clamp_min(0.0) / (n - 1).clamp_min(1)
    return torch.stack([n, mean, variance])


class Memorised:
    """Check whether a network has memorised the labels that a loss reads, with a warning.

    A network that has memorised labels agrees with them more often than it agrees with labels of
    held-out rows, and the responsibilities are then too low. The comparison is made within each
    observed label, so that it does not depend on which classes the rows have. There is at most one
    warning between two training steps.

    Attributes:
        trained: Whether the network was trained with the loss since the last `recount`.
        warned: Whether a warning was given since then.
        version: Count of changes of the network's parameters at the last batch; None before it.
    """

    def __init__(self, *, trained: bool = False) -> None:
        self.trained = trained
        self.warned = False
        self.version: int | None = None

    def changes(self, output: Tensor) -> bool:
        """Return whether the network was trained for the first time since the last `recount`.

        Args:
            output: Output of the network for a training batch.
        """
        if self.trained:
            return False
        version = newest_version(output)
        self.trained = self.version is not None and version != self.version
        self.version = version
        return self.trained

    def unknown(self) -> None:
        """Warn that responsibilities may be too low: there are no predictions of held-out rows."""
        self._warn(
            "The network was trained after the last recount, so these responsibilities may be "
            "in-sample: if the network has memorised wrong labels, they are too low, and the loss "
            "cannot tell. Call loss.recount with predictions for rows that were not used for "
            "training; a tenth of the rows is enough."
        )

    def compare(self, held_out: Float[Tensor, "3 k"], rows: Float[Tensor, "3 k"]) -> None:
        """Warn if responsibilities are clearly lower than in held-out rows with the same labels.

        Args:
            held_out: Result of `summary` for held-out rows.
            rows: Result of `summary` for the rows in question.
        """
        compared = (held_out[0] > 1) & (rows[0] > 1)  # A variance needs two rows.
        if not compared.any():
            return
        n, mean, variance = held_out[:, compared].double()
        own, own_mean, own_variance = rows[:, compared]
        part = own / own.sum()
        expected, found = float(part @ mean), float(part @ own_mean)
        error = float((part**2 * (variance / n + own_variance / own)).sum().sqrt())
        if expected - found > max(_ERRORS * error, _PART * expected):
            self._warn(
                f"Of these labels, {found:.1%} are found wrong, but {expected:.1%} of held-out "
                "rows with the same labels. If the network was trained on these rows, it has "
                "memorised labels, and their responsibilities are too low. Predict "
                "the rows with a network that was not trained on them (folds), or go back to the "
                "weights of an earlier epoch."
            )

    def _warn(self, message: str) -> None:
        if not self.warned:
            self.warned = True
            warnings.warn(message, InSampleWarning, stacklevel=5)  # The line that calls the loss.
