"""Assignments: how training decides which unlabelled rows are anomalies.

A row has a clean energy E_n, which is low if the row looks normal, and an anomaly energy E_a, which
is low if it looks like an anomaly. The latent switch of a row is 1 if the row is an anomaly. It is
not observed, unless somebody has verified the row.

Each assignment takes the prior log odds of an anomaly and the two energies of each row. It returns
the weights of the two energies and the loss. Assignments differ in how they fill in the switches:
by their posterior, as 1 for a fixed share of the rows, or as 0 for all rows.
"""

from abc import ABC, abstractmethod
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from nbam_pyro import functional as nf
from nbam_pyro.detection.backbones.base import Energies
from nbam_pyro.models.likelihoods.component import check_positive
from nbam_pyro.outputs.switch_codes import UNKNOWN, UNVERIFIED


class Assigned(NamedTuple):
    """The weights of each row's energies, and the loss.

    Attributes:
        clean: Weight of the clean energy E_n of each row, (..., N).
        anomalous: Weight of the anomaly energy E_a of each row, (..., N).
        loss: Loss of each member (model of the backbone), (...).
    """

    clean: Tensor
    anomalous: Tensor
    loss: Tensor


class Assignment(ABC):
    """The base class of rules that fill in the latent switch of rows that are not verified.

    A verified anomaly has weight only on its anomaly energy E_a, and a verified normal row only on
    its clean energy E_n.

    Args:
        label_weight: Weight of the energy of a verified row, eta in Deep SAD. The two weights of
            any other row sum to at most 1.

    Attributes:
        normalised_only: Whether the energies must be negative log densities.

    Raises:
        DataError: `label_weight` is not positive.

    Example:
        >>> class Everything(Assignment):
        ...     def weights(self, logit, energies, priority):
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
    def weights(self, logit: Tensor, energies: Energies, priority: Tensor) -> tuple[Tensor, Tensor]:
        """Return the weights of E_n and the weights of E_a, two tensors of shape (..., N).

        `Assignment` replaces the weights of verified rows afterwards. No gradient flows through the
        weights.

        Args:
            logit: Prior log odds of an anomaly, broadcast to (..., N).
            energies: Clean energies E_n and anomaly energies E_a of N rows: two tensors of shape
                (..., N). The first dimensions are those of the members, the models of the backbone.
            priority: Infinity for verified anomalies, minus infinity for verified normal rows, and
                0 for other rows, (..., N). Added to a score, it puts verified anomalies first and
                verified normal rows last.
        """

    def __call__(
        self, logit: Tensor, energies: Energies, verified: Tensor = UNVERIFIED
    ) -> Assigned:
        """Return the weights and the loss of a batch.

        Args:
            logit: Prior log odds of an anomaly, broadcast to (..., N).
            energies: Clean energies E_n and anomaly energies E_a of N rows: two tensors of shape
                (..., N). The first dimensions are those of the members, the models of the backbone.
            verified: Integer codes of verified rows, broadcast to (..., N): 1 for an anomaly, 0 for
                a normal row, -1 where nothing is verified. The default is -1 for all rows.

        Returns:
            The weights, and the loss of each model: the weighted sum of the energies, divided by
            the number of rows with a weight above 0.
        """
        codes = _codes(energies, verified)
        clean, anomalous = (
            part.detach() for part in self.weights(logit, energies, _priority(energies, codes))
        )
        weight = self.label_weight
        clean = torch.where(codes == UNKNOWN, clean, weight * (codes == 0))
        anomalous = torch.where(codes == UNKNOWN, anomalous, weight * (codes == 1))
        total = (clean * energies.clean + anomalous * energies.anomalous).sum(-1)
        counted = (clean + anomalous > 0).sum(-1).clamp_min(1)
        return Assigned(clean, anomalous, total / counted)


class Blind(Assignment):
    """Treats each row that is not verified as normal.

    Example:
        >>> pair = Energies(torch.tensor([1.0, 3.0]), torch.tensor([4.0, 2.0]))
        >>> Blind()(torch.tensor(0.0), pair).loss
        tensor(2.)
    """

    def weights(self, logit: Tensor, energies: Energies, priority: Tensor) -> tuple[Tensor, Tensor]:
        return torch.ones_like(energies.clean), torch.zeros_like(energies.clean)


class Refine(Assignment):
    """Leaves out the rows with the highest clean energy E_n; the prior sets their number.

    Example:
        >>> pair = Energies(torch.tensor([1.0, 3.0]), torch.tensor([4.0, 2.0]))
        >>> Refine()(torch.tensor(0.0), pair).loss
        tensor(1.)
    """

    def weights(self, logit: Tensor, energies: Energies, priority: Tensor) -> tuple[Tensor, Tensor]:
        top = highest(energies.clean + priority, logit)
        return 1 - top, torch.zeros_like(top)


class Hard(Assignment):
    r"""Treats the rows with the highest log odds as anomalies; the prior sets their number (LOE_H).

    .. math::
        z_i = 1 \text{ for the } \mathrm{round}(\textstyle\sum_i \sigma(l_i)) \text{ highest of }
        l_i + E_n(x_i) - E_a(x_i)

    Here l_i is the prior log odds that row x_i is an anomaly, E_n its clean and E_a its anomaly
    energy, sigma the logistic function, and z_i the switch: z_i = 1 means that the row is treated
    as an anomaly. Other rows have z_i = 0.

    Source: Qiu et al. (2022), section 3.1.

    Example:
        >>> pair = Energies(torch.tensor([1.0, 3.0]), torch.tensor([4.0, 2.0]))
        >>> Hard()(torch.tensor(0.0), pair).anomalous
        tensor([0., 1.])
    """

    def weights(self, logit: Tensor, energies: Energies, priority: Tensor) -> tuple[Tensor, Tensor]:
        top = highest(_log_odds(logit, energies) + priority, logit)
        return 1 - top, top


class Soft(Assignment):
    """Like `Hard`, but the rows with the highest log odds have weight 1/2 on each energy (LOE_S).

    The weight 1/2 is not a posterior probability. It limits the effect of rows that are ranked
    wrongly.

    Source: Qiu et al. (2022), section 3.2.

    Example:
        >>> pair = Energies(torch.tensor([1.0, 3.0]), torch.tensor([4.0, 2.0]))
        >>> Soft()(torch.tensor(0.0), pair).anomalous
        tensor([0.0000, 0.5000])
    """

    def weights(self, logit: Tensor, energies: Energies, priority: Tensor) -> tuple[Tensor, Tensor]:
        top = highest(_log_odds(logit, energies) + priority, logit)
        return 1 - top / 2, top / 2


class Exact(Assignment):
    r"""Weighs each row by the posterior of its switch; the loss is the negative log marginal.

    .. math::
        r_i = \sigma(l_i + E_n(x_i) - E_a(x_i)), \qquad
        L = -\mathrm{mean}_i \log\big((1 - \pi_i) e^{-E_n(x_i)} + \pi_i e^{-E_a(x_i)}\big)

    Here pi_i is the prior probability that row x_i is an anomaly, l_i its log odds, E_n the clean
    and E_a the anomaly energy of the row, sigma the logistic function, r_i the posterior
    probability that the row is an anomaly, and L the loss. The energies must be negative log
    densities. The prior can then also be learned.

    Source: arXiv 2606.16524.

    Example:
        >>> pair = Energies(torch.tensor([1.0, 3.0]), torch.tensor([3.0, 1.0]))
        >>> Exact()(torch.tensor(0.0), pair).anomalous
        tensor([0.1192, 0.8808])
    """

    normalised_only = True

    def weights(self, logit: Tensor, energies: Energies, priority: Tensor) -> tuple[Tensor, Tensor]:
        r = nf.responsibility(*_log_joint(logit, energies))
        return 1 - r, r

    def __call__(
        self, logit: Tensor, energies: Energies, verified: Tensor = UNVERIFIED
    ) -> Assigned:
        found = super().__call__(logit, energies, verified)
        codes = _codes(energies, verified)
        joint = nf.observe_switch(*_log_joint(logit, energies), codes)
        values = torch.where(codes == UNKNOWN, 1.0, self.label_weight) * nf.log_marginal(*joint)
        return found._replace(loss=-values.mean(-1))


def _log_joint(logit: Tensor, energies: Energies) -> tuple[Tensor, Tensor]:
    return nf.switch_log_joint(logit, -energies.clean, -energies.anomalous)


def _log_odds(logit: Tensor, energies: Energies) -> Tensor:
    # A prior of 0 is the same for all rows. It would make all log odds infinite.
    return torch.where(logit.isinf(), 0.0, logit) + energies.clean - energies.anomalous


def _codes(energies: Energies, verified: Tensor) -> Tensor:
    return verified.to(energies.clean.device).expand_as(energies.clean)


def _priority(energies: Energies, codes: Tensor) -> Tensor:
    nothing = torch.zeros_like(energies.clean)
    return nothing.masked_fill(codes == 1, torch.inf).masked_fill(codes == 0, -torch.inf)


def highest(score: Tensor, logit: Tensor) -> Tensor:
    """Return 1 for the rows with the highest scores and 0 for other rows, (..., N).

    The number of ones is the number of anomalies that the prior expects.

    Args:
        score: Scores, (..., N).
        logit: Prior log odds of an anomaly, broadcast to (..., N).
    """
    expected = torch.sigmoid(logit).expand_as(score).sum(-1, keepdim=True).round()
    rank = score.detach().argsort(-1, descending=True).argsort(-1)
    return (rank < expected).to(score)
