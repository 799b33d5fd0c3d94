r"""Losses of the baselines, with the constants that their authors published.

p = softmax(logits) is the class distribution of the network, and y is the observed label. Functions
take logits (N, K) and labels (N,), and return one value per row, (N,).
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nbam_pyro.losses import nbam_loss

RowLoss = Callable[[Tensor, Tensor], Tensor]


def averaged(loss: RowLoss) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """Return the batch mean of a loss that does not use the indices of rows."""
    return lambda logits, labels, rows: loss(logits, labels).mean()


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    r"""Cross-entropy, :math:`-\log p_y`."""
    return F.cross_entropy(logits, labels, reduction="none")


def mae(logits: Tensor, labels: Tensor) -> Tensor:
    r"""Mean absolute error, :math:`\tfrac12 \|e_y - p\|_1 = 1 - p_y`.

    Source: Ghosh, Kumar & Sastry (AAAI 2017), section 3; the factor 1/2 as in the limit of GCE.
    """
    return 1 - _log_p(logits, labels).exp()


def gce(logits: Tensor, labels: Tensor, *, q: float = 0.7) -> Tensor:
    r"""Generalised cross-entropy, :math:`(1 - p_y^q) / q`.

    It is cross-entropy for q -> 0 and the mean absolute error for q = 1. The authors use q = .7 on
    all data sets.

    Source: Zhang & Sabuncu (NeurIPS 2018), equation 6.
    """
    return -torch.expm1(q * _log_p(logits, labels)) / q


def sce(logits: Tensor, labels: Tensor, *, alpha: float = 0.1, beta: float = 1.0) -> Tensor:
    r"""Symmetric cross-entropy, :math:`\alpha\, \mathrm{CE} + \beta\, \mathrm{RCE}`.

    The authors use alpha = .1 and beta = 1 on CIFAR-10.

    Source: Wang et al. (ICCV 2019), section 3; the constants from section 4.
    """
    return alpha * cross_entropy(logits, labels) + beta * reverse_cross_entropy(logits, labels)


def nce_rce(logits: Tensor, labels: Tensor, *, alpha: float = 1.0, beta: float = 1.0) -> Tensor:
    r"""Active and passive loss, :math:`\alpha\, \mathrm{NCE} + \beta\, \mathrm{RCE}`.

    NCE is cross-entropy divided by its sum over all possible labels,
    :math:`\log p_y / \sum_k \log p_k`. The authors use alpha = beta = 1 on CIFAR-10.

    Source: Ma et al. (ICML 2020), section 3: normalised losses and active passive loss.
    """
    normalised = _log_p(logits, labels) / logits.log_softmax(-1).sum(-1)
    return alpha * normalised + beta * reverse_cross_entropy(logits, labels)


def reverse_cross_entropy(logits: Tensor, labels: Tensor, *, floor: float = 1e-4) -> Tensor:
    r"""Reverse cross-entropy, :math:`-\sum_k p_k \log e_{yk} = -\log(\mathrm{floor})(1 - p_y)`.

    log 0 is replaced by log(floor). The published programs of SCE and NCE+RCE use 1e-4.

    Source: Wang et al. (ICCV 2019), section 3.
    """
    return -math.log(floor) * mae(logits, labels)


def forward_correction(logits: Tensor, labels: Tensor, matrix: Tensor) -> Tensor:
    r"""Cross-entropy of the observed label, :math:`-\log \sum_c p_c M_{cy}`.

    M = p(observed | true), (K, K).

    Source: Patrini et al. (CVPR 2017), theorem 2.
    """
    # A lower bound, because an anchor can give a label the probability 0.
    terms = logits.log_softmax(-1) + matrix.clamp_min(1e-7).log().T[labels]
    return -terms.logsumexp(-1)


def anchor_matrix(probabilities: Tensor, *, percentile: float = 0.97) -> Tensor:
    r"""M from one row per class, :math:`M_c = p(\cdot \mid \bar x_c)`.

    :math:`\bar x_c` is the row whose p_c is at the given percentile. The authors use it instead of
    the maximum on all data sets with ten classes.

    Args:
        probabilities: Probabilities p(observed | x) of noisy rows, (N, K).
        percentile: Share of rows with a lower p_c than the anchor, in [0, 1].

    Returns:
        Matrix M, (K, K). Its rows sum to 1.

    Source: Patrini et al. (CVPR 2017), theorem 3 and section 5.
    """
    place = round(percentile * (len(probabilities) - 1))
    return probabilities[probabilities.argsort(0)[place]]


class NoiseLayer(nn.Module):
    r"""Cross-entropy through a transition layer that is learned together with the network.

    M_c = (1 - rate_c) e_c + rate_c T_c, where T_c is a distribution over the other classes. The
    initial rate is .1 and the initial T is uniform. This is the library's story without anchors,
    priors and deviation g.

    Source: Goldberger & Ben-Reuven (ICLR 2017), section 3, the simple model.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classes = classes
        self.rate_logits = nn.Parameter(torch.full((classes,), 0.1).logit())
        self.flip_logits = nn.Parameter(torch.zeros(classes, classes - 1))

    def forward(self, logits: Tensor, labels: Tensor, rows: Tensor) -> Tensor:
        return nbam_loss(logits, labels, self.rate_logits, self.flip_logits)


class EarlyLearning(nn.Module):
    r"""Early-learning regularisation, :math:`\mathrm{CE} + \lambda \log(1 - \langle p, t\rangle)`.

    The target t of a row is a moving average of its predictions,
    :math:`t \leftarrow \beta t + (1 - \beta) p`, with p between 1e-4 and 1 - 1e-4. The authors use
    beta = .7 and lambda = 3 on CIFAR-10.

    Args:
        rows: Number of rows of the problem, N.
        classes: Number of classes, K.
        beta: Weight of the old target at each step, in [0, 1).
        strength: Weight lambda of the regulariser.

    Source: Liu et al. (NeurIPS 2020), section 4, and their program for the bounds of p.
    """

    targets: Tensor

    def __init__(
        self, rows: int, classes: int, *, beta: float = 0.7, strength: float = 3.0
    ) -> None:
        super().__init__()
        self.beta = beta
        self.strength = strength
        self.register_buffer("targets", torch.zeros(rows, classes))

    def forward(self, logits: Tensor, labels: Tensor, rows: Tensor) -> Tensor:
        p = logits.softmax(-1).clamp(1e-4, 1 - 1e-4)
        now = p.detach() / p.detach().sum(-1, keepdim=True)
        target = self.beta * self.targets[rows] + (1 - self.beta) * now
        self.targets[rows] = target
        agreement = (target * p).sum(-1)
        return F.cross_entropy(logits, labels) + self.strength * torch.log1p(-agreement).mean()


class Weighted(nn.Module):
    """Mean cross-entropy of a batch, with one weight for each row of the problem, (N,)."""

    weights: Tensor

    def __init__(self, weights: Tensor) -> None:
        super().__init__()
        self.register_buffer("weights", weights)

    def forward(self, logits: Tensor, labels: Tensor, rows: Tensor) -> Tensor:
        return (self.weights[rows] * cross_entropy(logits, labels)).mean()


def _log_p(logits: Tensor, labels: Tensor) -> Tensor:
    return -cross_entropy(logits, labels)
