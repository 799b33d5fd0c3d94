"""Lines through random elemental subsets of rows, from which robust regressions start."""

import math

import torch
from torch import Tensor

from nbam_pyro.models.row_groups import row_groups

__all__ = ["elemental_lines"]

# Number of random subsets, and steps by which each is refined.
_SUBSETS, _STEPS = 500, 3
# Shares of the rows that a refined line is fitted to.
_SHARES = (0.5, 0.6, 0.75, 0.9)
# Number of lines that are kept for each of these shares, and of raw lines that are always kept: a
# dense group of wrong rows has small residuals, and would otherwise displace the clean line.
_KEPT, _UNSORTED = 25, 120
# Rows of a table above this number are drawn at random before anything is computed.
_ROWS = 2000
# A small multiple of the unit matrix keeps singular subsets solvable.
_RIDGE = 1e-8


def elemental_lines(h: Tensor, y: Tensor, *, seed: int) -> Tensor:
    """Fit lines to random subsets of D + 2 rows, refine a copy of each, and return the best lines.

    A subset without contaminated rows gives a line near the clean one, wherever the contaminated
    rows lie. A refinement step fits the line again to the share of the rows with the smallest
    residuals (a concentration step). For several shares of the rows, the lines are kept for which
    this share of the rows has the smallest squared residuals. The least-squares line of all rows,
    those of groups that lie together and of all rows without such a group, and the lines of some
    random subsets are always among the results.

    Args:
        h: Features of the rows, (N, D).
        y: Targets of the rows, (N,).
        seed: Seed of the subsets.

    Returns:
        Weights and intercept of each line, (L, D + 1).
    """
    generator = torch.Generator().manual_seed(seed)
    if len(h) > _ROWS:
        chosen = torch.randperm(len(h), generator=generator)[:_ROWS]
        h, y = h[chosen], y[chosen]
    columns = torch.cat([h.detach().cpu(), h.new_ones(len(h), 1).cpu()], 1).double()
    targets = y.detach().cpu().double()
    n, d = columns.shape
    parts = [torch.ones(n, dtype=torch.bool), *_with_rest(row_groups(h))]
    least = [_solve(columns[rows][None], targets[rows][None]) for rows in parts if rows.sum() > d]
    drawn = torch.rand(_SUBSETS, n, generator=generator).argsort(1)[:, : min(d + 1, n)]
    raw = _solve(columns[drawn], targets[drawn])
    refined = []
    for i, share in enumerate(_SHARES):
        part = raw[i :: len(_SHARES)]
        count = min(n, max(math.ceil(share * n), (n + d + 1) // 2))
        for _ in range(_STEPS):
            residual = (targets - part @ columns.mT).abs()
            nearest = residual.topk(count, dim=1, largest=False).indices
            part = _solve(columns[nearest], targets[nearest])
        refined.append(part)
    lines = torch.cat([*least, raw, *refined])
    squares = (targets - lines @ columns.mT).square().sort(1).values.cumsum(1)
    ends = [min(n, math.ceil(share * n)) - 1 for share in _SHARES]
    best = squares[:, ends].argsort(0)[:_KEPT].flatten().unique()
    chosen = torch.cat([torch.arange(len(least) + _UNSORTED), best]).unique()
    return lines[chosen].to(h)


def _with_rest(groups: list[Tensor]) -> list[Tensor]:
    """Return each group, and all rows without it."""
    return [rows for group in groups for rows in (group, ~group)]


def _solve(columns: Tensor, targets: Tensor) -> Tensor:
    """Return least-squares coefficients of each subset, (L, D + 1)."""
    gram = columns.mT @ columns
    ridge = _RIDGE * gram.diagonal(dim1=1, dim2=2).mean(1).clamp_min(1e-300)
    gram = gram + ridge[:, None, None] * torch.eye(gram.shape[-1], dtype=gram.dtype)
    right = (columns.mT @ targets[..., None]).squeeze(-1)
    return torch.linalg.solve(gram, right)
