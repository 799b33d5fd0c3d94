r"""Posteriors of true labels, averaged over draws, without a table of draws x rows x classes.

At draw s with predictions f and the transition matrix M of the draw, the posterior of row i with
the observed label y is

.. math:: p_s(c \mid x_i, y) = f_{ic} M^s_{cy} / D_{is}, \qquad D_{is} = \sum_d f_{id} M^s_{dy}.

Rows with the same observed label share the columns of all M. The numbers D and the sum of p over
draws are therefore two products of matrices. Few draws differ in the sharpness of f, so that f is
computed once for each sharpness.
"""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from nbam_pyro.inference.posterior.trust import ExplainedDraws
from nbam_pyro.models import LatentLabelStory

# Labels below this number are numbers of 16 bits.
_SHORT = 2**15

__all__ = ["Drawn", "Sums", "sums_by_label"]


class Drawn(NamedTuple):
    """Probabilities of rows at each draw.

    Attributes:
        responsibility: P(z=1 | x, y), (S, n).
        prior: P(z=1 | x), (S, n).
    """

    responsibility: Tensor
    prior: Tensor


class Sums(NamedTuple):
    """Posteriors of rows, summed over draws.

    Attributes:
        true_label: Sum of p(c | x, y), (n, K).
        prior: Sum of P(z=1 | x), (n,).
        drawn: Probabilities at each draw; None if they were not asked for.
    """

    true_label: Tensor
    prior: Tensor
    drawn: Drawn | None = None


class _Group(NamedTuple):
    """Draws with the same sharpness.

    Attributes:
        draws: Their places among all draws, (s,).
        sharpness: Sharpness of the predictions.
        rate: Their contamination rates, (s, K).
        transition: Their transition matrices by observed label, (K observed, s, K true).
    """

    draws: Tensor
    sharpness: Tensor
    rate: Tensor
    transition: Tensor


def sums_by_label(
    story: LatentLabelStory,
    log_f: Float[Tensor, "n k"],
    labels: Int[Tensor, " n"],
    read: ExplainedDraws,
    *,
    drawn: bool = False,
) -> Sums:
    """Return the posteriors of unverified rows, summed over draws without a difficulty.

    Args:
        story: Story whose rates do not deviate from row to row.
        log_f: Log probabilities of the true label, (n, K), at sharpness 1.
        labels: Observed labels, (n,).
        read: Draws of the explanations.
        drawn: Whether to return the probabilities at each draw, too.

    Returns:
        The sums. A row is not finite where the smallest numbers of its type are too large for its
        probabilities.
    """
    groups = _groups(story, read, log_f)
    order = _order(labels)
    sizes = labels.bincount(minlength=story.num_classes).tolist()
    true_label, prior = torch.empty_like(log_f), torch.empty_like(log_f[:, 0])
    each = []
    for label, index in enumerate(order.split(sizes)):
        if len(index):
            # Classes come first, because they are few: operations run along the rows.
            found = _of_label(log_f[index].T.contiguous(), label, groups, read, drawn=drawn)
            true_label[index] = found.true_label.T
            prior[index] = found.prior
            each.append(found.drawn)
    if not drawn:
        return Sums(true_label, prior)
    back = order.argsort()
    parts = zip(*filter(None, each), strict=True)
    return Sums(true_label, prior, Drawn(*(torch.cat(one, 1)[:, back] for one in parts)))


def _order(labels: Int[Tensor, " n"]) -> Int[Tensor, " n"]:
    """Return indices that sort labels. Numbers of 16 bits are sorted by counting, which is fast."""
    few = labels.cpu().numpy()
    few = few.astype(np.int16) if len(few) and few.max() < _SHORT else few
    return torch.from_numpy(np.argsort(few, kind="stable")).to(labels.device)


def _groups(story: LatentLabelStory, read: ExplainedDraws, log_f: Tensor) -> list[_Group]:
    """Return the draws in which labels may be wrong, by their sharpness."""
    alpha, log_flip = torch.vmap(story.rates_and_flips)(read.latents)
    rate = alpha.sigmoid()
    keep = torch.diag_embed((-alpha).sigmoid())
    transition = (keep + rate[..., None] * log_flip.exp()).permute(2, 0, 1).to(log_f)
    groups = []
    for sharpness in read.sharpness[~read.right].unique():
        draws = (~read.right & (read.sharpness == sharpness)).nonzero()[:, 0]
        matrices = transition[:, draws].contiguous()
        groups.append(_Group(draws, sharpness, rate[draws].to(log_f), matrices))
    return groups


def _of_label(
    log_f: Float[Tensor, "k n"],
    label: int,
    groups: list[_Group],
    read: ExplainedDraws,
    *,
    drawn: bool,
) -> Sums:
    """Return the sums of rows with the same observed label, with classes before rows."""
    total, prior = torch.zeros_like(log_f), torch.zeros_like(log_f[0])
    shape = len(read.right), len(prior)
    # In draws where no label is wrong, both probabilities at the draw are 0.
    at_draws = Drawn(log_f.new_zeros(shape), log_f.new_zeros(shape)) if drawn else None
    for group in groups:
        f = read.mixed(log_f, group.sharpness)
        own = group.transition[label]
        weight = (own @ f).reciprocal_()
        total.addcmul_(f, own.T @ weight)
        prior += group.rate.sum(0) @ f
        if at_draws is not None:
            right = own[:, label, None] * f[label]
            at_draws.responsibility[group.draws] = (1 - right.mul_(weight)).clamp_min_(0)
            at_draws.prior[group.draws] = group.rate @ f
    total[label] += int(read.right.sum())
    return Sums(total, prior, at_draws)
