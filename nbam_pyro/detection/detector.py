"""`AnomalyDetector`: a backbone, an assignment and a rate, with the interface of PyOD."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import torch
from scipy.stats import binom
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor

from nbam_pyro.detection.assignments import UNKNOWN, Assignment, Soft
from nbam_pyro.detection.energies import Backbone, Energies
from nbam_pyro.detection.neural_transformations import NeuralTransformations
from nbam_pyro.detection.rates import estimate_rate
from nbam_pyro.detection.scaling import Range
from nbam_pyro.detection.training import Prior, Schedule, energies_of, train_backbone
from nbam_pyro.errors import DataError
from nbam_pyro.estimators.targets import as_data_errors
from nbam_pyro.inference.training import Options

__all__ = ["AnomalyDetector", "OutlierView"]

# Where a learned rate starts.
_START = 0.1
# Epochs after which models agree, or do not, as to which rows are anomalies.
_SHORT = 60


class AnomalyDetector(BaseEstimator):
    r"""Find anomalies after training on rows of which some are anomalies themselves.

    While a backbone learns what normal rows are like, a latent switch says of each training row
    whether it is one; the assignment fills in the switch, and the rate says how many there are.
    What a row scores is its clean energy E_n, averaged over members.

    Interface and conventions are PyOD's: 1 is an anomaly, scores are high for anomalies, y is
    ignored by `fit`. Labels, of some rows, are `observed`.

    Args:
        backbone: makes the model: called with the number of features (or channels of images) and
            `members=`. For other settings, `functools.partial(NeuralTransformations, width=64)`.
        assignment: of the switches; None for `Soft()`.
        contamination: share of anomalies among the training rows, at most one half; "auto" to learn
            it: with `Exact`, with the weights; else by where models agree, `estimate_rate`.
        members: models whose scores are averaged.
        epochs: of training.
        warm_up: of them, before switches are assigned.
        lr: step size of AdamW.
        weight_decay: of AdamW.
        batch_size: rows of a training step.
        scale: "range" brings every feature of the training rows to [0, 1]; None takes rows as they
            are, as images always are. Backbones have no biases: rows around 0 would differ in
            nothing but their direction, so do not centre them.
        random_state: seed of weights and batches.
        progress: show a progress bar.
        trainer: further arguments of `lightning.pytorch.Trainer`, such as `accelerator`.

    Attributes:
        backbone_: the trained model.
        decision_scores_: of the training rows, (N,).
        contamination_: the share given or learned.
        rate_: what `estimate_rate` found, with an interval; None where it was not asked.
        threshold_: score above which a row is an anomaly: so many training rows are above it.
        labels_: of the training rows, 0 or 1, (N,).
        history_: one record per epoch.

    Source: Qiu et al. (2022).

    Example:
        >>> from nbam_pyro.detection import Exact, GaussianMixture
        >>> rng = np.random.default_rng(0)
        >>> x = rng.normal(size=(200, 3)) * [1, 2, 0.1]
        >>> x[:20] += 8
        >>> detector = AnomalyDetector(
        ...     GaussianMixture, assignment=Exact(), contamination="auto", random_state=0
        ... )
        >>> int(detector.fit(x).labels_[:20].sum())
        20
        >>> bool(0.08 < detector.contamination_ < 0.16)
        True
    """

    def __init__(
        self,
        backbone: Callable[..., Backbone] = NeuralTransformations,
        *,
        assignment: Assignment | None = None,
        contamination: float | Literal["auto"] = "auto",
        members: int = 1,
        epochs: int = 200,
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
            DataError: X is no matrix of finite numbers or no images, the contamination is not in
                [0, 0.5], or observed is of another length or has other values.
            StoryError: assignment, backbone and contamination do not go together.
        """
        with as_data_errors():
            x = validate_data(self, X, dtype=np.float32, allow_nd=True, ensure_min_samples=2)
        self._check()
        known = _observed(observed, len(x))
        self.scale_ = self._learned_scale(x)
        seed = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            prior = self._train(x, known)
        self.contamination_ = float(prior.logit.detach().sigmoid().mean())
        self.decision_scores_ = self._scores(energies_of(self.backbone_, self._rows(x)))
        self.threshold_ = float(np.quantile(self.decision_scores_, 1 - self.contamination_))
        self.labels_ = (self.decision_scores_ > self.threshold_).astype(int)
        return self

    def decision_function(self, X: Any) -> np.ndarray:
        """Scores of rows, high for anomalies, (N,)."""
        return self._scores(self.energies(X))

    def energies(self, X: Any) -> Energies:
        """Both energies of rows by every member, (S, N) each."""
        check_is_fitted(self)
        with as_data_errors():
            x = validate_data(self, X, dtype=np.float32, allow_nd=True, reset=False)
        return energies_of(self.backbone_, self._rows(x))

    def predict(
        self, X: Any, return_confidence: bool = False
    ) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
        """1 for rows that score above the threshold, else 0, (N,); with `predict_confidence`."""
        labels = (self.decision_function(X) > self.threshold_).astype(int)
        return (labels, self.predict_confidence(X)) if return_confidence else labels

    def predict_proba(self, X: Any, method: Literal["linear", "unify"] = "linear") -> np.ndarray:
        """Scores brought to [0, 1], by PyOD's conventions, (N, 2); they are no posterior.

        Args:
            X: rows.
            method: "linear", from the lowest to the highest training score; or "unify", the
                error function of standardised scores (Kriegel et al. 2011).

        Raises:
            DataError: the method is neither.
        """
        scores, train = self.decision_function(X), self.decision_scores_
        match method:
            case "linear":
                share = (scores - train.min()) / max(np.ptp(train), np.finfo(float).tiny)
            case "unify":
                standard = (scores - train.mean()) / max(train.std(), np.finfo(float).tiny)
                share = torch.erf(torch.as_tensor(standard / np.sqrt(2))).numpy()
            case _:
                raise DataError(f"method is {method!r}; give 'linear' or 'unify'.")
        share = share.clip(0, 1)
        return np.stack([1 - share, share], 1)

    def predict_confidence(self, X: Any) -> np.ndarray:
        """How probably each label stays what it is if training rows are drawn again, (N,).

        Source: Perini et al. (2020).
        """
        scores, train = self.decision_function(X), np.sort(self.decision_scores_)
        count = len(train)
        below = (1 + np.searchsorted(train, scores, side="right")) / (2 + count)
        outlier = 1 - binom.cdf(count - int(count * self.contamination_), count, below)
        return np.where(scores > self.threshold_, outlier, 1 - outlier)

    def fit_predict(self, X: Any, y: Any = None) -> np.ndarray:
        """Labels of the training rows after `fit`, (N,)."""
        return self.fit(X).labels_

    def as_sklearn(self) -> "OutlierView":
        """A view with the conventions of scikit-learn: -1 is an anomaly."""
        return OutlierView(self)

    def _check(self) -> None:
        given = self.contamination
        if given != "auto" and (isinstance(given, str) or not 0 <= given <= 0.5):
            raise DataError(f"contamination is {given!r}; give a share up to 0.5, or 'auto'.")

    def _train(self, x: np.ndarray, known: Tensor | None) -> Prior:
        assignment = Soft() if self.assignment is None else self.assignment
        rows = self._rows(x)
        options = Options(
            batch_size=self.batch_size, progress=self.progress, trainer=self.trainer or {}
        )
        schedule = Schedule(
            epochs=self.epochs, warm_up=self.warm_up, lr=self.lr, weight_decay=self.weight_decay
        )

        def make(members: int) -> Backbone:
            return self.backbone(x.shape[1], members=members)

        self.rate_ = None
        rate = self.contamination
        learned = rate == "auto" and assignment.normalised_only
        if learned:
            rate = _START
        elif rate == "auto":
            short = replace(schedule, epochs=min(self.epochs, _SHORT))
            self.rate_ = estimate_rate(make, assignment, rows[0], schedule=short, options=options)
            rate = self.rate_.rate
        prior = Prior(self.members, float(rate), learned=learned)
        self.backbone_ = make(self.members)
        self.history_ = train_backbone(
            self.backbone_,
            assignment,
            rows,
            prior,
            observed=None if known is None else known.expand(self.members, -1),
            schedule=schedule,
            options=options,
        )
        return prior

    def _learned_scale(self, x: np.ndarray) -> Range:
        match self.scale:
            case "range":
                return Range.of(x)
            case None:
                return Range.none()
        raise DataError(f"scale is {self.scale!r}; give 'range', or None.")

    def _rows(self, x: np.ndarray) -> Tensor:
        """The same rows for every member, (S, N, ...)."""
        rows = torch.as_tensor(self.scale_(x))
        return rows.expand(self.members, *rows.shape)

    @staticmethod
    def _scores(energies: Energies) -> np.ndarray:
        return energies.clean.double().mean(0).numpy()


