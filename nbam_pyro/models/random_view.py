"""`RandomView`: one of several views of each row in training, and their mean in evaluation."""

import torch
from torch import Tensor, nn

from nbam_pyro.errors import DataError

__all__ = ["RandomView"]


class RandomView(nn.Module):
    """Takes several views of each row, such as features of an image and of crops of it.

    In training, each row has one random view, another one in each step (augmentation). In
    evaluation, each row is the mean of its views. Put it before a network that takes one row.

    Raises:
        DataError: The input has no dimension of views.

    Example:
        >>> views = torch.tensor([[[0.0, 2.0], [4.0, 6.0]]])
        >>> RandomView().eval()(views)
        tensor([[2., 4.]])
        >>> nn.Sequential(RandomView(), nn.Linear(2, 3))(views).shape
        torch.Size([1, 3])
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return one row for each input, (N, D).

        Args:
            x: Views of each row, (N, V, D).
        """
        if x.ndim != 3:
            raise DataError(
                f"RandomView got shape {tuple(x.shape)}; give (N, V, D), V views of each row."
            )
        if not self.training:
            return x.mean(1)
        chosen = torch.randint(x.shape[1], (len(x),), device=x.device)
        return x[torch.arange(len(x), device=x.device), chosen]
