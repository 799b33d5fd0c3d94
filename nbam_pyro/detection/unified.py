r"""One objective of which auto-encoder, Deep SVDD and Deep SAD are instances.

.. math::
    \mathrm{KL}(p_n(x, z) \| p_a(x, z))
        = I_n(x, z) - H_n(z) + E_{p_n(x)} \mathrm{CE}(p_n(z | x), p_a(z | x))

up to a term that does not depend on the encoder. A deterministic encoder makes the first two
infinite, so z = f(x) + noise.
"""

import math
from dataclasses import dataclass, replace

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from nbam_pyro.checks import check_finite
from nbam_pyro.detection.assignments import UNKNOWN
from nbam_pyro.detection.stacks import stacked_mlp
from nbam_pyro.detection.svdd import away_from_zero
from nbam_pyro.errors import DataError
from nbam_pyro.exclusive import exclusive
from nbam_pyro.inference.rows import Batch, Rows
from nbam_pyro.inference.training import Options, Training, train
from nbam_pyro.models.component import check_positive

__all__ = ["Terms", "UnifiedObjective", "Weights", "train_objective"]


@dataclass(frozen=True, kw_only=True)
class Weights:
    """How much each term counts: (1, 0, 0) is an auto-encoder, (0, 1, 0) SVDD, (0, 1, 1) SAD.

    Args:
        information: of the bound on I_n(x, z), that z keeps what x says.
        compactness: of -H_n(z), that normal rows lie together.
        separation: of the cross-entropy, that anomalies lie elsewhere; it needs labelled ones.

    Raises:
        DataError: a weight is negative, or none is positive.

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
                f"{self}: weights must be finite and not negative, and one must be positive."
            )


SVDD = Weights(information=0.0, separation=0.0)
SAD = Weights(information=0.0)


@dataclass(frozen=True)
class Terms:
    """The three terms of a batch, in nats, each to be raised.

    Attributes:
        information: a lower bound on I_n(x, z), up to constants: the reconstruction.
        compactness: a lower bound on -H_n(z), that of a Gaussian of the same spread around the
            centre.
        separation: the entropy of a Gaussian with the spread of labelled anomalies around the same
            centre; 0 where there are none.
    """

    information: Tensor
    compactness: Tensor
    separation: Tensor


class UnifiedObjective(nn.Module):
    r"""Encoder with Gaussian noise, decoder, and the terms of the objective.

    .. math::
        I_n \ge \mathrm{const} - \frac{1}{2 s^2} E \|x - g(z)\|^2, \qquad
        -H_n \ge -\tfrac12 \sum_j \log(2 \pi e\, E (z_j - c_j)^2), \qquad
        \tfrac12 \sum_j \log(2 \pi e\, E_a (z_j - c_j)^2)

    The centre c is the mean embedding before training, moved away from 0, and there are no biases:
    so a constant embedding is no solution.

    A row scores what it adds to the first two: reconstruction error in units of s, and squared
    distance to the centre in units of the normal variances, each by its weight.

    Labelled anomalies shape the embedding for anomalies like them. Those of another type may end
    nearer to the centre than without any label: see `python -m benchmarks run wrong-labels`.

    Args:
        inputs: D, features of a row.
        weights: of the terms.
        width: hidden units of encoder and decoder.
        embedding: dimensions of z.
        noise: standard deviation of the encoder's noise.
        error: s, standard deviation of x given z.

    Raises:
        DataError: a size is not positive.

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

    def terms(self, x: Tensor, observed: Tensor | None = None) -> Terms:
        """The terms of a batch.

        Args:
            x: rows, (N, D).
            observed: 1 for labelled anomalies, 0 for labelled normal rows, -1 for others, which
                count as normal; None if nothing is labelled.
        """
        odd = torch.zeros(len(x), dtype=torch.bool) if observed is None else observed == 1
        odd = odd.to(x.device)
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
        """Mean squared distances to the centre by dimension, with the noise's."""
        return (z - self.centre).square().mean(0) + self.noise**2

    def forward(self, x: Tensor, observed: Tensor | None = None) -> Tensor:
        """The loss of a batch: minus the weighted sum of the terms."""
        return self.weigh(self.terms(x, observed))

    def weigh(self, terms: Terms) -> Tensor:
        """The loss that terms make."""
        weights = vars(self.weights)
        return -torch.stack([weights[name] * value for name, value in vars(terms).items()]).sum()

    @torch.no_grad()
    def start(self, x: Tensor) -> None:
        """Fix the centre before training, at the mean embedding of rows (N, D)."""
        self.centre.copy_(away_from_zero(self.encoder(x).mean(0)))

    @torch.no_grad()
    def finish(self, x: Tensor) -> None:
        """Take the variances from normal rows, (N, D)."""
        self.variance.copy_(self._spread(self.encoder(x)))

    def check(self, x: Tensor) -> None:
        """Raise a `DataError` where rows are no matrix of finite numbers of the networks' type."""
        kind = self.centre.dtype
        if x.ndim != 2 or x.shape[1] != self.inputs or x.dtype != kind:
            raise DataError(
                f"x has shape {tuple(x.shape)} and type {x.dtype}; the objective takes "
                f"(N, {self.inputs}) of {kind}. Centre and scale x before its type is changed."
            )
        check_finite(x, "x")

    @torch.no_grad()
    def scores(self, x: Tensor) -> Tensor:
        """What every row adds to the loss of normal rows, (N,).

        Raises:
            DataError: x is no matrix of finite numbers of the objective's type.
        """
        self.check(x)
        z = self.encoder(x)
        error = (x - self.decoder(z)).square().sum(-1) / self.error**2
        distance = ((z - self.centre).square() / self.variance).sum(-1)
        return 0.5 * (self.weights.information * error + self.weights.compactness * distance)


