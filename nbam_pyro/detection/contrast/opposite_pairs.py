"""Contrastive energies of images and their pseudo-anomalies."""

from typing import Literal

import torch
from torch import Tensor

__all__ = ["Form", "contrast_energies"]

Form = Literal["opposite", "plain", "supervised"]
"""Form of the contrastive loss.

"opposite" is COBRA: an image and its pseudo-anomaly are pushed apart, and nothing else is. "plain"
is SimCLR: all other images are pushed apart. "supervised" is SupCon: images of one group (normal or
pseudo-anomaly) are pulled together, and the two groups are pushed apart.
"""


def contrast_energies(z: Tensor, *, form: Form, temperature: float) -> tuple[Tensor, Tensor]:
    r"""Return the contrastive energies of rows, if they are normal and if they are anomalies.

    With similarities :math:`s_{ij} = z_i^\top z_j` and
    :math:`l_{ij} = -\log (e^{s_{ij}/\tau} / \sum_{k \ne i} e^{s_{ik}/\tau})`, the mean over rows of
    the first energy is the loss

    .. math::
        L = \frac{1}{M} \Big[ \sum_P l_{ij} - \sum_O l_{ij} \Big]

    Here M is the number of embeddings, P are pairs of views of the same image, and O are pairs of
    an image and its pseudo-anomaly in the same clean view. "plain" has no pairs O. With two views
    and "opposite", the sums over k cancel, and :math:`L = \mathrm{mean}(s_{opp} - s_{pos}) / \tau`.
    With "supervised", P are all pairs within a group, averaged for each i.

    The second energy is that of a row that belongs to the anomalies: its opposite is then the
    normal image of another row.

    Args:
        z: Embeddings of length 1, (K, 2, n, D), of K views (2, or 3 if the last one was moved by an
            attacker), 2 groups (images and their pseudo-anomalies) and n rows.
        form: Form of the loss.
        temperature: Temperature tau.

    Returns:
        Two energies of each row, (n,).

    Source: COBRA, arXiv 2501.15434; Chen et al. (2020); Khosla et al. (2020).

    Example:
        >>> one = torch.tensor([1.0, 0.0])
        >>> z = torch.stack([one, -one])[None, :, None].repeat(2, 1, 3, 1)  # the best embedding
        >>> contrast_energies(z, form="opposite", temperature=0.5)[0]
        tensor([-4., -4., -4.])
    """
    if form == "supervised":
        return _supervised(z, temperature)
    views, anchors = len(z), 2 * len(z)
    same = (z * (z.sum(0, keepdim=True) - z)).sum(-1)
    terms = torch.full((views, 1, 1), views - 1.0, device=z.device, dtype=z.dtype)
    if form == "opposite":
        # The sums over k of the pairs P and O cancel once for each clean anchor.
        terms[:2] -= 1
    total = -same.sum((0, 1)) / temperature
    if bool(terms.any()):
        total = total + (terms * _log_sums(z, temperature)).sum((0, 1))
    if form == "plain":
        return total / anchors, total / anchors
    clean = z[:2]
    opposite = (clean * clean.flip(1)).sum((-1, 0, 1))
    # Rows of a batch are in random order, so the next one is a random row, most often normal.
    another = (clean * clean[:, :1].roll(1, 2)).sum((-1, 0, 1))
    return (
        (total + opposite / temperature) / anchors,
        (total + another / temperature) / anchors,
    )


def _supervised(z: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    views, _, rows, _ = z.shape
    many = views * rows
    sums = z.sum((0, 2))
    own = (torch.einsum("kgnd,gd->kgn", z, sums) - (z * z).sum(-1)) / max(1, many - 1)
    odd = torch.einsum("kgnd,d->kgn", z, sums[1]) / many
    normalised = _log_sums(z, temperature)
    found = (normalised - own / temperature).mean((0, 1))
    moved = torch.stack([odd[:, 0], own[:, 1]], 1)
    return found, (normalised - moved / temperature).mean((0, 1))


def _log_sums(z: Tensor, temperature: float) -> Tensor:
    """Return log sum_{k != i} exp(s_ik / tau) of each embedding i, (K, 2, n)."""
    flat = z.flatten(0, 2)
    similarity = flat @ flat.T / temperature
    itself = torch.eye(len(flat), device=z.device, dtype=torch.bool)
    return similarity.masked_fill(itself, -torch.inf).logsumexp(1).reshape(z.shape[:3])
