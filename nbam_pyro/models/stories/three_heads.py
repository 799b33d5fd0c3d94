"""`three_heads`, the three-head story exactly as in the NBAM paper; it is not identifiable."""

import math

from torch import nn

from nbam_pyro.models.likelihoods.clean_labels import CategoricalLikelihood
from nbam_pyro.models.priors.switch import HeadSwitch
from nbam_pyro.models.stories.latent_switch import LatentSwitch


def three_heads(
    trunk: nn.Module, features: int, num_classes: int, *, contamination: float = 0.1
) -> LatentSwitch:
    r"""Return the three-head story of the paper: heads for switch, clean label and anomaly.

    Use `LabelFlip` for classification. This story exists for comparison with the paper. Its fits
    usually end with a `CollapseWarning` and useless responsibilities r = P(z=1 | x, y).

    The story is *not identifiable*: the likelihood does not determine which softmax is the clean
    one. pi is the prior probability of contamination, P(z=1 | x). The gradient of the log marginal
    with respect to the logit of pi is r - pi, so the head that learns first explains more and more
    rows. If pi starts at a small value, it goes to 0. If pi starts at one half, the anomaly head
    may become the classifier.

    Args:
        trunk: Network that maps x to features h, (N, features), which all heads share.
        features: Number of features, the width of h.
        num_classes: Number of classes K.
        contamination: Approximate value of pi_phi(x) at the start of training, between 0 and 1.

    Source: the NBAM paper, arXiv 2606.16524.

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
