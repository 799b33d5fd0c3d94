r"""One objective of which the auto-encoder, Deep SVDD and Deep SAD are special cases.

.. math::
    \mathrm{KL}(p_n(x, z) \| p_a(x, z))
        = I_n(x, z) - H_n(z) + E_{p_n(x)} \mathrm{CE}(p_n(z | x), p_a(z | x))

up to a term that does not depend on the encoder. Here x is a row, z its embedding, p_n the
distribution of normal rows, and p_a that of anomalies. I_n is the mutual information of x and z for
normal rows, H_n the entropy of their embeddings, and CE a cross-entropy. The first two terms are
infinite for a deterministic encoder, so the encoder adds noise: z = f(x) + noise.
"""

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from nbam_pyro.checks.numbers import check_finite
from nbam_pyro.detection.backbones.deep_svdd import away_from_zero
from nbam_pyro.detection.backbones.stacks import stacked_mlp
from nbam_pyro.errors import DataError
from nbam_pyro.models.likelihoods.component import check_positive
from nbam_pyro.outputs.switch_codes import UNVERIFIED

__all__ = ["SAD", "SVDD", "Terms", "UnifiedObjective", "Weights"]


@dataclass(frozen=True, kw_only=True)
class Weights:
    """The weights of the three terms of the objective.

    The weights (1, 0, 0) make an auto-encoder, (0, 1, 0) Deep SVDD, and (0, 1, 1) Deep SAD.

    Args:
        information: Weight of the lower bound on the mutual information I_n(x, z). The term is high
            if a row x can be reconstructed from its embedding z.
        compactness: Weight of -H_n(z), the negative entropy of embeddings. The term is high if the
            embeddings of normal rows lie close together.
        separation: Weight of the cross-entropy. The term is high if the embeddings of verified
            anomalies lie far from those of normal rows. It needs verified anomalies.

    Raises:
        DataError: A weight is negative or not finite, or no weight is positive.

    Example:
        >>> Weights(information=0.0)  # Deep SAD
        Weights(information=0.0, compactness=1.0, separation=1.0)
    """

    information: float = 1.0
    compactness: float = 1.0
    separation: float = 1.0

    def __post_init__(self) -> None:
        values = vars(self).values()
        if not all(0 <= value < math.inf for value in values) or max(values) == 0:
            raise DataError(
                f"{self} is not valid: give finite weights of 0 or more, at least one above 0."
            )


SVDD = Weights(information=0.0, separation=0.0)
SAD = Weights(information=0.0)


@dataclass(frozen=True)
class Terms:
    """The three terms of a batch, in nats. Training makes each of them larger.

    Attributes:
        information: Lower bound on the mutual information I_n(x, z), up to constants: minus half
            the squared error of the reconstruction of a row, divided by its variance s^2 and
            averaged over rows. The squared error is summed over features.
        compactness: Lower bound on -H_n(z): the negative entropy of a Gaussian that has the spread
            of normal rows around the centre.
        separation: Entropy of a Gaussian that has the spread of verified anomalies around the
            centre. It is 0 if there are no verified anomalies.
    """

    information: Tensor
    compactness: Tensor
    separation: Tensor


