r"""How far a fit trusts the predictions of its network: explanations of the labels, with weights.

Predictions f of the true label may be too certain or too uncertain. An explanation is either "no
label is wrong", or that labels are wrong and the predictions have a sharpness a,

.. math:: f_{ic}(a) = (1 - \epsilon) \frac{f_{ic}^a}{\sum_d f_{id}^a} + \epsilon\, \bar f_c .

Each sharpness has its own rates and flips. `network_readings` estimates them and their weights.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from nbam_pyro.errors import FolderError
from nbam_pyro.inference.variational.guides import Draw
from nbam_pyro.outputs.sharpness_seen import EPSILON, sharpened
from nbam_pyro.storage.tensors import saved_tensor

__all__ = ["ExplainedDraws", "NetworkTrust"]

# Names of saved tensors begin with this.
_SAVED = "trust."
# Weights that are saved in double precision sum to one up to this.
_ROUNDED = 1e-6


class ExplainedDraws(NamedTuple):
    """Draws of the explanations, with rates and flips.

    Attributes:
        latents: Draws of the global latents by site name, (S, ...).
        sharpness: Sharpness of the predictions at each draw, (S,).
        difficulty: Difficulty at each draw, (S,).
        right: Whether no label is wrong at a draw, (S,).
        mean: Mean predictions over the rows of the fit, (K,).
    """

    latents: Draw
    sharpness: Float[Tensor, " s"]
    difficulty: Float[Tensor, " s"]
    right: Bool[Tensor, " s"]
    mean: Float[Tensor, " k"]

    def powered(
        self, log_f: Float[Tensor, "n k"], sharpness: Float[Tensor, ""]
    ) -> Float[Tensor, "n k"]:
        """Return log probabilities of the true label at a sharpness.

        Args:
            log_f: Log probabilities of the true label at sharpness 1.
            sharpness: Sharpness a.
        """
        return sharpened(log_f, sharpness, self.mean.to(log_f))

    def mixed(
        self, log_f: Float[Tensor, "k n"], sharpness: Float[Tensor, ""]
    ) -> Float[Tensor, "k n"]:
        """Return probabilities of the true label at a sharpness, with classes before rows.

        Args:
            log_f: Log probabilities of the true label at sharpness 1.
            sharpness: Sharpness a.
        """
        mean = self.mean.to(log_f)[:, None]
        f = (log_f * sharpness.to(log_f)).softmax(0)
        return f.mul_(1 - EPSILON).add_(mean / mean.sum(), alpha=EPSILON)

    def with_right(
        self,
        posterior: Float[Tensor, "s n k"],
        prior: Float[Tensor, "s n"],
        labels: Tensor,
        *,
        known: Bool[Tensor, " n"] | None = None,
    ) -> tuple[Float[Tensor, "s n k"], Float[Tensor, "s n"]]:
        """Return the posteriors, in which the draws without wrong labels contain the labels.

        Args:
            posterior: Probabilities of the true label if labels may be wrong.
            prior: P(z=1 | x) if labels may be wrong.
            labels: Observed labels, (n,).
            known: Rows with a verified switch or true label, whose posterior does not change; None
                for none.
        """
        observed = torch.nn.functional.one_hot(labels, posterior.shape[-1]).to(posterior)
        right = self.right.to(posterior.device)[:, None]
        agreeing = right if known is None else right & ~known
        return (
            torch.where(agreeing[..., None], observed, posterior),
            torch.where(right, 0.0, prior),
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class NetworkTrust:
    """Explanations of the labels, with weights that sum to one.

    One explanation says that no label is wrong. The others say that labels are wrong, one for each
    sharpness, and for each difficulty if verified rows choose between several.

    Attributes:
        mean: Mean predictions over the rows of the fit, (K,).
        sharpness: Sharpness of each explanation, (G,), from small to large for each difficulty.
        difficulty: Difficulty of each explanation, (G,).
        weight: Posterior probability of each explanation, (G,).
        all_right: Posterior probability that no label is wrong.
        rate_shift: What each explanation adds to the logits of the rates, (G, K).
        flip_shift: What each explanation adds to the logarithms of the rows of T, (G, K, K-1).

    Example:
        >>> trust = NetworkTrust(
        ...     mean=torch.full((2,), 0.5),
        ...     sharpness=np.ones(1),
        ...     difficulty=np.zeros(1),
        ...     weight=np.array([0.75]),
        ...     all_right=0.25,
        ...     rate_shift=torch.zeros(1, 2),
        ...     flip_shift=torch.zeros(1, 2, 1),
        ... )
        >>> drawn = trust.draws({"rate": torch.full((4, 2), 0.2), "flip": torch.ones(4, 2, 1)})
        >>> drawn.right
        tensor([ True, False, False, False])
    """

    mean: Float[Tensor, " k"]
    sharpness: np.ndarray
    difficulty: np.ndarray
    weight: np.ndarray
    all_right: float
    rate_shift: Float[Tensor, "g k"]
    flip_shift: Float[Tensor, "g k k_minus_1"]

    @property
    def hesitant(self) -> float:
        """Probability that labels are wrong more often where the network hesitates."""
        total = self.weight.sum()
        return float(self.weight[self.difficulty > 0].sum() / total) if total > 0 else 0.0

    def draws(self, latents: Draw) -> ExplainedDraws:
        """Assign an explanation to each draw, and move rates and flips to its estimate.

        Args:
            latents: Draws of rates and rows of T at sharpness 1, by site name, (S, ...).
        """
        rate, flip = latents["rate"], latents["flip"]
        count = len(rate)
        edges = np.r_[self.all_right, self.weight].cumsum()
        chosen = np.searchsorted(edges, (np.arange(count) + 0.5) / count * edges[-1])
        at = torch.as_tensor(np.maximum(chosen - 1, 0))
        moved = {
            "rate": (rate.logit() + self.rate_shift[at].to(rate)).sigmoid(),
            "flip": (flip.log() + self.flip_shift[at].to(flip)).softmax(-1),
        }
        return ExplainedDraws(
            latents={**latents, **moved},
            sharpness=torch.as_tensor(self.sharpness[at]).to(rate),
            difficulty=torch.as_tensor(self.difficulty[at]).to(rate),
            right=torch.as_tensor(chosen == 0),
            mean=self.mean,
        )

    def tensors(self) -> dict[str, Tensor]:
        """Return the attributes as tensors, by the names that they have in saved files."""
        numbers = {**vars(self), "all_right": np.float64(self.all_right)}
        return {f"{_SAVED}{name}": torch.as_tensor(value) for name, value in numbers.items()}

    @classmethod
    def from_saved(
        cls, tensors: Mapping[str, Tensor], *, num_classes: int | None
    ) -> "NetworkTrust | None":
        """Restore the result of `tensors`; None if nothing of it was saved.

        Args:
            tensors: Saved tensors by name, those of `tensors` among them.
            num_classes: Number of classes K; None for a story without labels.

        Raises:
            FolderError: A tensor is missing, has another shape than its neighbours, or has values
                that are no weights.
        """
        if not any(name.startswith(_SAVED) for name in tensors):
            return None
        saved = {name: saved_tensor(tensors, _SAVED + name) for name in cls.__annotations__}
        k, count = num_classes or 0, saved["weight"].numel()
        shapes = {
            "mean": (k,),
            **dict.fromkeys(("sharpness", "difficulty", "weight"), (count,)),
            "all_right": (),
            "rate_shift": (count, k),
            "flip_shift": (count, k, k - 1),
        }
        weights = torch.cat([saved["weight"].flatten(), saved["all_right"].flatten()[:1]])
        if (
            any(saved[name].shape != shape for name, shape in shapes.items())
            or not count
            or bool((weights < 0).any())
            or abs(float(weights.double().sum()) - 1) > _ROUNDED
            or bool((saved["sharpness"] <= 0).any() | (saved["difficulty"] < 0).any())
            or bool((saved["mean"] < 0).any())
        ):
            raise FolderError(
                "The saved explanations of the labels (tensors whose names begin with "
                f"'{_SAVED}') do not fit together. Restore the files of the run or fit again."
            )
        arrays = {name: saved[name].numpy() for name in ("sharpness", "difficulty", "weight")}
        return cls(
            mean=saved["mean"],
            all_right=float(saved["all_right"]),
            rate_shift=saved["rate_shift"],
            flip_shift=saved["flip_shift"],
            **arrays,
        )
