"""Clean likelihoods of labels: distributions of uncontaminated labels given x."""

import numpy as np
import pyro.distributions as dist
from pyro.distributions import TorchDistribution
from torch import Tensor, nn

from nbam_pyro.models.latents import Latents
from nbam_pyro.models.likelihoods.component import Component
from nbam_pyro.training.tensors import at_least_single


class CategoricalLikelihood(Component):
    r"""y ~ Categorical(softmax(head(h))): the clean likelihood of a label with K classes.

    The clean likelihood is the distribution of uncontaminated targets; this one is a classifier.
    With a separate head, it is also the anomaly likelihood of `three_heads`.

    Args:
        head: Network that maps features h, (N, ...), to logits, (N, K).

    Example:
        >>> import torch
        >>> CategoricalLikelihood(nn.Linear(4, 3))(torch.zeros(5, 4), {}).probs.shape
        torch.Size([5, 3])
    """

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self.head = head

    def forward(self, h: Tensor, latents: Latents) -> TorchDistribution:
        return dist.Categorical(logits=at_least_single(self.head(h)), validate_args=False)


class BernoulliLikelihood(Component):
    r"""y ~ Bernoulli(sigmoid(head(h))): the clean likelihood of one or several binary labels.

    Args:
        head: Network that maps features h, (N, ...), to one logit, (N, 1), or to one logit for
            each of L labels, (N, L).
        multi_label: Whether targets have the shape (N, L), with a separate switch for each label.
            The story then needs `dims=("label",)`.

    Example:
        >>> import torch
        >>> BernoulliLikelihood(nn.Linear(4, 1))(torch.zeros(5, 4), {}).batch_shape
        torch.Size([5])
        >>> tags = BernoulliLikelihood(nn.Linear(4, 3), multi_label=True)
        >>> tags(torch.zeros(5, 4), {}).batch_shape
        torch.Size([5, 3])
    """

    def __init__(self, head: nn.Module, *, multi_label: bool = False) -> None:
        super().__init__()
        self.head = head
        self.multi_label = multi_label

    def forward(self, h: Tensor, latents: Latents) -> TorchDistribution:
        logits = at_least_single(self.head(h))
        logits = logits if self.multi_label else logits.squeeze(-1)
        return _Binary(logits=logits, validate_args=False)

    def as_classes(self, predicted: np.ndarray) -> np.ndarray:
        return np.stack([1 - predicted, predicted], -1)


class _Binary(dist.Bernoulli):
    """A Bernoulli distribution that also accepts labels as integers."""

    def log_prob(self, value: Tensor) -> Tensor:
        return super().log_prob(value.to(self.logits.dtype))
