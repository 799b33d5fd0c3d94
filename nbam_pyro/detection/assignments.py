"""One engine: (prior logit, clean energy, anomaly energy) -> (weights, loss).

Every way to train on rows of which some are anomalies is a way to fill in the latent switch: by
its posterior, by force under a rate, by the truth, or not at all.
"""

from abc import ABC, abstractmethod
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from nbam_pyro import functional as nf
from nbam_pyro.detection.backbones.base import Energies
from nbam_pyro.models.component import check_positive

UNKNOWN = -1


class Assigned(NamedTuple):
    """What a row counts in the two terms of the loss, and the loss.

    Attributes:
        clean: weight of E_n, (..., N).
        anomalous: weight of E_a, (..., N).
        loss: (...): a member each.
    """

    clean: Tensor
    anomalous: Tensor
    loss: Tensor


class Assignment(ABC):
    """A way to fill in the latent switch of unlabelled rows.

    Rows whose switch is observed, 0 or 1, keep it: their weight is on E_n or on E_a.

    Args:
        label_weight: how much an observed row counts, eta of Deep SAD; an unlabelled one counts 1.

    Attributes:
        normalised_only: whether energies must be negative log densities.

    Example:
        >>> class Everything(Assignment):
        ...     def weights(self, logit, energies, known):
        ...         return torch.zeros_like(energies.clean), torch.ones_like(energies.clean)
        >>> pair = Energies(torch.tensor([1.0, 3.0]), torch.tensor([4.0, 2.0]))
        >>> Everything()(torch.tensor(0.0), pair).loss
        tensor(3.)
    """

    normalised_only: ClassVar[bool] = False

    def __init__(self, *, label_weight: float = 1.0) -> None:
        check_positive("label_weight", label_weight)
        self.label_weight = label_weight

    def __repr__(self) -> str:
        return f"{type(self).__name__}(label_weight={self.label_weight})"

    @abstractmethod
    def weights(self, logit: Tensor, energies: Energies, known: Tensor) -> tuple[Tensor, Tensor]:
        """Weights of E_n and E_a of unlabelled rows; no gradient flows through them.

        Args:
            logit: prior log odds of an anomaly, broadcast to (..., N).
            energies: of the rows.
            known: infinity for observed anomalies, minus infinity for observed normal rows, else 0:
                added to a score, it makes them first and last.
        """

    def __call__(
        self, logit: Tensor, energies: Energies, observed: Tensor | None = None
    ) -> Assigned:
        """Weights and loss of a batch.

        Args:
            logit: prior log odds of an anomaly, broadcast to (..., N).
            energies: of the rows, (..., N) each.
            observed: switches that are known, (..., N): 0, 1, or -1 where not; None if none is.

        Returns:
            Weights, and the mean energy they make, over the rows that count.
        """
        known = _known(energies.clean, observed)
        clean, anomalous = (part.detach() for part in self.weights(logit, energies, known))
        if observed is not None:
            told = self.label_weight
            clean = torch.where(observed == UNKNOWN, clean, told * (observed == 0))
            anomalous = torch.where(observed == UNKNOWN, anomalous, told * (observed == 1))
        total = (clean * energies.clean + anomalous * energies.anomalous).sum(-1)
        counted = (clean + anomalous > 0).sum(-1).clamp_min(1)
        return Assigned(clean, anomalous, total / counted)


class Blind(Assignment):
    """Every unlabelled row counts as normal.

    Example:
        >>> pair = Energies(torch.tensor([1.0, 3.0]), torch.tensor([4.0, 2.0]))
        >>> Blind()(torch.tensor(0.0), pair).loss
        tensor(2.)
    """

    def weights(self, logit: Tensor, energies: Energies, known: Tensor) -> tuple[Tensor, Tensor]:
        return torch.ones_like(energies.clean), torch.zeros_like(energies.clean)


class Refine(Assignment):
    """The rows of highest E_n, as many as the prior expects, are left out.

    Example:
        >>> pair = Energies(torch.tensor([1.0, 3.0]), torch.tensor([4.0, 2.0]))
        >>> Refine()(torch.tensor(0.0), pair).loss
        tensor(1.)
    """

    def weights(self, logit: Tensor, energies: Energies, known: Tensor) -> tuple[Tensor, Tensor]:
        top = highest(energies.clean + known, logit)
        return 1 - top, torch.zeros_like(top)


