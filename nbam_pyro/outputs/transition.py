r"""Rates and flips from evidence alone: the latent true label with its predictor given.

With f = p(c | x) fixed, the story of `LabelFlip` without deviation has one global latent, the
transition matrix M, whose log likelihood

.. math:: \sum_i w_i \log \sum_c f_{ic} M_{c y_i}

is concave in M. It needs neither Pyro nor a network, only torch. Frequencies of the true classes
are those that f has, unless they are given a prior.
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

# Longer sums in float32 round too much for EM to come to rest.
_CHUNK = 8192
# Smaller entries of M, which only extreme priors leave, count as this in single precision.
_LEAST = 1e-30


@dataclass(frozen=True)
class Transition:
    """Rates and flips at the mode, given evidence.

    Attributes:
        rate: contamination rate of each true class, (K,) float64.
        flip: T, (K, K), zero diagonal.
        counts: expected number of rows by true and observed label, (K, K), as `anchor_counts`
            counts them; a start for an estimate from similar evidence.
        log_marginal: sum of log p(y | x), of verified rows log p(y, c | x), in nats; with a prior
            on class frequencies of log p(x, y) and log p(x, y, c), less what no estimate changes.
            It is -inf where predictions call a verified label impossible.
        objective: log marginal of M, and of class frequencies that have a prior, plus log prior
            after each iteration, (iterations,); it does not fall, up to rounding.
        class_frequency: share of the rows that truly are of each class, (K,): that of the counts,
            or with a prior the mode, the share with its pseudo-counts.
        log_shift: log of that mode less log of the mean of f, (K,); zeros without a prior.
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
        """M = p(observed | true), (K, K)."""
        return transition_matrix(self.rate, self.flip)

    @property
    def share(self) -> float:
        """The expected share of contaminated rows, the mean of their responsibilities."""
        return float(off_diagonal(self.counts).sum() / self.counts.sum())

    def shifted(self, log_f: Float[Tensor, "n k"]) -> Float[Tensor, "n k"]:
        r"""Predictions at these class frequencies, :math:`f_{ic} \pi_c / \bar f_c`, normalised.

        Args:
            log_f: log p(c | x), (N, K), as it was given to `estimate_transition`.

        Returns:
            log probabilities, (N, K); without a prior on class frequencies `log_f` itself.
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
    r"""Mode of rates and T given predictions of the true label, by EM.

    The expectations are the counts by true and observed label,

    .. math:: N_{cy} = \sum_{i: y_i = y} w_i \frac{f_{ic} M_{cy}}{\sum_d f_{id} M_{dy}},

    and the maximisation is `anchor_start`, in which the priors are pseudo-counts. Those are the
    posterior means given the counts and, in logits of rates and of rows of T, the mode: what EM
    climbs is the log marginal plus :math:`\sum_c a \log r_c + b \log(1 - r_c) + d \sum_y \log
    T_{cy}`, the log prior density in these coordinates. `NBAMLoss` has the same. So the estimate
    stays inside (0, 1) where a mode in r itself, under a uniform prior, would be 0.

    A prior on class frequencies, :math:`\pi \sim` Dirichlet(h, ..., h), is for those who know that
    classes are about equally frequent. The predictions then only say how x differs by class,
    :math:`p(x_i | c) \propto w_i f_{ic} / \bar f_c` with the mean :math:`\bar f_c = \sum_i w_i
    f_{ic} / \sum_i w_i`, so that

    .. math:: p(x_i, y_i) \propto \sum_c \frac{f_{ic}}{\bar f_c} \pi_c M_{c y_i}, \qquad
              \pi_c = \frac{\sum_y N_{cy} + h}{\sum_{dy} N_{dy} + K h},

    the latter in each maximisation; the objective has :math:`h \sum_c \log \pi_c` besides. Without
    it :math:`\pi = \bar f` exactly. The model takes f as right at the frequencies :math:`\bar f`: a
    wrong tilt towards a class is undone in part only, and where f is nearly 0 or 1 hardly at all.
    Then :math:`\pi` is even at a large h, and the expected counts are not.

    Each iteration takes O(N K) time; memory is two (N, K) arrays of the type of `log_f`. Double
    precision stays so, and half precision is computed with in single precision.

    Args:
        log_f: log p(c | x), (N, K), normalised; a gradient graph is not followed. Predictions of
            rows the predictor has been trained on agree with the labels too much, so that rates
            come out too low.
        labels: observed labels y, 0, ..., K-1 of any integer type, (N,).
        prior: of rates and flips.
        weights: how many times each row counts, (N,); None for once. A class whose rows all weigh 0
            has the rate that its prior and the other rows say.
        true_labels: verified labels, (N,), -1 where unknown; None for none. Which rows were
            verified may depend on x and y.
        start: counts to start from, (K, K), for instance from `anchor_counts` or of an earlier
            estimate; None for f itself, :math:`\sum_{i: y_i = y} w_i f_{ic}`.
        class_prior: h, pseudo-count of each class; None, the default, for no prior.
        iterations: at most so many.
        tolerance: in nats; EM ends when the expected counts differ by less from those before, half
            their chi-squared, which is what an iteration gains.

    Raises:
        DataError: shapes do not fit, a label is out of range, predictions are NaN or not
            normalised, weights are negative, not finite or all 0, counts to start from are negative
            or not finite, or `class_prior` or `iterations` is not positive.

    Source: Dempster, Laird & Rubin (1977) for EM; Dawid & Skene (1979) for a matrix of observer's
    errors estimated by it; Saerens, Latinne & Decaestecker (2002) for class frequencies.

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
    """Evidence with its rows grouped by observed label, so that each group needs one column of M.

    Attributes:
        f: p(c | x), (N, K); of a verified row, all on its true label.
        weights: how many times each row counts, (N,).
        sizes: number of rows of each observed label, K of them.
        verified_log_f: sum of log f of the verified labels, in nats.
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
        """Check and group rows; arguments and errors as of `estimate_transition`."""
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
        """K."""
        return self.f.shape[1]

    def groups(self) -> list[tuple[Tensor, Tensor]]:
        """f (n, K) and weights (n,) of the rows of each observed label."""
        return list(zip(self.f.split(self.sizes), self.weights.split(self.sizes), strict=True))

    def predicted_counts(self) -> Float[Tensor, "k k"]:
        """Expected counts if the observed labels said nothing."""
        columns = [weights @ f for f, weights in self.groups()]
        return torch.stack(columns, 1).double()

    def expected_counts(self, matrix: Float[Tensor, "k k"]) -> tuple[Float[Tensor, "k k"], float]:
        """Counts by true and observed label given M, and sum of log p(y | x), in nats."""
        columns, sums = matrix.to(self.f).clamp_min(_LEAST), torch.zeros_like(matrix)
        log_marginal = matrix.new_zeros(())
        for y, group in enumerate(self.groups()):
            for f, weights in zip(*(part.split(_CHUNK) for part in group), strict=True):
                probs = f @ columns[:, y]
                # Not weights * log: that waits for threads even in a chunk as small as this.
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
    # The difference of two objectives would drown in the rounding of millions of float32 rows.
    total = (one + other).clamp_min(torch.finfo(one.dtype).tiny)
    return float(((one - other).square() / total).sum())
