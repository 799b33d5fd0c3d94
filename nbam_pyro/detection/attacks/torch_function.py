"""`TorchFunction`: a torch module as a function of arrays that attacks can differentiate."""

from typing import final

import numpy as np
import torch
from torch import Tensor, nn

__all__ = ["TorchFunction"]


@final
class TorchFunction:
    """A torch module as a function of arrays, for `MaxLogit` and for densities.

    Test statistics take functions of arrays, through which no gradient flows. If the function is a
    `TorchFunction`, `attacked_auc` differentiates the module.

    Args:
        module: Module that takes rows (N, ...) and returns logits (N, K), or log densities (N,). It
            is used in evaluation mode, and must be in this mode already.

    Example:
        >>> from nbam_pyro.detection import MaxLogit
        >>> net = nn.Linear(2, 3).eval()
        >>> MaxLogit(TorchFunction(net))([[0.5, 1.0]]).shape
        (1,)
    """

    def __init__(self, module: nn.Module) -> None:
        self.module = module

    @torch.no_grad()
    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Return the output of the module for rows, as an array.

        Args:
            x: Rows, (N, ...).
        """
        like = next(self.module.parameters(), torch.empty(0))
        found: Tensor = self.module(torch.as_tensor(x).to(like))
        return found.double().cpu().numpy()
