"""The Dirichlet prior on class frequencies, which is off by default.

Every result that was computed with this prior discloses it (`class_prior_sentence`).
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from nbam_pyro.errors import DataError

__all__ = ["ClassPrior", "check_class_prior", "class_prior_sentence"]

# Rows per partial sum; longer sums in float32 lose too many digits.
_CHUNK = 8192


@dataclass(frozen=True)
class ClassPrior:
    """The prior Dirichlet(h, ..., h) on class frequencies, with the mean of the predictions.

    Attributes:
        pseudo_count: Pseudo-count h of each class.
        log_mean: Logarithm of the weighted mean of the predictions, (K,), in float64.
    """

    pseudo_count: float
    log_mean: Float[Tensor, " k"]

    @classmethod
    def of(
        cls, pseudo_count: float, log_f: Float[Tensor, "n k"], weights: Float[Tensor, " n"] | None
    ) -> "ClassPrior":
        """Return the prior for rows with given predictions.

        For a row with a verified label, the prediction is used as for any other row.

        Args:
            pseudo_count: Pseudo-count h of each class, positive.
            log_f: Predictions log p(c | x), (N, K), normalised.
            weights: Number of times that each row counts, (N,); None if each row counts once.

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
        # The floor keeps the logarithm finite for a class with probability 0 in every row.
        return cls(pseudo_count, mean.clamp_min(torch.finfo(log_f.dtype).tiny).log())

    def log_frequency(self, counts: Float[Tensor, "k k"]) -> Float[Tensor, " k"]:
        """Return the logarithm of the class frequencies given counts, (K,).

        The frequencies are their posterior mean. It is also the mode of the posterior density of
        their logits.

        Args:
            counts: Number of rows by true and observed label, (K, K).
        """
        rows = counts.sum(1) + self.pseudo_count
        return (rows / rows.sum()).log()


def check_class_prior(value: float | None) -> None:
    """Raise a `DataError` where the pseudo-count of the class prior is not positive and finite.

    Args:
        value: Pseudo-count of each class; None for no prior.
    """
    if value is not None and not 0 < value < math.inf:
        raise DataError(
            f"class_prior is {value}: the pseudo-count of each class must be positive and finite; "
            "None means no prior."
        )


def class_prior_sentence(value: float) -> str:
    """Return the sentence that discloses the prior to the reader of a result.

    Args:
        value: Pseudo-count of each class, h.

    Example:
        >>> class_prior_sentence(50.0)
        'Class frequencies were assumed to be even (Dirichlet, 50 for each class): that is an
        assumption, not evidence.'
    """
    return (
        f"Class frequencies were assumed to be even (Dirichlet, {value:g} for each class): that is "
        "an assumption, not evidence."
    )