class Hard(Assignment):
    r"""LOE_H: the rows of highest log odds, as many as the prior expects, are anomalies.

    .. math::
        z_i = 1 \text{ for the } \mathrm{round}(\textstyle\sum_i \sigma(l_i)) \text{ highest of }
        l_i + E_n(x_i) - E_a(x_i)

    Source: Qiu et al. (2022), section 3.1.

    Example:
        >>> pair = Energies(torch.tensor([1.0, 3.0]), torch.tensor([4.0, 2.0]))
        >>> Hard()(torch.tensor(0.0), pair).anomalous
        tensor([0., 1.])
    """

    def weights(self, logit: Tensor, energies: Energies, known: Tensor) -> tuple[Tensor, Tensor]:
        top = highest(_log_odds(logit, energies) + known, logit)
        return 1 - top, top


class Soft(Assignment):
    """LOE_S: as `Hard`, but what counts as an anomaly counts one half as normal.

    One half is no posterior: it hedges against rows that are ranked wrongly.

    Source: Qiu et al. (2022), section 3.2.

    Example:
        >>> pair = Energies(torch.tensor([1.0, 3.0]), torch.tensor([4.0, 2.0]))
        >>> Soft()(torch.tensor(0.0), pair).anomalous
        tensor([0.0000, 0.5000])
    """

    def weights(self, logit: Tensor, energies: Energies, known: Tensor) -> tuple[Tensor, Tensor]:
        top = highest(_log_odds(logit, energies) + known, logit)
        return 1 - top / 2, top / 2


class Exact(Assignment):
    r"""The posterior of the switch, and the log marginal as the loss.

    .. math::
        r_i = \sigma(l_i + E_n(x_i) - E_a(x_i)), \qquad
        L = -\mathrm{mean}_i \log\big((1 - \pi_i) e^{-E_n(x_i)} + \pi_i e^{-E_a(x_i)}\big)

    Energies must be negative log densities; then the prior, too, may be learned.

    Source: arXiv 2606.16524.

    Example:
        >>> pair = Energies(torch.tensor([1.0, 3.0]), torch.tensor([3.0, 1.0]))
        >>> Exact()(torch.tensor(0.0), pair).anomalous
        tensor([0.1192, 0.8808])
    """

    normalised_only = True

    def weights(self, logit: Tensor, energies: Energies, known: Tensor) -> tuple[Tensor, Tensor]:
        r = nf.responsibility(*_log_joint(logit, energies))
        return 1 - r, r

    def __call__(
        self, logit: Tensor, energies: Energies, observed: Tensor | None = None
    ) -> Assigned:
        found = super().__call__(logit, energies, observed)
        pair = _log_joint(logit, energies)
        if observed is None:
            return found._replace(loss=-nf.log_marginal(*pair).mean(-1))
        counts = torch.where(observed == UNKNOWN, 1.0, self.label_weight)
        values = counts * nf.log_marginal(*nf.observe_switch(*pair, observed))
        return found._replace(loss=-values.mean(-1))


def _log_joint(logit: Tensor, energies: Energies) -> tuple[Tensor, Tensor]:
    return nf.switch_log_joint(logit, -energies.clean, -energies.anomalous)


def _log_odds(logit: Tensor, energies: Energies) -> Tensor:
    # A prior of 0 is the same for all rows: it would hide which scores are higher.
    return torch.where(logit.isinf(), 0.0, logit) + energies.clean - energies.anomalous


def _known(like: Tensor, observed: Tensor | None) -> Tensor:
    known = torch.zeros_like(like)
    if observed is None:
        return known
    return known.masked_fill(observed == 1, torch.inf).masked_fill(observed == 0, -torch.inf)


def highest(score: Tensor, logit: Tensor) -> Tensor:
    """1 for the highest scores of the last dimension, as many as the prior expects, else 0."""
    expected = torch.sigmoid(logit).expand_as(score).sum(-1, keepdim=True).round()
    rank = score.detach().argsort(-1, descending=True).argsort(-1)
    return (rank < expected).to(score)
