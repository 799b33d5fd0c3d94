"""Paths of a Markov chain of switches, and its probabilities given only earlier rows."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from nbam_pyro.functional.chains import chain_matrices
from nbam_pyro.functional.scans import followed, prefix_products

__all__ = ["chain_draws", "chain_filter", "chain_path", "chain_predictive"]


def chain_filter(
    start: Float[Tensor, "*#b 2"],
    transitions: Float[Tensor, "*#b _ 2 2"],
    emissions: Float[Tensor, "*#b t 2"],
    mask: Bool[Tensor, "*#b t"] | None = None,
) -> Float[Tensor, "*b t 2"]:
    """Return log P(z_t = k | y_1, ..., y_t), the posterior given the rows up to each row.

    A row is thus judged without later rows, as in live use. The arguments are those of
    `chain_log_partition`.

    Returns:
        Log probabilities of both states, (*B, T, 2). Rows after the end of a series have those of
        the last row.

    Example:
        >>> from nbam_pyro.functional import chain_start, chain_transitions
        >>> pi, e = torch.tensor(0.2), torch.tensor([[0.0, 3.0], [0.0, 0.0], [0.0, 3.0]])
        >>> chain_filter(chain_start(pi), chain_transitions(pi, torch.tensor(5.0)), e)[:, 1].exp()
        tensor([0.8339, 0.6754, 0.9618])
    """
    matrices = chain_matrices(start, transitions, emissions, mask)
    return prefix_products(matrices, add=torch.logaddexp)[..., 0, :].log_softmax(-1)


def chain_predictive(
    start: Float[Tensor, "*#b 2"],
    transitions: Float[Tensor, "*#b _ 2 2"],
    emissions: Float[Tensor, "*#b t 2"],
) -> Float[Tensor, "*b t"]:
    """Return log p(y_t | y_1, ..., y_{t-1}) of each row, the prequential log density.

    The sum over the rows of a series is log Z. The arguments are those of `chain_log_partition`.

    Returns:
        Log densities in nats, (*B, T).

    Example:
        >>> from nbam_pyro.functional import chain_start, chain_transitions
        >>> pi, e = torch.tensor(0.2), torch.tensor([[0.0, 3.0], [0.0, 0.0], [0.0, 3.0]])
        >>> chain_predictive(chain_start(pi), chain_transitions(pi, torch.tensor(5.0)), e)
        tensor([1.5722, 0.0000, 2.4530])
    """
    seen = chain_filter(start, transitions, emissions)
    moves = transitions[..., : seen.shape[-2] - 1, :, :]
    later = torch.logsumexp(seen[..., :-1, :, None] + moves, -2)
    first = start[..., None, :].expand(*later.shape[:-2], 1, 2)
    return torch.logsumexp(torch.cat([first, later], -2) + emissions, -1)


def chain_path(
    start: Float[Tensor, "*#b 2"],
    transitions: Float[Tensor, "*#b _ 2 2"],
    emissions: Float[Tensor, "*#b t 2"],
    mask: Bool[Tensor, "*#b t"] | None = None,
) -> Int[Tensor, "*b t"]:
    """Return the most probable path of all switches of a series together (Viterbi).

    The arguments are those of `chain_log_partition`.

    Returns:
        Switches, 1 for contaminated and 0 for clean, (*B, T).

    Example:
        >>> from nbam_pyro.functional import chain_start, chain_transitions
        >>> pi, e = torch.tensor(0.2), torch.tensor([[0.0, -3.0], [0.0, 9.0], [0.0, 2.0]])
        >>> chain_path(chain_start(pi), chain_transitions(pi, torch.tensor(5.0)), e)
        tensor([0, 1, 1])
    """
    matrices = chain_matrices(start, transitions, emissions, mask)
    best = prefix_products(matrices, add=torch.maximum)[..., 0, :]
    before = best[..., :-1, :, None] + matrices[..., 1:, :, :]
    return followed(before[..., 1, :] > before[..., 0, :], best[..., -1, 1] > best[..., -1, 0])


def chain_draws(
    start: Float[Tensor, "*#b 2"],
    transitions: Float[Tensor, "*#b _ 2 2"],
    emissions: Float[Tensor, "*#b t 2"],
    mask: Bool[Tensor, "*#b t"] | None = None,
    *,
    uniform: Float[Tensor, "*s t"],
) -> Int[Tensor, "*s t"]:
    """Draw paths of all switches from their joint posterior p(z_1, ..., z_T | y).

    The rows are filtered forwards, and the path is drawn from the last row to the first. The other
    arguments are those of `chain_log_partition`.

    Args:
        uniform: Numbers drawn uniformly from [0, 1), (S, *B, T), one for each switch to draw.

    Returns:
        Switches, 1 for contaminated and 0 for clean, (S, *B, T).

    Example:
        >>> from nbam_pyro.functional import chain_start, chain_transitions
        >>> pi, e = torch.tensor(0.2), torch.tensor([[0.0, -99.0], [0.0, 99.0], [0.0, 0.0]])
        >>> u = torch.full((1, 3), 0.5)
        >>> chain_draws(chain_start(pi), chain_transitions(pi, torch.tensor(5.0)), e, uniform=u)
        tensor([[0, 1, 1]])
    """
    matrices = chain_matrices(start, transitions, emissions, mask)
    seen = prefix_products(matrices, add=torch.logaddexp)[..., 0, :]
    before = (seen[..., :-1, :, None] + matrices[..., 1:, :, :]).softmax(-2)[..., 1, :]
    maps = uniform[..., :-1, None] < before
    return followed(maps, uniform[..., -1] < seen[..., -1, :].softmax(-1)[..., 1])
