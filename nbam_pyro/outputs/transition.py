r"""Estimation of contamination rates and flips, given predictions of the true label.

If f = p(c | x) is fixed, the story of `LabelFlip` without deviation has one global latent variable,
the transition matrix M. Its log likelihood

.. math:: \sum_i w_i \log \sum_c f_{ic} M_{c y_i}

is concave in M. The estimate needs only torch: neither Pyro nor a network. The frequencies of the
true classes are those of f, unless they have a prior.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from nbam_pyro.checks.numbers import check_predictions, check_weights
from nbam_pyro.errors import DataError
from nbam_pyro.functional import off_diagonal, transition_matrix, zero_diagonal
from nbam_pyro.models.priors.class_frequency import ClassPrior, check_class_prior
from nbam_pyro.models.priors.pseudo_counts import FlipPrior
from nbam_pyro.outputs.anchors import anchor_start
from nbam_pyro.outputs.transition_inputs import check_normalised, labels_of, precise, start_counts

__all__ = ["RowsByLabel", "Transition", "estimate_transition"]

# Number of rows in a sum. Rounding of longer sums in float32 would keep EM from converging.
_CHUNK = 8192
# Smallest entry of M in single precision; only extreme priors cause smaller ones.
_LEAST = 1e-30


@dataclass(frozen=True)
class Transition:
    """Estimated contamination rates and flips: the mode of their posterior.

    Attributes:
        rate: Contamination rate of each true class, (K,) float64: the share of wrong labels among
            the rows that truly belong to the class.
        flip: Flip matrix T = p(observed label | true label, wrong), (K, K), with a zero diagonal.
        counts: Expected number of rows by true and observed label, (K, K), as in `anchor_counts`.
            They can be passed as `start` to an estimate from similar data.
        log_marginal: Sum of log p(y | x), and of log p(y, c | x) for rows with a verified true
            label c, in nats. With a prior on class frequencies, the sum of log p(x, y) and log p(x,
            y, c) up to a constant. It is -inf if a verified label has predicted probability 0.
        objective: Objective after each iteration, (iterations,): the log marginal plus the log
            prior of M and, if `class_prior` is given, of class frequencies. It never decreases, up
            to rounding.
        class_frequency: Share of rows of each true class, (K,), by the expected counts. With a
            prior on class frequencies, the mode of the frequencies, which includes pseudo-counts.
        log_shift: Logarithm of the mode of class frequencies minus the logarithm of the mean of f,
            (K,); zeros without a prior on class frequencies.
    """

    rate: Float[Tensor, " k"]
    flip: Float[Tensor, "k k"]
    counts: Float[Tensor, "k k"]
    log_marginal: float
    objective: Float[Tensor, " iterations"]
    class_frequency: Float[Tensor, " k"]
    log_shift: Float[Tensor, " k"]

    @property
    def matrix(self) -> Float[Tensor, "k k"]:
        """Transition matrix M = p(observed | true), (K, K)."""
        return transition_matrix(self.rate, self.flip)

    @property
    def share(self) -> float:
        """Expected share of contaminated rows, the mean of their responsibilities."""
        return float(off_diagonal(self.counts).sum() / self.counts.sum())

    def shifted(self, log_f: Float[Tensor, "n k"]) -> Float[Tensor, "n k"]:
        r"""Return predictions at the estimated class frequencies, :math:`f_{ic} \pi_c / \bar f_c`.

        Args:
            log_f: Log p(c | x), (N, K), as given to `estimate_transition`.

        Returns:
            Normalised log probabilities, (N, K); `log_f` itself without a prior on class
            frequencies.
        """
        if not self.log_shift.any():
            return log_f
        return (log_f + self.log_shift.to(log_f)).log_softmax(-1)


def estimate_transition(
    log_f: Float[Tensor, "n k"],
    labels: Int[Tensor, " n"],
    *,
    prior: FlipPrior,
    weights: Float[Tensor, " n"] | None = None,
    true_labels: Int[Tensor, " n"] | None = None,
    start: Float[Tensor, "k k"] | None = None,
    class_prior: float | None = None,
    iterations: int = 1000,
    tolerance: float = 1e-3,
) -> Transition:
    r"""Estimate the mode of rates and T, given predictions of the true label, by EM.

    The rates are the contamination rates of true classes, T is the flip matrix, and row i has the
    weight w_i. The expectations are the counts by true and observed label,

    .. math:: N_{cy} = \sum_{i: y_i = y} w_i \frac{f_{ic} M_{cy}}{\sum_d f_{id} M_{dy}},

    and the maximisation is `anchor_start`, in which the priors are pseudo-counts. Its results are
    the posterior means given the counts and also, in logits of rates and of rows of T, the mode: EM
    increases the log marginal plus :math:`\sum_c a \log r_c + b \log(1 - r_c) + d \sum_y \log
    T_{cy}`, the log prior density in these coordinates (as in `NBAMLoss`). Therefore the estimate
    stays inside (0, 1). A mode in r itself could be 0 under a uniform prior.

    A prior on class frequencies, :math:`\pi \sim` Dirichlet(h, ..., h), is useful if classes are
    known to be about equally frequent. The predictions then describe only how x differs by class,
    :math:`p(x_i | c) \propto w_i f_{ic} / \bar f_c` with the mean :math:`\bar f_c = \sum_i w_i
    f_{ic} / \sum_i w_i`, so that

    .. math:: p(x_i, y_i) \propto \sum_c \frac{f_{ic}}{\bar f_c} \pi_c M_{c y_i}, \qquad
              \pi_c = \frac{\sum_y N_{cy} + h}{\sum_{dy} N_{dy} + K h},

    The second formula is part of each maximisation, and the objective also has :math:`h \sum_c \log
    \pi_c`. Without this prior, :math:`\pi = \bar f` exactly. The model takes f as correct at the
    frequencies :math:`\bar f`: predictions that wrongly favour a class are corrected in part only,
    and hardly at all where f is nearly 0 or 1. With a large h, :math:`\pi` is then uniform, but the
    expected counts are not.

    Each iteration takes O(N K) time; memory is two (N, K) arrays of the type of `log_f`. Double
    precision is kept, and half precision is converted to single precision.

    Args:
        log_f: Log p(c | x), (N, K), normalised and preferably out of fold. Predictions of rows that
            the predictor was trained on agree too much with the labels, which makes the rates too
            low. No gradient is computed.
        labels: Observed labels y, 0, ..., K-1 of any integer type, (N,).
        prior: Pseudo-counts of contamination rates and flips.
        weights: Number of times that each row counts, (N,); None if each counts once. The rate of a
            class whose rows all have weight 0 follows from its prior and the other rows.
        true_labels: Verified true label of each row, (N,), -1 if none is verified; None if no row
            is verified. The choice of the verified rows may depend on x and y.
        start: Counts to start from, (K, K), for instance from `anchor_counts` or an earlier
            estimate; None for the sums of predictions, :math:`\sum_{i: y_i = y} w_i f_{ic}`.
        class_prior: Pseudo-count h of each class; None, the default, for no prior.
        iterations: Largest number of iterations.
        tolerance: Smallest gain of an iteration, in nats. EM ends if an iteration gains less. The
            gain is half the chi-squared distance of the expected counts from those before.

    Returns:
        The estimate as a `Transition`.

    Raises:
        DataError: Shapes do not agree, a label is out of range, predictions are NaN or not
            normalised, weights are negative, not finite or all 0, the counts to start from are
            negative or not finite, or `class_prior` or `iterations` is not positive.

    Source: Dempster, Laird & Rubin (1977) for EM; Dawid & Skene (1979), who estimate a matrix of
    observer errors with it; Saerens, Latinne & Decaestecker (2002) for class frequencies.

    Example:
        >>> f = torch.tensor([[1.0, 0.0], [0.0, 1.0]]).repeat_interleave(500, 0)
        >>> y = torch.tensor([0] * 400 + [1] * 600)  # 100 of the first class were flipped
        >>> estimate_transition(f.log(), y, prior=FlipPrior()).rate
        tensor([0.2012, 0.0020], dtype=torch.float64)
    """
    if iterations < 1:
        raise DataError(f"iterations is {iterations}; EM needs at least one.")
    check_class_prior(class_prior)
    check_predictions(log_f, "log_f")
    log_f = precise(log_f)
    rows = RowsByLabel.of(log_f, labels, weights=weights, true_labels=true_labels)
    counts = rows.predicted_counts() if start is None else start_counts(start, rows.num_classes)
    classes = None if class_prior is None else ClassPrior.of(class_prior, log_f, weights)
    log_shift = counts.new_zeros(rows.num_classes)
    objective: list[float] = []
    while True:
        rate, flips = anchor_start(counts, prior)
        flip = zero_diagonal(flips)
        log_prior = _log_prior(rate, flips, prior)
        if classes is not None:
            log_frequency = classes.log_frequency(counts)
            log_shift = log_frequency - classes.log_mean
            log_prior += classes.pseudo_count * float(log_frequency.sum())
        before = counts
        scaled = transition_matrix(rate, flip) * log_shift.exp()[:, None]
        counts, log_marginal = rows.expected_counts(scaled)
        objective.append(log_marginal + log_prior)
        if len(objective) >= iterations or _divergence(counts, before) < tolerance:
            break
    log_marginal += rows.verified_log_f
    history = torch.tensor(objective, dtype=torch.float64)
    if classes is None:
        frequency = counts.sum(1) / counts.sum()
    else:
        frequency = (log_shift + classes.log_mean).exp()
    return Transition(rate, flip, counts, log_marginal, history, frequency, log_shift)


@dataclass(frozen=True)
class RowsByLabel:
    """Rows grouped by observed label. The rows of one label need only one column of M.

    Attributes:
        f: Probabilities p(c | x), (N, K); 1 for the true label of a verified row.
        weights: Number of times that each row counts, (N,).
        sizes: Number of rows of each observed label, a list of K.
        verified_log_f: Sum of log f of the verified labels, in nats.
    """

    f: Float[Tensor, "n k"]
    weights: Float[Tensor, " n"]
    sizes: list[int]
    verified_log_f: float

    @classmethod
    def of(
        cls,
        log_f: Float[Tensor, "n k"],
        labels: Int[Tensor, " n"],
        *,
        weights: Float[Tensor, " n"] | None,
        true_labels: Int[Tensor, " n"] | None,
    ) -> "RowsByLabel":
        """Check and group rows; arguments and errors as in `estimate_transition`."""
        check_predictions(log_f, "log_f")
        log_f = precise(log_f)
        labels = labels_of("labels", labels, log_f, unlabelled=None)
        order = labels.argsort(stable=True)
        f = log_f[order].exp_()
        check_normalised(f.sum(1)[order.argsort()], log_f)
        if weights is not None:
            check_weights(weights, len(labels))
        each = f.new_ones(len(labels)) if weights is None else weights.detach()[order].to(f)
        verified = 0.0
        if true_labels is not None:
            known = labels_of("true_labels", true_labels, log_f, unlabelled=-1)[order]
            at = ((known >= 0) & (each > 0)).nonzero()[:, 0]
            own = log_f[order[at], known[at]].double()
            verified = float((own * each[at]).sum())
            f[at] = 0
            f[at, known[at]] = 1
        return cls(f, each, labels.bincount(minlength=f.shape[1]).tolist(), verified)

    @property
    def num_classes(self) -> int:
        """Number of classes K."""
        return self.f.shape[1]

    def groups(self) -> list[tuple[Tensor, Tensor]]:
        """Return f, (n, K), and weights, (n,), of the rows of each observed label."""
        return list(zip(self.f.split(self.sizes), self.weights.split(self.sizes), strict=True))

    def predicted_counts(self) -> Float[Tensor, "k k"]:
        """Return the expected counts by predicted and observed label, (K, K)."""
        columns = [weights @ f for f, weights in self.groups()]
        return torch.stack(columns, 1).double()

    def expected_counts(self, matrix: Float[Tensor, "k k"]) -> tuple[Float[Tensor, "k k"], float]:
        """Return counts by true and observed label given M, and the sum of log p(y | x) (nats).

        Args:
            matrix: Transition matrix M, (K, K).
        """
        columns, sums = matrix.to(self.f).clamp_min(_LEAST), torch.zeros_like(matrix)
        log_marginal = matrix.new_zeros(())
        for y, group in enumerate(self.groups()):
            for f, weights in zip(*(part.split(_CHUNK) for part in group), strict=True):
                probs = f @ columns[:, y]
                # xlogy is faster than weights * log, which waits for threads even in small chunks.
                log_marginal += torch.xlogy(weights, probs).sum(dtype=torch.float64)
                sums[:, y] += (weights / probs) @ f
        return sums * matrix, float(log_marginal)


def _log_prior(
    rate: Float[Tensor, " k"], flips: Float[Tensor, "k k_minus_1"], prior: FlipPrior
) -> float:
    a, b = prior.rate
    rates = a * rate.log() + b * (-rate).log1p()
    return float(rates.sum() + prior.flip * flips.log().sum())


def _divergence(one: Float[Tensor, "k k"], other: Float[Tensor, "k k"]) -> float:
    # With millions of float32 rows, the difference of two objectives is mostly rounding.
    total = (one + other).clamp_min(torch.finfo(one.dtype).tiny)
    return float(((one - other).square() / total).sum())
