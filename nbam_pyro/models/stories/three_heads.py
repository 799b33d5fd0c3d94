"""The literal three-head story of the paper, which is not identifiable."""

import math

from torch import nn

from nbam_pyro.models.likelihoods.clean_labels import CategoricalLikelihood
from nbam_pyro.models.priors.switch import HeadSwitch
from nbam_pyro.models.stories.latent_switch import LatentSwitch


def three_heads(
    trunk: nn.Module, features: int, num_classes: int, *, contamination: float = 0.1
) -> LatentSwitch:
    r"""The paper's literal story: clean head, contamination head and free anomaly head.

    It is *not identifiable*: nothing in the likelihood says which softmax is the clean one, and
    the gradient of the prior logit is r - pi, so that the head which learns first takes over: from
    a small start pi runs away to 0, from one half the anomaly head may become the classifier.
    Expect a `CollapseWarning` and useless flags; it is here because the paper has it and for
    comparison. `LabelFlip` is the story to use for classification.

    Args:
        trunk: shared network, x -> h of shape (N, features).
        features: width of h.
        num_classes: K.
        contamination: about where pi_phi(x) starts.

    Source: NBAM, arXiv 2606.16524.

    Example:
        >>> import torch
        >>> story = three_heads(nn.Identity(), 4, 3)
        >>> a, b = story.log_joint(torch.zeros(2, 4), torch.tensor([0, 2]), {})
        >>> a.shape
        torch.Size([2])
    """
    switch = nn.Linear(features, 1)
    nn.init.constant_(switch.bias, math.log(contamination / (1 - contamination)))
    return LatentSwitch(
        trunk=trunk,
        switch=HeadSwitch(switch),
        clean=CategoricalLikelihood(nn.Linear(features, num_classes)),
        anomaly=CategoricalLikelihood(nn.Linear(features, num_classes)),
    )
