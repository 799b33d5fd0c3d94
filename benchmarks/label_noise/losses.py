r"""Losses of the baselines, with the constants that their authors published.

p = softmax(logits) is the network's class distribution and y the observed label. Functions give one
value per row, (N,), from logits (N, K) and labels (N,).
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nbam_pyro.losses import nbam_loss

RowLoss = Callable[[Tensor, Tensor], Tensor]


def averaged(loss: RowLoss) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """The mean over a batch of a loss that does not ask which rows it has."""
    return lambda logits, labels, rows: loss(logits, labels).mean()


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    r"""Cross-entropy, :math:`-\log p_y`."""
    return F.cross_entropy(logits, labels, reduction="none")


def mae(logits: Tensor, labels: Tensor) -> Tensor:
    r"""Mean absolute error, :math:`\tfrac12 \|e_y - p\|_1 = 1 - p_y`.

    Source: Ghosh, Kumar & Sastry (AAAI 2017), section 3; the factor one half as in GCE's limit.
    """
    return 1 - _log_p(logits, labels).exp()


def gce(logits: Tensor, labels: Tensor, *, q: float = 0.7) -> Tensor:
    r"""Generalised cross-entropy, :math:`(1 - p_y^q) / q`.

    Cross-entropy for q -> 0 and the mean absolute error for q = 1. q = .7 is published for all of
    their data sets.

    Source: Zhang & Sabuncu (NeurIPS 2018), equation 6.
    """
    return -torch.expm1(q * _log_p(logits, labels)) / q


def sce(logits: Tensor, labels: Tensor, *, alpha: float = 0.1, beta: float = 1.0) -> Tensor:
    r"""Symmetric cross-entropy, :math:`\alpha\, \mathrm{CE} + \beta\, \mathrm{RCE}`.

    alpha = .1 and beta = 1 are published for CIFAR-10.

    Source: Wang et al. (ICCV 2019), section 3; the constants from section 4.
    """
    return alpha * cross_entropy(logits, labels) + beta * reverse_cross_entropy(logits, labels)


def nce_rce(logits: Tensor, labels: Tensor, *, alpha: float = 1.0, beta: float = 1.0) -> Tensor:
    r"""Active and passive, :math:`\alpha\, \mathrm{NCE} + \beta\, \mathrm{RCE}`.

    NCE is cross-entropy normalised over the labels a row could have had,
    :math:`\log p_y / \sum_k \log p_k`. alpha = beta = 1 are published for CIFAR-10.

    Source: Ma et al. (ICML 2020), section 3: normalised losses and active passive loss.
    """
    normalised = _log_p(logits, labels) / logits.log_softmax(-1).sum(-1)
    return alpha * normalised + beta * reverse_cross_entropy(logits, labels)


def reverse_cross_entropy(logits: Tensor, labels: Tensor, *, floor: float = 1e-4) -> Tensor:
    r"""Reverse cross-entropy, :math:`-\sum_k p_k \log e_{yk} = -\log(\mathrm{floor})(1 - p_y)`.

    log 0 is taken as log(floor); 1e-4 is in the authors' programs of both SCE and NCE+RCE.

    Source: Wang et al. (ICCV 2019), section 3.
    """
    return -math.log(floor) * mae(logits, labels)


def forward_correction(logits: Tensor, labels: Tensor, matrix: Tensor) -> Tensor:
    r"""Cross-entropy of the label as it is observed, :math:`-\log \sum_c p_c M_{cy}`.

    M = p(observed | true), (K, K).

    Source: Patrini et al. (CVPR 2017), theorem 2.
    """
    # No label is impossible, whatever one anchor says.
    terms = logits.log_softmax(-1) + matrix.clamp_min(1e-7).log().T[labels]
    return -terms.logsumexp(-1)


def anchor_matrix(probabilities: Tensor, *, percentile: float = 0.97) -> Tensor:
    r"""M from one row per class, :math:`M_c = p(\cdot \mid \bar x_c)`.

    :math:`\bar x_c` is the row whose p_c is the largest below the percentile, which the authors
    take in place of the largest of all for every data set of ten classes.

    Args:
        probabilities: Probabilities p(observed | x) of noisy rows, (N, K).
        percentile: Share of rows whose p_c is lower than that of the anchor, in [0, 1].

    Returns:
        (K, K), rows sum to 1.

    Source: Patrini et al. (CVPR 2017), theorem 3 and section 5.
    """
    place = round(percentile * (len(probabilities) - 1))
    return probabilities[probabilities.argsort(0)[place]]


class NoiseLayer(nn.Module):
    r"""Cross-entropy through a transition layer that is learned beside the network.

    M_c = (1 - rate_c) e_c + rate_c T_c with T_c over the other classes, started at a rate of .1
    and uniform T. This is the library's own story without anchors, priors and deviation g.

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

    The target t of each row follows its predictions, :math:`t \leftarrow \beta t + (1 - \beta) p`,
    with p between 1e-4 and 1 - 1e-4. beta = .7 and lambda = 3 are published for CIFAR-10.

    Args:
        rows: Number of rows of the problem, N.
        classes: Number of classes, K.
        beta: Share of a target that stays at each step, in [0, 1).
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
    """Cross-entropy with a weight for each row of the problem, (N,)."""

    weights: Tensor

    def __init__(self, weights: Tensor) -> None:
        super().__init__()
        self.register_buffer("weights", weights)

    def forward(self, logits: Tensor, labels: Tensor, rows: Tensor) -> Tensor:
        return (self.weights[rows] * cross_entropy(logits, labels)).mean()


def _log_p(logits: Tensor, labels: Tensor) -> Tensor:
    return -cross_entropy(logits, labels)
