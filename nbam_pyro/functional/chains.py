r"""A Markov chain of switches: rows in an order, whose contamination comes in bursts.

The switches z of a series are a stationary Markov chain with two states. With the share pi of
contaminated rows and the *dwell* d, the mean number of consecutive contaminated rows,

.. math::
    P(z_1 = 1) = \pi, \qquad P(z_t = 0 \mid z_{t-1} = 1) = 1/d, \qquad
    P(z_t = 1 \mid z_{t-1} = 0) = \frac{\pi}{d (1 - \pi)}.

Independent switches are the special case d = 1 / (1 - pi). *Emissions* are the logarithms of the
two likelihoods of a row, e_k(t) = log p(y_t | z_t = k), without the prior of the switch. The log
density of a series is one number for all its rows, log Z, and its gradient is the posterior:

.. math:: \frac{\partial \log Z}{\partial e_k(t)} = P(z_t = k \mid y).

A row with e_0 = e_1 = 0 is missing. Where a switch is verified, the other state has the emission
-inf. All functions take a batch of series; rows after the end of a series are excluded by `mask`.

Source: Rabiner (1989) for the forward and backward recursions; Särkkä & García-Fernández (2021) for
their computation as a tree.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from nbam_pyro.functional.scans import FLOOR, total_product

__all__ = [
    "chain_log_partition",
    "chain_pairs",
    "chain_responsibility",
    "chain_start",
    "chain_transitions",
]


def chain_start(contamination: Float[Tensor, "*b"]) -> Float[Tensor, "*b 2"]:
    """Return the log probabilities of the first switch, (log(1 - pi), log pi).

    Args:
        contamination: Share pi of contaminated rows, between 0 and 1, (*B).

    Example:
        >>> chain_start(torch.tensor(0.2)).exp()
        tensor([0.8000, 0.2000])
    """
    return torch.stack([(-contamination).log1p(), contamination.log()], -1)


def chain_transitions(
    contamination: Float[Tensor, "*#b"],
    dwell: Float[Tensor, "*#b"],
    steps: Float[Tensor, "*#b s"] | None = None,
) -> Tensor:
    r"""Return the log transition probabilities between consecutive rows.

    .. math::
        A(s) = \begin{pmatrix} 1-\pi & \pi \\ 1-\pi & \pi \end{pmatrix}
        + \lambda^s \begin{pmatrix} \pi & -\pi \\ -(1-\pi) & 1-\pi \end{pmatrix},
        \qquad \lambda = 1 - \frac{1}{d (1 - \pi)}

    s is the time between two rows. A(1) is the matrix of the module's description. For other
    times, A(s) is the matrix of the two-state chain in continuous time that has this A(1).

    Args:
        contamination: Share pi of contaminated rows, between 0 and 1, (*B).
        dwell: Mean number d of consecutive contaminated rows at steps of 1, at least 1 and at least
            pi / (1 - pi), (*B).
        steps: Positive times s between consecutive rows, (*B, T - 1); None for steps of 1. If d is
            less than 1 / (1 - pi), lambda is negative and times must be whole numbers.

    Returns:
        Matrices log A[j, k] = log P(z_t = k | z_{t-1} = j), (*B, T - 1, 2, 2), or (*B, 1, 2, 2)
        without steps.

    Example:
        >>> chain_transitions(torch.tensor(0.2), torch.tensor(5.0)).exp()
        tensor([[[0.9500, 0.0500],
                 [0.2000, 0.8000]]])
    """
    pi, kept = contamination[..., None], (1 - 1 / (dwell * (1 - contamination)))[..., None]
    kept = kept if steps is None else kept.pow(steps)
    left, entered = (1 - pi) * (1 - kept), pi * (1 - kept)
    left, entered = torch.broadcast_tensors(left, entered)
    (to_bad, stay), (to_good, last) = _logs(entered), _logs(left)
    return torch.stack([stay, to_bad, to_good, last], -1).unflatten(-1, (2, 2))


def chain_log_partition(
    start: Float[Tensor, "*#b 2"],
    transitions: Float[Tensor, "*#b _ 2 2"],
    emissions: Float[Tensor, "*#b t 2"],
    mask: Bool[Tensor, "*#b t"] | None = None,
) -> Float[Tensor, "*b"]:
    r"""Return the log density of each series, log Z = log p(y_1, ..., y_T).

    .. math:: Z = \sum_{z_1 \dots z_T} p(z_1) e^{e_{z_1}(1)}
        \prod_{t=2}^{T} A_{z_{t-1} z_t} e^{e_{z_t}(t)}

    A tree of 2 x 2 matrix products computes the sum over all 2^T paths, with a depth of log2 T.

    Args:
        start: Log probabilities of the first switch, (*B, 2).
        transitions: Log transition probabilities between consecutive rows, (*B, T - 1, 2, 2), or
            (*B, 1, 2, 2) if all are the same.
        emissions: Log likelihoods of a clean and of a contaminated target, (*B, T, 2).
        mask: Rows that exist, (*B, T): True from the first row to the last one of each series. None
            if all series have T rows.

    Returns:
        Log densities in nats, (*B); -inf if no path is possible.

    Example:
        >>> pi, dwell = torch.tensor(0.2), torch.tensor(1 / 0.8)  # independent switches
        >>> e = torch.tensor([[0.0, 1.0], [0.0, 2.0]])
        >>> found = chain_log_partition(chain_start(pi), chain_transitions(pi, dwell), e)
        >>> bool(found.isclose(torch.logsumexp(chain_start(pi) + e, -1).sum()))
        True
    """
    product, scale = total_product(chain_matrices(start, transitions, emissions, mask))
    found = torch.logsumexp(product[..., 0, :], -1) + scale
    return torch.where(found < FLOOR / 2, -torch.inf, found)


def chain_responsibility(
    start: Float[Tensor, "*#b 2"],
    transitions: Float[Tensor, "*#b _ 2 2"],
    emissions: Float[Tensor, "*#b t 2"],
    mask: Bool[Tensor, "*#b t"] | None = None,
) -> Float[Tensor, "*b t"]:
    """Return P(z_t = 1 | y) of each row given its whole series, the gradient of log Z.

    The arguments are those of `chain_log_partition`. The result has no gradient.

    Returns:
        Probabilities, (*B, T); 0 for rows that do not exist.

    Example:
        >>> pi, e = torch.tensor(0.2), torch.tensor([[0.0, 3.0], [0.0, 0.0], [0.0, 3.0]])
        >>> chain_responsibility(chain_start(pi), chain_transitions(pi, torch.tensor(5.0)), e)
        tensor([0.9618, 0.9454, 0.9618])
    """
    shape = torch.broadcast_shapes(emissions.shape[:-2], start.shape[:-1], _batch(transitions))
    emissions = emissions.expand(*shape, *emissions.shape[-2:])
    with torch.enable_grad():
        emissions = emissions.detach().requires_grad_()
        whole = chain_log_partition(start.detach(), transitions.detach(), emissions, mask)
        (found,) = torch.autograd.grad(whole.sum(), emissions)
    # Divided by the sum, certain rows have exactly 0 or 1; rows that do not exist have no sum.
    return torch.where(found[..., 1] > 0, found[..., 1] / found.sum(-1), 0.0)


def chain_pairs(
    start: Float[Tensor, "*#b 2"],
    transitions: Float[Tensor, "*#b _ 2 2"],
    emissions: Float[Tensor, "*#b t 2"],
    mask: Bool[Tensor, "*#b t"] | None = None,
) -> Float[Tensor, "*b _ 2 2"]:
    """Return P(z_t = j, z_{t+1} = k | y) of each pair of rows, (*B, T - 1, 2, 2).

    The arguments are those of `chain_log_partition`. The result has no gradient. Sums over t are
    the expected numbers of transitions, which expectation maximisation uses.

    Example:
        >>> pi, e = torch.tensor(0.2), torch.zeros(3, 2)
        >>> chain_pairs(chain_start(pi), chain_transitions(pi, torch.tensor(5.0)), e).sum(0)
        tensor([[1.5200, 0.0800],
                [0.0800, 0.3200]])
    """
    with torch.enable_grad():
        each = _of_each_step(transitions.detach(), emissions)
        shape = torch.broadcast_shapes(_batch(each), start.shape[:-1], emissions.shape[:-2])
        each = each.expand(*shape, *each.shape[-3:]).clone().requires_grad_()
        whole = chain_log_partition(start.detach(), each, emissions.detach(), mask)
        (found,) = torch.autograd.grad(whole.sum(), each)
    return found


def chain_matrices(
    start: Tensor, transitions: Tensor, emissions: Tensor, mask: Tensor | None
) -> Tensor:
    """Return one matrix per row, (*B, T, 2, 2): its transition plus the emission of its new state.

    The first matrix has the start in both rows. Rows that do not exist have the identity. Smaller
    numbers than `FLOOR` are replaced by it.
    """
    each = _of_each_step(transitions, emissions)
    shape = torch.broadcast_shapes(_batch(each), start.shape[:-1], emissions.shape[:-2])
    first = start[..., None, None, :].expand(*shape, 1, 2, 2)
    moves = torch.cat([first, each.expand(*shape, *each.shape[-3:])], -3)
    matrices = (moves + emissions[..., None, :]).clamp(min=FLOOR)
    if mask is None:
        return matrices
    identity = matrices.new_tensor([[0.0, FLOOR], [FLOOR, 0.0]])
    return torch.where(mask[..., None, None], matrices, identity)


def _logs(p: Tensor) -> tuple[Tensor, Tensor]:
    """Return log p and log(1 - p), with a gradient of 0 where they are -inf."""
    inside = torch.where((p == 0) | (p == 1), 0.5, p)
    log = torch.where(p == 0, -torch.inf, torch.where(p == 1, 0.0, inside.log()))
    rest = torch.where(p == 1, -torch.inf, torch.where(p == 0, 0.0, (-inside).log1p()))
    return log, rest


def _of_each_step(transitions: Tensor, emissions: Tensor) -> Tensor:
    """Return one matrix for each pair of consecutive rows, (*B, T - 1, 2, 2)."""
    count = emissions.shape[-2] - 1
    if transitions.shape[-3] == count:
        return transitions
    return transitions[..., :1, :, :].expand(*_batch(transitions), max(count, 1), 2, 2)[
        ..., :count, :, :
    ]


def _batch(transitions: Tensor) -> torch.Size:
    return transitions.shape[:-3]
