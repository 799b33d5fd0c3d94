"""What an attack needs of a detector: its scores and, where there are any, its gradients."""

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import singledispatch
from typing import Any, final

import numpy as np
import torch
from sklearn.base import OutlierMixin
from torch import Tensor

from nbam_pyro.detection.attacks.gradients import Score
from nbam_pyro.detection.attacks.torch_function import TorchFunction
from nbam_pyro.detection.detector import AnomalyDetector
from nbam_pyro.detection.mahalanobis import Mahalanobis
from nbam_pyro.detection.statistics import (
    LikelihoodRatio,
    LogLikelihood,
    MaxLogit,
    TestStatistic,
    Typicality,
)
from nbam_pyro.errors import DataError

__all__ = ["Target", "target_of"]


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Target:
    """The scores of a detector, as functions of rows.

    Attributes:
        name: Name of the detector, for the report.
        scores: Scores of rows as the detector gives them, (N, ...) -> (N,) arrays, high for
            anomalies.
        score: The same scores as a function of tensors; None if no gradient can be computed.
        objectives: Differentiable functions through which rows are moved if `score` is constant in
            steps; empty to move them through `score`.
        smoothed: Further differentiable functions that rise with the score.
        threshold: Score above which the detector flags a row; None if it has no threshold.
        dtype: Precision in which gradients are computed.
        device: Device on which gradients are computed.
    """

    name: str
    scores: Callable[[np.ndarray], np.ndarray]
    score: Score | None = None
    objectives: tuple[Score, ...] = ()
    smoothed: tuple[Score, ...] = ()
    threshold: float | None = None
    dtype: torch.dtype = torch.float64
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    def tensor(self, x: np.ndarray) -> Tensor:
        """Return rows in the precision and on the device of the gradients.

        Args:
            x: Rows, (N, ...).
        """
        return torch.as_tensor(x).to(self.device, self.dtype)


@singledispatch
def target_of(detector: Any) -> Target:
    """Return the scores of a detector, and its gradients where they can be computed.

    Args:
        detector: An `AnomalyDetector`, a test statistic, any other fitted object with
            `decision_function`, or a function of arrays. Scores are high for anomalies, except
            for outlier detectors of scikit-learn, whose sign is changed.

    Raises:
        DataError: The object has no scores.
    """
    name = type(detector).__name__
    threshold = getattr(detector, "threshold_", None)
    if isinstance(detector, OutlierMixin):
        return Target(name=name, scores=lambda x: -_plain(detector.decision_function(x), len(x)))
    if hasattr(detector, "decision_function"):
        return Target(
            name=name,
            scores=lambda x: _plain(detector.decision_function(x), len(x)),
            threshold=None if threshold is None else float(threshold),
        )
    if callable(detector):
        return Target(name=name, scores=lambda x: _plain(detector(x), len(x)))
    raise DataError(
        f"{name} has no scores: give a fitted detector with decision_function, a test statistic, "
        "or a function that takes rows and returns scores."
    )