class OutlierView(OutlierMixin, BaseEstimator):
    """A detector with the conventions of scikit-learn: 1 is normal, -1 an anomaly.

    Args:
        detector: fitted by `fit`, if it is not already.
    """

    def __init__(self, detector: AnomalyDetector) -> None:
        self.detector = detector

    def fit(self, X: Any, y: Any = None) -> "OutlierView":
        """Fit the detector; y is ignored."""
        self.detector.fit(X)
        return self

    @property
    def offset_(self) -> float:
        """What `score_samples` is below for anomalies."""
        return -self.detector.threshold_

    def score_samples(self, X: Any) -> np.ndarray:
        """Scores, low for anomalies, (N,)."""
        return -self.detector.decision_function(X)

    def decision_function(self, X: Any) -> np.ndarray:
        """Scores shifted so that anomalies are below 0, (N,)."""
        return self.score_samples(X) - self.offset_

    def predict(self, X: Any) -> np.ndarray:
        """1 for normal rows, -1 for anomalies, (N,)."""
        return 1 - 2 * np.asarray(self.detector.predict(X))

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self.detector, "threshold_")


def _observed(observed: Any, count: int) -> Tensor | None:
    if observed is None:
        return None
    values = np.asarray(observed)
    if values.shape != (count,) or not np.isin(values, [UNKNOWN, 0, 1]).all():
        raise DataError(
            f"observed has shape {values.shape} and values such as {values.ravel()[:5].tolist()}; "
            f"it needs one of 1, 0 and -1 (unknown) for each of {count} rows."
        )
    return torch.as_tensor(values.astype(np.int64))