def train_objective(
    objective: UnifiedObjective,
    x: Tensor,
    observed: Tensor | None = None,
    *,
    epochs: int = 100,
    lr: float = 1e-3,
    options: Options | None = None,
) -> list[dict[str, float]]:
    """Train and return one record per epoch: the loss, and every term.

    Args:
        objective: to train.
        x: rows, (N, D).
        observed: labels, (N,): 1, 0, or -1; None if nothing is labelled.
        epochs: how many.
        lr: step size of AdamW.
        options: batch size, progress and Lightning's own.

    Raises:
        DataError: x is no matrix of finite numbers of the objective's type, observed is of another
            length or has other values, all rows are labelled anomalies, or the loss is not finite.

    Example:
        >>> objective = UnifiedObjective(5, weights=SVDD)
        >>> history = train_objective(objective, torch.rand(20, 5), epochs=1)
        >>> sorted(history[0])
        ['compactness', 'epoch', 'information', 'loss', 'separation']
    """
    objective.check(x)
    known = torch.full((len(x),), UNKNOWN) if observed is None else observed
    if len(known) != len(x) or (known == 1).all():
        raise DataError(
            f"observed has {len(known)} values for {len(x)} rows, of which some must not be "
            "labelled anomalies."
        )
    wrong = ((known != UNKNOWN) & (known != 0) & (known != 1)).nonzero()
    if len(wrong):
        at = int(wrong[0])
        raise DataError(f"observed is {known[at].item()} for row {at}; give 1, 0 or -1 (unknown).")
    rows = Rows(TensorDataset(x, known), known, torch.ones(len(x)))
    groups = [{"params": list(objective.parameters()), "lr": lr, "weight_decay": 1e-6}]

    log = _LogTerms()

    def loss(batch: Batch) -> Tensor:
        terms = objective.terms(batch.x, batch.y)
        log.add(terms, len(batch.x))
        return objective.weigh(terms)

    with exclusive():
        objective.start(x)
        history, _ = train(
            Training([objective], loss=loss, groups=groups),
            rows,
            np.arange(len(x)),
            np.arange(0),
            epochs=epochs,
            options=options or Options(),
            label="unified objective",
            callbacks=[log],
        )
    objective.eval()
    objective.finish(x[known != 1])
    if not math.isfinite(history[-1]["loss"]):
        raise DataError("The loss is not finite: scale x to about 1, or use a lower lr.")
    return [record | terms for record, terms in zip(history, log.records, strict=True)]


class _LogTerms(Callback):
    """The mean of every term over the rows of an epoch."""

    def __init__(self) -> None:
        self.records: list[dict[str, float]] = []
        self.batches: list[tuple[Terms, int]] = []

    def add(self, terms: Terms, rows: int) -> None:
        """Note the terms of a batch."""
        self.batches.append((terms, rows))

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        count = sum(rows for _, rows in self.batches)
        names = vars(self.batches[0][0])
        self.records.append(
            {
                name: sum(float(vars(terms)[name].detach()) * rows for terms, rows in self.batches)
                / count
                for name in names
            }
        )
        self.batches = []


def _entropy(variance: Tensor) -> Tensor:
    """Of a Gaussian with independent dimensions, in nats."""
    return 0.5 * (2 * torch.pi * torch.e * variance).log().sum()