@target_of.register
def _of_backbone(detector: AnomalyDetector) -> Target:
    like = next(detector.backbone_.parameters())
    images = detector.backbone_.row_dims == 3
    dtype = torch.float32 if images else torch.float64
    backbone = copy.deepcopy(detector.backbone_).to(dtype).eval().requires_grad_(False)
    centre, low, width, furthest = (
        torch.as_tensor(part).to(like.device, dtype)
        for part in (
            detector.scale_.centre,
            detector.scale_.low,
            detector.scale_.width,
            detector.scale_.furthest,
        )
    )
    ranking, ranks = detector.ranking_, detector.ranks_.to(like.device, dtype)
    highest, spread = (float(value) for value in detector.usual_)

    def rows_of(x: Tensor) -> Tensor:
        moved = (x - centre - low) / width
        return backbone.rows(torch.minimum(torch.maximum(moved, -furthest), furthest)[None])

    def lifted(values: Tensor, x: Tensor) -> Tensor:
        if not bool(furthest.isfinite()):
            return values
        moved = (x - centre - low) / width
        beyond = (moved.abs() - furthest).flatten(1).amax(1).clamp_min(0.0)
        above = values.clamp_min(highest) + spread * (1 + beyond / (1 + beyond))
        return torch.where(beyond > 0, above, values)

    def energies(x: Tensor) -> Tensor:
        return backbone.energies(rows_of(x)).clean

    def mean(x: Tensor) -> Tensor:
        return lifted(energies(x).mean(0), x)

    def standard(x: Tensor) -> Tensor:
        low_, middle = ranks.quantile(0.1, 1)[:, None], ranks.quantile(0.5, 1)[:, None]
        unit = torch.where(middle > low_, middle - low_, 1.0)
        return lifted(((energies(x)[ranking] - middle) / unit).mean(0), x)

    def rank(x: Tensor) -> Tensor:
        below = torch.searchsorted(ranks, energies(x)[ranking].contiguous())
        return lifted(below.to(dtype).mean(0) / ranks.shape[1], x)

    def of_rows(function: Callable[[Tensor], Tensor]) -> Score:
        return lambda x: function(rows_of(x)).mean(0)

    by_rank = len(ranking) > 0
    return Target(
        name=f"AnomalyDetector({type(backbone).__name__})",
        scores=detector.decision_function,
        score=rank if by_rank else mean,
        objectives=(standard,) if by_rank else (),
        smoothed=tuple(map(of_rows, backbone.smoothed())),
        threshold=detector.threshold_,
        dtype=dtype,
        device=like.device,
    )


@target_of.register
def _of_statistic(statistic: TestStatistic) -> Target:
    score = _torch_score(statistic)
    return Target(name=type(statistic).__name__, scores=statistic, score=score)


@singledispatch
def _torch_score(statistic: TestStatistic) -> Score | None:
    """Return a statistic as a function of tensors, or None if no gradient can be computed."""
    return None


@_torch_score.register
def _of_max_logit(statistic: MaxLogit) -> Score | None:
    logits = _module(statistic.classifier)
    return None if logits is None else lambda x: -logits(x).amax(1)


@_torch_score.register
def _of_likelihood(statistic: LogLikelihood) -> Score | None:
    density = _module(statistic.density)
    return None if density is None else lambda x: -density(x)


@_torch_score.register
def _of_ratio(statistic: LikelihoodRatio) -> Score | None:
    own, out = _module(statistic.density), _module(statistic.out)
    return None if own is None or out is None else lambda x: out(x) - own(x)


@_torch_score.register
def _of_typicality(statistic: Typicality) -> Score | None:
    density = _module(statistic.density)
    return None if density is None else lambda x: (density(x) - statistic.usual).abs()


@_torch_score.register
def _of_mahalanobis(statistic: Mahalanobis) -> Score | None:
    if (statistic.variance == 0).any():
        return None  # the distance is infinite in some directions
    parts = (statistic.origin, statistic.unit, statistic.means, statistic.directions)
    origin, unit, means, directions = (torch.as_tensor(part) for part in parts)
    variance = torch.as_tensor(statistic.variance)

    def distance(x: Tensor) -> Tensor:
        along = (((x - origin) / unit)[:, None] - means) @ directions
        return (along.square() / variance).sum(-1).amin(1)

    return distance


def _module(function: Any) -> Callable[[Tensor], Tensor] | None:
    """Return a function of float64 tensors, if a function of arrays is a torch module."""
    if not isinstance(function, TorchFunction):
        return None
    return copy.deepcopy(function.module).double().eval().requires_grad_(False)


def _plain(scores: Any, count: int) -> np.ndarray:
    """Return scores as an array, if there is one number for each row."""
    found = np.asarray(scores, dtype=float)
    if found.shape != (count,):
        raise DataError(
            f"The detector returned scores of shape {found.shape} for {count} rows. It must return "
            "one for each."
        )
    if np.isnan(found).any():
        raise DataError(
            f"The score of row {int(np.isnan(found).argmax())} is not a number. Correct the "
            "detector: an attacker could use such rows, and no AUROC would show it."
        )
    return found
