"""`AnomalyDetector`: a backbone, an assignment and a rate, with the interface of PyOD."""

from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from nbam_pyro.detection.assignments import Assignment, Soft
from nbam_pyro.detection.checks import (
    as_observed,
    check_settings,
    features_of,
)
from nbam_pyro.detection.outlier_view import OutlierView, as_shares, exceeding
from nbam_pyro.detection.backbones.base import Backbone, Energies
from nbam_pyro.detection.backbones.neural_transformations import NeuralTransformations
from nbam_pyro.detection.rate_estimates import (
    CANDIDATES,
    RateEstimate,
    estimate_rate,
    likely_rate,
    shares_below,
)
from nbam_pyro.detection.scaling import learned_range
from nbam_pyro.detection.scores import (
    grain_of,
    lift,
    mean_of_members,
    settle,
    threshold_of,
    usual_of,
)
from nbam_pyro.detection.training import Prior, Schedule, energies_of, train_backbone
from nbam_pyro.errors import DataError
from nbam_pyro.exclusive import exclusive
from nbam_pyro.inference.training import Options

__all__ = ["AnomalyDetector"]

# Where a learned rate starts.
_START = 0.1
# Where members agree on no rate, those that were told a higher one are not averaged.
_TRUSTED = 0.1


class AnomalyDetector(BaseEstimator):
    r"""Find anomalies after training on rows of which some are anomalies themselves.

    While a backbone learns what normal rows are like, a latent switch says of each training row
    whether it is one; the assignment fills in the switch, and the rate says how many there are.

    A row scores its clean energy E_n, averaged over members. Where members are told different
    rates, energies are not comparable, and it scores the share of training rows of lower E_n,
    averaged: what cannot be known is averaged over. Rows with a wild value, more than about ten
    times as far out as the middle 98% of the training rows, score above all training rows without
    one: networks that compare directions would not see them.

    Interface and conventions are PyOD's: 1 is an anomaly, scores are high for anomalies, y is
    ignored by `fit`. Labels, of some rows, are `observed`.

    Args:
        backbone: makes the model: called with the number of features (or channels of images) and
            `members=`. For other settings, `functools.partial(NeuralTransformations, width=64)`.
        assignment: of the switches; None for `Soft()`.
        contamination: share of anomalies among the training rows, at most one half. "auto" learns
            it with the densities, for `Exact`; else members are told different rates, the share is
            that at which members agree, and scores are averaged over those that were told it, or
            over those told .05 and .1 where no rate stands out.
        members: models whose scores are averaged; so many, at least 2, for every rate where they
            are told different ones.
        epochs: of training.
        warm_up: of them, at most half, before switches are assigned.
        lr: step size of AdamW.
        weight_decay: of AdamW.
        batch_size: rows of a training step.
        scale: "range" brings the middle 98% of every feature to [0.25, 1.25]; None takes rows as
            they are, as images always are. Most backbones have no biases: rows around 0 would
            differ in nothing but their direction, so do not centre them.
        random_state: seed of weights and batches.
        progress: show a progress bar.
        trainer: further arguments of `lightning.pytorch.Trainer`, such as `accelerator`.

    Attributes:
        backbone_: the trained model.
        decision_scores_: of the training rows, (N,).
        contamination_: the share given or learned.
        rate_: the share with an interval, by `estimate_rate` or, for `Exact`, `likely_rate`; None
            where it was given.
        rates_: what every member was told.
        threshold_: The score above which a row is an anomaly, between the scores of two training
            rows. Rows of equal scores are flagged together, unless they are more than half.
        usual_: The highest score of training rows without wild values, and the width of these
            scores, (2,).
        grain_: The step to which the clean energies of each member are rounded for scores, (S, 1):
            a row has the same score alone and in any batch.
        labels_: of the training rows, 0 or 1, (N,).
        history_: one record per epoch.

    Source: Qiu et al. (2022).

    Example:
        >>> from nbam_pyro.detection import Exact, GaussianMixture
        >>> rng = np.random.default_rng(0)
        >>> x = rng.normal(size=(200, 3)) * [1, 2, 0.1]
        >>> x[:20] += 8
        >>> detector = AnomalyDetector(
        ...     GaussianMixture, assignment=Exact(), epochs=200, random_state=0
        ... )
        >>> int(detector.fit(x).labels_[20:].sum())  # none of the others is flagged
        0
        >>> bool(0.05 < detector.contamination_ < 0.16)
        True
    """

    def __init__(
        self,
        backbone: Callable[..., Backbone] = NeuralTransformations,
        *,
        assignment: Assignment | None = None,
        contamination: float | Literal["auto"] = "auto",
        members: int = 3,
        epochs: int = 100,
        warm_up: int = 2,
        lr: float = 1e-3,
        weight_decay: float = 1e-5,
        batch_size: int = 128,
        scale: Literal["range"] | None = "range",
        random_state: Any = None,
        progress: bool = False,
        trainer: Mapping[str, Any] | None = None,
    ) -> None:
        self.backbone = backbone
        self.assignment = assignment
        self.contamination = contamination
        self.members = members
        self.epochs = epochs
        self.warm_up = warm_up
        self.lr = lr
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.scale = scale
        self.random_state = random_state
        self.progress = progress
        self.trainer = trainer

    def fit(self, X: Any, y: Any = None, *, observed: Any = None) -> "AnomalyDetector":
        """Train on rows of which some may be anomalies.

        Args:
            X: features, (N, D), or images, (N, C, H, W).
            y: ignored, for pipelines.
            observed: what is known of the rows, (N,): 1 for an anomaly, 0 for a normal row, -1
                where nothing is known. None if nothing is known of any.

        Raises:
            DataError: X is no matrix of finite numbers or no images, is not what the backbone
                takes, a setting is out of its range, observed is of another length or has other
                values, or energies are not finite.
            StoryError: assignment, backbone and contamination do not go together.
        """
        x, names = features_of(self, X, reset=True)
        check_settings(self)
        known = as_observed(observed, len(x))
        if (
            self.contamination == 0
            and self._assignment().normalised_only
            and known is not None
            and (known == 1).any()
        ):
            raise DataError("contamination is 0, but some rows are observed to be anomalies.")
        self.scale_ = learned_range(x, self.scale, names)
        rows = self._rows(x)
        with exclusive(), torch.random.fork_rng():
            seed = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
            torch.manual_seed(seed)
            self._train(rows.to(torch.get_default_dtype()), known)
        # Trained in torch's default type, but scored in float64 from here on.
        self.backbone_.double()
        energies = energies_of(self.backbone_, rows)
        self.grain_ = grain_of(energies.clean)
        settled = Energies(
            settle(energies.clean, self.grain_),
            settle(energies.anomalous, grain_of(energies.anomalous)),
        )
        self.rate_ = self._found(settled, known)
        self.contamination_ = float(self.contamination if self.rate_ is None else self.rate_.rate)
        self.ranks_ = settled.clean[self._ranked()].sort().values
        by_energy, beyond = self._by_energy(energies), self.scale_.beyond(x)
        self.usual_ = usual_of(by_energy, beyond)
        self.decision_scores_ = lift(by_energy, beyond, self.usual_)
        self.threshold_ = threshold_of(self.decision_scores_, self.contamination_)
        self.labels_ = (self.decision_scores_ > self.threshold_).astype(int)
        return self

    def decision_function(self, X: Any) -> np.ndarray:
        """Scores of rows, high for anomalies, (N,).

        Raises:
            DataError: X is not like the training rows.
        """
        check_is_fitted(self)
        x, _ = features_of(self, X, reset=False)
        by_energy = self._by_energy(energies_of(self.backbone_, self._rows(x)))
        return lift(by_energy, self.scale_.beyond(x), self.usual_)

    def energies(self, X: Any) -> Energies:
        """Both energies of rows by every member, (S, N) each."""
        check_is_fitted(self)
        x, _ = features_of(self, X, reset=False)
        return energies_of(self.backbone_, self._rows(x))

    def predict(
        self, X: Any, return_confidence: bool = False
    ) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
        """1 for rows that score above the threshold, else 0, (N,); with `predict_confidence`."""
        scores = self.decision_function(X)
        labels = (scores > self.threshold_).astype(int)
        return (labels, self._confidence(scores)) if return_confidence else labels

    def predict_proba(self, X: Any, method: Literal["linear", "unify"] = "linear") -> np.ndarray:
        """Scores brought to [0, 1], by PyOD's conventions, (N, 2); they are no posterior.

        Args:
            X: rows.
            method: "linear", from the lowest to the highest training score; or "unify", the
                error function of standardised scores (Kriegel et al. 2011).

        Raises:
            DataError: the method is neither.
        """
        share = as_shares(self.decision_function(X), self.decision_scores_, method=method)
        return np.stack([1 - share, share], 1)

    def predict_confidence(self, X: Any) -> np.ndarray:
        """How probably each label stays what it is if training rows are drawn again, (N,).

        Source: Perini et al. (2020).
        """
        return self._confidence(self.decision_function(X))

    def _confidence(self, scores: np.ndarray) -> np.ndarray:
        outlier = exceeding(scores, self.decision_scores_, rate=self.contamination_)
        return np.where(scores > self.threshold_, outlier, 1 - outlier)

    def fit_predict(self, X: Any, y: Any = None) -> np.ndarray:
        """Labels of the training rows after `fit`, (N,)."""
        return self.fit(X).labels_

    def as_sklearn(self) -> "OutlierView":
        """A view with the conventions of scikit-learn: -1 is an anomaly."""
        return OutlierView(self)

    def _found(self, energies: Energies, known: Tensor | None) -> RateEstimate | None:
        if self.contamination != "auto":
            return None
        if self._averages():
            return estimate_rate(energies, self.rates_, known)
        return likely_rate(energies, known)

    def _averages(self) -> bool:
        """Whether members are told different rates, none being known or learned."""
        return self.contamination == "auto" and not self._assignment().normalised_only

    def _assignment(self) -> Assignment:
        return Soft() if self.assignment is None else self.assignment

    def _train(self, rows: Tensor, known: Tensor | None) -> None:
        if self._averages():
            self.rates_ = np.repeat(CANDIDATES, max(2, self.members))
        else:
            given = _START if self.contamination == "auto" else self.contamination
            self.rates_ = np.repeat(given, self.members)
        members = len(self.rates_)
        prior = Prior(
            self.rates_.tolist(), learned=self.contamination == "auto" and not self._averages()
        )
        self.backbone_ = self.backbone(rows.shape[2], members=members)
        if rows.ndim != 2 + self.backbone_.row_dims:
            raise DataError(
                f"{type(self.backbone_).__name__} takes rows of {self.backbone_.row_dims} "
                f"dimensions, and X has shape {(*rows.shape[1:],)}."
            )
        self.history_ = train_backbone(
            self.backbone_,
            self._assignment(),
            rows,
            prior,
            observed=None if known is None else known.expand(members, -1),
            schedule=Schedule(
                epochs=self.epochs,
                warm_up=self.warm_up,
                lr=self.lr,
                weight_decay=self.weight_decay,
            ),
            options=Options(
                batch_size=self.batch_size,
                progress=self.progress,
                trainer=self.trainer or {},
            ),
        )

    def _rows(self, x: np.ndarray) -> Tensor:
        """Rows as every member sees them, (1, N, ...)."""
        return torch.as_tensor(self.scale_(x))[None]

    def _ranked(self) -> Tensor:
        """Whose ranks are averaged: nobody's where all members are told one rate."""
        if not self._averages():
            return torch.arange(0)
        found = self.contamination_
        told = self.rates_ == found if found else self.rates_ <= _TRUSTED
        return torch.as_tensor(np.flatnonzero(told))

    def _by_energy(self, energies: Energies) -> np.ndarray:
        clean = settle(energies.clean, self.grain_)
        if not self._averages():
            return mean_of_members(clean.numpy())
        return mean_of_members(shares_below(self.ranks_, clean[self._ranked()]))
