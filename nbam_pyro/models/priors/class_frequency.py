"""A Dirichlet prior on class frequencies: off unless asked for, and told where it is on."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from nbam_pyro.errors import DataError

__all__ = ["ClassPrior", "check_class_prior", "class_prior_sentence"]

# Longer sums in float32 round too much.
_CHUNK = 8192


@dataclass(frozen=True)
class ClassPrior:
    """Dirichlet(h, ..., h) on class frequencies, beside the frequencies that predictions have.

    Attributes:
        pseudo_count: h.
        log_mean: log of the weighted mean of the predictions, (K,) float64.
    """

    pseudo_count: float
    log_mean: Float[Tensor, " k"]

    @classmethod
    def of(
        cls, pseudo_count: float, log_f: Float[Tensor, "n k"], weights: Float[Tensor, " n"] | None
    ) -> "ClassPrior":
        """From predictions alone: a verified row counts as it was predicted.

        Args:
            pseudo_count: h, positive.
            log_f: log p(c | x), (N, K), normalised.
            weights: how many times each row counts, (N,); None for once.

        Example:
            >>> f = torch.tensor([[0.9, 0.1], [0.3, 0.7]])
            >>> prior = ClassPrior.of(5.0, f.log(), None)
            >>> prior.log_mean.exp()
            tensor([0.6000, 0.4000], dtype=torch.float64)
            >>> prior.log_frequency(torch.tensor([[10.0, 0.0], [0.0, 0.0]])).exp()
            tensor([0.7500, 0.2500])
        """
        each = log_f.new_ones(len(log_f)) if weights is None else weights.to(log_f)
        parts = zip(log_f.detach().split(_CHUNK), each.split(_CHUNK), strict=True)
        total = torch.stack([w @ f.exp() for f, w in parts]).sum(0, dtype=torch.float64)
        mean = total / each.sum(dtype=torch.float64)
        # A class that no row can be of stays empty whatever its frequency, and must not be NaN.
        return cls(pseudo_count, mean.clamp_min(torch.finfo(log_f.dtype).tiny).log())

    def log_frequency(self, counts: Float[Tensor, "k k"]) -> Float[Tensor, " k"]:
        """Log of the posterior mean of class frequencies given counts, in logits their mode, (K,).

        Args:
            counts: by true and observed label, (K, K).
        """
        rows = counts.sum(1) + self.pseudo_count
        return (rows / rows.sum()).log()


def check_class_prior(value: float | None) -> None:
    """Refuse what is no pseudo-count.

    Args:
        value: of each class; None for no prior.

    Raises:
        DataError: it is not positive and finite.
    """
    if value is not None and not 0 < value < math.inf:
        raise DataError(
            f"class_prior is {value}: the pseudo-count of each class is positive and finite; None "
            "leaves the prior off."
        )


def class_prior_sentence(value: float) -> str:
    """What the reader of a result must be told.

    Args:
        value: pseudo-count of each class.

    Example:
        >>> class_prior_sentence(50.0)
        'Class frequencies were supposed to be even (Dirichlet, 50 for each class): that is an
        assumption, not evidence.'
    """
    return (
        f"Class frequencies were supposed to be even (Dirichlet, {value:g} for each class): that "
        "is an assumption, not evidence."
    )
