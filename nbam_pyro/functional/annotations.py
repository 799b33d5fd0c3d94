r"""Labels of several annotators: the true label of an item is shared by all its annotations.

.. math:: c_i \sim f(x_i), \qquad y_{ij} \sim C_j[c_i, :]

Annotations are sparse triples (item i, annotator j, label y). C_j is the confusion matrix of
annotator j, p(label | true label). Items need not have the same annotators, nor as many.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

__all__ = ["annotation_log_joint", "annotation_pairs"]


def annotation_log_joint(
    log_f: Float[Tensor, "n k"],
    item: Int[Tensor, " a"],
    annotator: Int[Tensor, " a"],
    label: Int[Tensor, " a"],
    log_confusion: Float[Tensor, "j k k"],
    *,
    true_label: Int[Tensor, " n"] | None = None,
) -> Float[Tensor, "n k"]:
    r"""Return the log joint of the true label c of each item and of all its annotations.

    .. math:: S_i(c) = \log f_c(x_i) + \sum_{(i, j)} \log C_j[c, y_{ij}]

    The log marginal of item i is :math:`L_i = \log \sum_c e^{S_i(c)}`, `S.logsumexp(-1)`, and the
    posterior of its true label is :math:`q_i(c) = e^{S_i(c) - L_i}`, `S.softmax(-1)`. An item
    without annotations keeps f. Time and memory are O(A K + N K).

    Args:
        log_f: Logarithm of the predictor, log p(c | x), (N, K), normalised.
        item: Index of the item of each annotation, (A,).
        annotator: Index of the annotator of each annotation, (A,).
        label: Label that the annotator gave, 0, ..., K-1, (A,).
        log_confusion: Logarithm of the confusion matrices, (J, K, K), in the order annotator, true
            label, label.
        true_label: Verified true labels, -1 where unknown, (N,); None where none is verified. Other
            classes of a verified item get -inf.

    Returns:
        Log joints, (N, K).

    Source: Dawid & Skene (1979); with a classifier f(x), Raykar et al. (2010).

    Example:
        Two annotators are right in 80 % of the cases. They agree on item 0 and disagree on item 1.

        >>> c = torch.tensor([[0.8, 0.2], [0.2, 0.8]]).log().expand(2, 2, 2)
        >>> item, annotator = torch.tensor([0, 0, 1, 1]), torch.tensor([0, 1, 0, 1])
        >>> flat = torch.full((2, 2), 0.5).log()
        >>> s = annotation_log_joint(flat, item, annotator, torch.tensor([1, 1, 0, 1]), c)
        >>> s.softmax(-1)
        tensor([[0.0588, 0.9412],
                [0.5000, 0.5000]])
    """
    evidence = log_confusion[annotator, :, label]
    joint = log_f.index_add(0, item, evidence.to(log_f))
    if true_label is None:
        return joint
    classes = torch.arange(log_f.shape[-1], device=log_f.device)
    other = (true_label >= 0)[:, None] & (true_label[:, None] != classes)
    return joint.masked_fill(other, -torch.inf)


def annotation_pairs(
    log_joint: Float[Tensor, "n k"], item: Int[Tensor, " a"], label: Int[Tensor, " a"]
) -> tuple[Tensor, Tensor]:
    r"""Return the pair (a, b) of the switch of each annotation, z_ij = 1 where y_ij differs from c.

    .. math:: a_{ij} = S_i(y_{ij}), \qquad b_{ij} = \log \sum_{c \ne y_{ij}} e^{S_i(c)}

    For every annotation of an item, logaddexp(a, b) is the same number, the log marginal L_i of the
    item. The loss therefore has L_i once per item: do not sum it over annotations. The
    responsibility sigmoid(b - a) = 1 - q_i(y_ij) is the probability that the annotation is wrong.

    Args:
        log_joint: Result of `annotation_log_joint`, S, (N, K).
        item: Index of the item of each annotation, (A,).
        label: Label that the annotator gave, (A,).

    Returns:
        (a, b), two tensors of shape (A,).

    Example:
        >>> s = torch.tensor([[0.3, 0.1]]).log()
        >>> a, b = annotation_pairs(s, torch.tensor([0, 0]), torch.tensor([0, 1]))
        >>> torch.sigmoid(b - a)
        tensor([0.2500, 0.7500])
    """
    rows = log_joint[item]
    a = rows.gather(-1, label[:, None])[:, 0]
    b = rows.scatter(-1, label[:, None], -torch.inf).logsumexp(-1)
    return a, b
