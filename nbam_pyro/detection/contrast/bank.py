"""`Bank`: embeddings of training rows, and the similarity of new rows to the nearest of them."""

import torch
from torch import Tensor, nn

__all__ = ["Bank"]

# A more similar embedding is that of the row itself.
_ITSELF = 1 - 1e-6


class Bank(nn.Module):
    """Embeddings of training rows for each of S members, and similarities to them.

    Among the nearest embeddings, one that equals that of the row itself is not counted, because a
    training row would otherwise be its own nearest row.

    Args:
        members: Number S of members.
        size: Largest number of embeddings for each member.
        dims: Number D of dimensions of an embedding.

    Attributes:
        rows: Embeddings, (S, size, D). Unused places are 0.
        filled: Number of embeddings in use, (S,).

    Example:
        >>> bank = Bank(1, 3, 2)
        >>> bank.fill(0, torch.eye(2))
        >>> bank(torch.tensor([[[0.6, 0.8], [1.0, 0.0]]]), nearest=1)
        tensor([[0.8000, 0.0000]])
    """

    rows: Tensor
    filled: Tensor

    def __init__(self, members: int, size: int, dims: int) -> None:
        super().__init__()
        self.register_buffer("rows", torch.zeros(members, size, dims))
        self.register_buffer("filled", torch.zeros(members, dtype=torch.long))

    @torch.no_grad()
    def fill(self, member: int, z: Tensor) -> None:
        """Replace the embeddings of a member by those of evenly spaced rows.

        Args:
            member: Number of the member.
            z: Embeddings of length 1, (N, D), at least one.
        """
        count = min(len(z), self.rows.shape[1])
        chosen = torch.linspace(0, len(z) - 1, count, device=z.device).round().long()
        self.rows[member].zero_()
        self.rows[member, :count] = z[chosen].to(self.rows)
        self.filled[member] = count

    def similarities(self, z: Tensor) -> Tensor:
        """Return the similarity to each embedding, (S, N, size).

        Places that are not in use, and a row itself, have minus infinity.

        Args:
            z: Embeddings of length 1, (S, N, D).
        """
        unused = torch.arange(self.rows.shape[1], device=z.device) >= self.filled[:, None]
        found = z @ self.rows.transpose(1, 2)
        found = found.masked_fill(unused[:, None], -torch.inf)
        top = found.max(-1, keepdim=True)
        itself = (top.values > _ITSELF) & (self.filled[:, None, None] > 1)
        own = torch.zeros_like(found, dtype=torch.bool).scatter(-1, top.indices, itself)
        return found.masked_fill(own, -torch.inf)

    def mean(self, z: Tensor) -> Tensor:
        """Return the mean similarity to all embeddings, (S, N).

        Args:
            z: Embeddings of length 1, (S, N, D).
        """
        middle = self.rows.sum(1, keepdim=True) / self.filled[:, None, None]
        return (z * middle).sum(-1)

    def forward(self, z: Tensor, *, nearest: int | None) -> Tensor:
        """Return the mean similarity to the nearest embeddings, (S, N).

        Args:
            z: Embeddings of length 1, (S, N, D).
            nearest: Number of embeddings. It is smaller if fewer are in use. None for all.
        """
        if nearest is None:
            return self.mean(z)
        others = int(self.filled.min()) - 1
        return self.similarities(z).topk(max(1, min(nearest, others)), -1).values.mean(-1)
