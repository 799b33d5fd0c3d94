"""`Independence`: a penalty that makes a representation independent of a nuisance in training."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from nbam_pyro.detection.representations.background import Background
from nbam_pyro.models.likelihoods.component import check_positive, check_whole
from nbam_pyro.training.hooks import StepHook
from nbam_pyro.training.rows import Batch

__all__ = ["CriticHook", "Independence"]

_EPS = 1e-6


@dataclass(frozen=True, kw_only=True)
class Independence:
    r"""A penalty on the mutual information of a representation and class with the nuisance.

    A second network, the critic g, learns to tell rows (r, y, u) from rows whose nuisance u is
    exchanged with that of another row. Its output estimates the log density ratio, and its mean the
    mutual information I(r, y; u) under the weights w:

    .. math::
        L_g = \mathrm{mean}_w \big[ \log(1 + e^{-g(r_i, y_i, u_i)}) +
        \log(1 + e^{g(r_i, y_i, u_{\pi(i)})}) \big], \qquad
        \hat I = \mathrm{mean}_w\, g(r_i, y_i, u_i)

    The representation minimises the weighted cross-entropy plus `strength` times the absolute value
    of I. The critic sees standardised r. Without these two, a critic that lags behind makes the
    estimate negative without bound, and the nuisance becomes easier to read instead of harder.

    With few rows the critic does not give independence either: `probe` says whether it does. Use
    `Erasure` first. It has nothing to tune.

    Args:
        strength: Factor of the penalty.
        steps: Steps of the critic for each step of the representation.
        warm_up: Steps of the critic before the first step of the representation.
        lr: Step size of the critic's AdamW.
        width: Number of units in each of the two hidden layers of the critic.

    Raises:
        DataError: A setting is out of its range.

    Source: Puli, Zhang, Oermann & Ranganath (ICLR 2022), and Zhang, Puli & Ranganath (AAAI 2023).

    Example:
        >>> Independence(steps=2)
        Independence(strength=1.0, steps=2, warm_up=200, lr=0.001, width=64)
    """

    strength: float = 1.0
    steps: int = 4
    warm_up: int = 200
    lr: float = 1e-3
    width: int = 64

    def __post_init__(self) -> None:
        check_positive("strength", self.strength)
        check_positive("lr", self.lr)
        for name, least in (("steps", 1), ("warm_up", 0), ("width", 1)):
            check_whole(name, getattr(self, name), least=least)


class CriticHook(StepHook):
    """Trains the critic of `Independence` before each step of the representation.

    Batches contain the indices of their rows in place of targets.

    Args:
        settings: Settings of the penalty.
        encoder: Network of the representation.
        width: Number of columns of the representation.
        known: Classes and nuisances of all rows.

    Attributes:
        critic: Network g.
    """

    def __init__(
        self, settings: Independence, encoder: nn.Module, width: int, known: Background
    ) -> None:
        self.settings, self.encoder = settings, encoder
        self.y = torch.eye(len(known.classes.names))[torch.as_tensor(known.codes)]
        values = torch.as_tensor(known.nuisance.values).to(torch.get_default_dtype())
        self.u = (values - values.mean(0)) / values.std(0).clamp_min(_EPS)
        hidden = settings.width
        self.critic = nn.Sequential(
            nn.Linear(width + self.y.shape[1] + self.u.shape[1], hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Linear(hidden, 1),
        )
        self.modules = (self.critic,)
        self.optimiser = torch.optim.AdamW(self.critic.parameters(), lr=settings.lr)
        self.started = False

    def __call__(self, batch: Batch, loss: Callable[[Batch], Tensor]) -> Batch:
        training = self.encoder.training
        self.encoder.eval()
        with torch.no_grad():
            r = self.encoder(batch.x)
        self.encoder.train(training)
        for _ in range(self.settings.steps if self.started else self._first):
            self.optimiser.zero_grad()
            joint, product = self._pairs(r, batch.y)
            values = softplus(-joint) + softplus(product)
            _mean(values, batch.weights).backward()
            self.optimiser.step()
        self.started = True
        return batch

    def penalty(self, r: Tensor, index: Tensor, weights: Tensor) -> Tensor:
        """Return the absolute value of the estimated mutual information, times its factor.

        Args:
            r: Rows of the representation, (n, D).
            index: Indices of the rows, (n,).
            weights: Weights of the rows, (n,).
        """
        return self.settings.strength * _mean(self._critic(r, index, index), weights).abs()

    @torch.no_grad()
    def accuracy(self, r: Tensor, index: Tensor, weights: Tensor) -> float:
        """Return the weighted accuracy of the critic, one half if it sees no dependence.

        Args:
            r: Rows of the representation, (n, D).
            index: Indices of the rows, (n,).
            weights: Weights of the rows, (n,).
        """
        joint, product = self._pairs(r, index)
        right = ((joint > 0).double() + (product <= 0).double()) / 2
        return float(_mean(right, weights.double()))

    @property
    def _first(self) -> int:
        return self.settings.warm_up + self.settings.steps

    def _pairs(self, r: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
        """Return outputs of the critic for rows, and for rows with exchanged nuisances."""
        other = index[torch.randperm(len(index), device=index.device)]
        return self._critic(r, index, index), self._critic(r, index, other)

    def _critic(self, r: Tensor, index: Tensor, other: Tensor) -> Tensor:
        unit = (r - r.mean(0)) / (r.std(0) + _EPS)
        y, u = (part.to(r.device)[at] for part, at in ((self.y, index), (self.u, other)))
        return self.critic(torch.cat([unit, y.to(r), u.to(r)], 1))[:, 0]


def _mean(values: Tensor, weights: Tensor) -> Tensor:
    return (weights * values).sum() / weights.sum()