class UnifiedObjective(nn.Module):
    r"""An encoder with Gaussian noise, a decoder, and the terms of the objective.

    .. math::
        I_n \ge \mathrm{const} - \frac{1}{2 s^2} E \|x - g(z)\|^2, \qquad
        -H_n \ge -\tfrac12 \sum_j \log(2 \pi e\, E (z_j - c_j)^2), \qquad
        \tfrac12 \sum_j \log(2 \pi e\, E_a (z_j - c_j)^2)

    The centre c is the mean embedding before training, moved away from 0. The networks have no
    biases. Therefore a constant embedding is not a solution.

    Here g is the decoder, s the standard deviation of the reconstruction, and E_a the mean over
    verified anomalies.

    The score of a row is half the weighted sum of two numbers. The first is the squared error of
    its reconstruction, divided by s^2, with the weight `information`. The second is its squared
    distance to the centre, in units of the variances of normal rows, with the weight `compactness`.

    Training moves verified anomalies, and rows that are similar to them, away from the centre.
    Anomalies of another type may lie nearer to the centre than they would without verified rows.
    The benchmark `wrong_labels` measures this.

    Args:
        inputs: Number D of features of a row.
        weights: Weights of the terms.
        width: Number of hidden units of the encoder and of the decoder.
        embedding: Number of dimensions of z.
        noise: Standard deviation of the noise that the encoder adds to each dimension of z.
        error: Standard deviation s of x given z, which is the unit of the reconstruction error.

    Raises:
        DataError: A size or a standard deviation is not positive.

    Example:
        >>> objective = UnifiedObjective(5, weights=SVDD)
        >>> terms = objective.terms(torch.randn(20, 5))
        >>> float(terms.separation)
        0.0
    """

    centre: Tensor
    variance: Tensor

    def __init__(
        self,
        inputs: int,
        *,
        weights: Weights,
        width: int = 64,
        embedding: int = 8,
        noise: float = 0.1,
        error: float = 0.1,
    ) -> None:
        super().__init__()
        for name, size in (("inputs", inputs), ("width", width), ("embedding", embedding)):
            check_positive(name, size)
        check_positive("noise", noise)
        check_positive("error", error)
        self.inputs = inputs
        self.weights = weights
        self.noise = noise
        self.error = error
        self.encoder = stacked_mlp((), [inputs, width, embedding])
        self.decoder = stacked_mlp((), [embedding, width, inputs])
        self.register_buffer("centre", torch.zeros(embedding))
        self.register_buffer("variance", torch.ones(embedding))

    def terms(self, x: Tensor, verified: Tensor = UNVERIFIED) -> Terms:
        """Return the terms of a batch.

        Args:
            x: Rows, (N, D).
            verified: Integer codes of verified rows, broadcast to (N,): 1 for an anomaly, 0 for a
                normal row, and -1 where nothing is verified. Rows of code -1 count as normal. The
                default is -1 for all rows.
        """
        odd = (verified == 1).expand(len(x)).to(x.device)
        z = self.encoder(x)
        zero = z.new_zeros(())
        terms = Terms(zero, zero, zero)
        if not odd.all():
            noisy = z[~odd] + self.noise * torch.randn_like(z[~odd])
            error = (x[~odd] - self.decoder(noisy)).square().sum(-1).mean()
            near = -_entropy(self._spread(z[~odd]))
            terms = replace(terms, information=-0.5 * error / self.error**2, compactness=near)
        if odd.any():
            terms = replace(terms, separation=_entropy(self._spread(z[odd])))
        return terms

    def _spread(self, z: Tensor) -> Tensor:
        """Return the mean squared distance to the centre by dimension, plus noise variance."""
        return (z - self.centre).square().mean(0) + self.noise**2

    def forward(self, x: Tensor, verified: Tensor = UNVERIFIED) -> Tensor:
        """Return the loss of a batch, the negative weighted sum of the terms.

        Args:
            x: Rows, (N, D).
            verified: Integer codes of verified rows, as in `terms`.
        """
        return self.weigh(self.terms(x, verified))

    def weigh(self, terms: Terms) -> Tensor:
        """Return the loss of a batch, the negative weighted sum of its terms.

        Args:
            terms: Terms of the batch.
        """
        weights = vars(self.weights)
        return -torch.stack([weights[name] * value for name, value in vars(terms).items()]).sum()

    @torch.no_grad()
    def start(self, x: Tensor) -> None:
        """Set the centre to the mean embedding of rows, before training.

        Args:
            x: Training rows, (N, D).
        """
        self.centre.copy_(away_from_zero(self.encoder(x).mean(0)))

    @torch.no_grad()
    def finish(self, x: Tensor) -> None:
        """Set the variances that `scores` uses to those of normal rows, after training.

        Args:
            x: Training rows without the verified anomalies, (N, D).
        """
        self.variance.copy_(self._spread(self.encoder(x)))

    def check(self, x: Tensor) -> None:
        """Raise a `DataError` if rows are not a finite matrix in the data type of the networks.

        Args:
            x: Rows, (N, D).
        """
        kind = self.centre.dtype
        if x.ndim != 2 or x.shape[1] != self.inputs or x.dtype != kind:
            raise DataError(
                f"x has shape {tuple(x.shape)} and type {x.dtype}; the objective takes "
                f"(N, {self.inputs}) of {kind}. Centre and scale x before you convert its type."
            )
        check_finite(x, "x")

    @torch.no_grad()
    def scores(self, x: Tensor) -> Tensor:
        """Return the scores of rows, high for anomalies, (N,).

        Args:
            x: Rows, (N, D).

        Raises:
            DataError: x is not a matrix of finite numbers in the data type of the networks.
        """
        self.check(x)
        z = self.encoder(x)
        error = (x - self.decoder(z)).square().sum(-1) / self.error**2
        distance = ((z - self.centre).square() / self.variance).sum(-1)
        return 0.5 * (self.weights.information * error + self.weights.compactness * distance)


def _entropy(variance: Tensor) -> Tensor:
    """Return the entropy of a Gaussian with independent dimensions, in nats."""
    return 0.5 * (2 * torch.pi * torch.e * variance).log().sum()
