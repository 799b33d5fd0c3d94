"""A scikit-learn classifier for labels of which some are wrong."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils import compute_sample_weight

from nbam_pyro.errors import DataError
from nbam_pyro.estimators.base import Contamination, NBAMEstimator, Network, rate_prior
from nbam_pyro.estimators.row_weights import check_classes_count, labelled
from nbam_pyro.estimators.targets import (
    as_data_errors,
    check_labels,
    check_same_kind,
    encode_labels,
)
from nbam_pyro.inference import flip_matrix, predict, transition_matrix
from nbam_pyro.inference.steps.run import Run
from nbam_pyro.models import LabelFlip, mlp, small_cnn
from nbam_pyro.models.priors.pseudo_counts import FlipPrior


class NBAMClassifier(ClassifierMixin, NBAMEstimator):
    r"""A classifier that is told labels may be wrong, and tells which.

    Fits the latent-true-label story, `LabelFlip`, with the default steps of `fit`. The prediction
    is f = p(true label | x); `responsibility` is P(label is wrong | x, y).

    Args:
        network: (inputs, classes) -> module of logits; inputs are columns or channels. None for
            `mlp` on tables, whose columns are standardised, and `small_cnn` on images.
        contamination: prior of the rate of each true class: None for an open one, a number in
            (0, 1) for a prior of that mean worth 100 rows, or `Beta(a, b)`.
        class_weight: None, "balanced", or a mapping from class to weight, by observed label.
            Weights change what rates mean: they are rates among the weighted rows.
        epochs: of one plain training run, to which the default recipe keeps its steps in
            proportion; None for its own default.
        steps: of the fit; None for the default recipe.
        held_out: share of rows that only select epochs and restarts; their labels may be wrong too.
            The default recipe holds out none of fewer than 1,000 training rows.
        batch_size: rows of a training step.
        random_state: seed of weights, folds and batches.
        progress: show progress bars.
        trainer: further arguments of `lightning.pytorch.Trainer`.

    Attributes:
        classes_: the labels, sorted, (K,).
        contamination_: mean responsibility of the labelled training rows.
        responsibility_: of every training row, (N,), cross-fitted by the default steps; an
            unlabelled row has its prior P(z=1 | x), a verified one 0 or 1.
        transition_matrix_: M = p(observed | true), (K, K).
        flip_matrix_: T = p(observed | true, z=1), (K, K), zero on its diagonal.
        fit_: the `Fit`, for everything else: intervals, corrected labels, ArviZ, saving.

    Example:
        >>> from sklearn.datasets import make_blobs
        >>> X, truth = make_blobs(300, centers=3, cluster_std=0.5, random_state=1)
        >>> y = np.array(["ant", "bee", "cat"])[truth]
        >>> y[:30] = np.where(y[:30] == "ant", "bee", y[:30])
        >>> model = NBAMClassifier(random_state=0).fit(X, y)
        >>> wrong = y != np.array(["ant", "bee", "cat"])[truth]
        >>> bool(((model.responsibility_ > 0.5) == wrong).all())
        True
    """

    classes_: np.ndarray
    transition_matrix_: np.ndarray
    flip_matrix_: np.ndarray

    def __init__(
        self,
        *,
        network: Network | None = None,
        contamination: Contamination = None,
        class_weight: Mapping[Any, float] | str | None = None,
        epochs: int | None = None,
        steps: Sequence[Callable[[Run], None]] | None = None,
        held_out: float = 1 / 6,
        batch_size: int = 64,
        random_state: Any = None,
        progress: bool = False,
        trainer: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(
            network=network,
            contamination=contamination,
            epochs=epochs,
            steps=steps,
            held_out=held_out,
            batch_size=batch_size,
            random_state=random_state,
            progress=progress,
            trainer=trainer,
        )
        self.class_weight = class_weight

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        true_label: Any = None,
        contaminated: Any = None,
    ) -> "NBAMClassifier":
        """Fit features and labels of which some may be wrong.

        Args:
            X: features, (N, D), or images (N, C, H, W); no missing or infinite values.
            y: observed labels, (N,): numbers or texts; NaN or None where a row is unlabelled.
            sample_weight: how many times each row counts, (N,).
            true_label: verified true labels, (N,), written as y is and classes of y; NaN or None
                where unknown.
            contaminated: 1 or True where a label is verified as wrong, 0 or False where as right,
                (N,); NaN or None where unknown.

        Raises:
            DataError: there is one class only, fewer than two rows of some class, a label that is
                no class, features with missing or infinite values, or what is verified contradicts
                the labels or itself.
        """
        self._fit(X, y, sample_weight, true_label=true_label, contaminated=contaminated)
        self.transition_matrix_ = transition_matrix(self.fit_).mean
        self.flip_matrix_ = flip_matrix(self.fit_).mean
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """f = p(true label | x), (N, K), columns as in `classes_`."""
        x = self._checked(X)
        return predict(self.fit_, x)

    def predict(self, X: Any) -> np.ndarray:
        """The most probable true label of each row, (N,)."""
        most_probable = self.predict_proba(X).argmax(1)
        labels: np.ndarray = self.classes_[most_probable]
        return labels

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """The accuracy of `predict` among the rows that have a label.

        Labels are taken as they are, right or wrong. A label that is no class of the fit counts as
        predicted wrongly, as in a fold of a cross-validation that misses a rare class.

        Args:
            X: Features, (N, D), or images (N, C, H, W).
            y: Labels, (N,); rows without one (NaN or None) are left out.
            sample_weight: How many times each row counts, (N,).

        Returns:
            The weighted share of labels that are predicted, between 0 and 1.

        Raises:
            DataError: No row has a label and a weight, or X or y do not fit what was trained on.
        """
        predicted = self.predict(X)
        targets, used, weights = labelled(y, sample_weight, len(predicted), needed=1)
        check_same_kind(targets, self.classes_)
        return float(np.average(predicted[used] == targets, weights=weights))

    def _learn_targets(self, y: np.ndarray) -> np.ndarray:
        check_labels(y)
        self.classes_, codes, sizes = np.unique(y, return_inverse=True, return_counts=True)
        if len(self.classes_) < 2:
            only = self.classes_[0].item()
            raise DataError(f"There is one class only, {only!r}; a classifier needs at least two.")
        if sizes.min() < 2:
            rare = self.classes_[sizes < 2]
            raise DataError(
                f"{len(rare)} of {len(sizes)} classes have fewer than two rows, such as "
                f"{rare[0].item()!r}: add rows, merge classes, or leave those rows unlabelled."
            )
        return codes

    def _encoded(self, y: np.ndarray) -> np.ndarray:
        return encode_labels(y, self.classes_)

    def _target_weights(self, y: np.ndarray) -> np.ndarray | float:
        if self.class_weight is None:
            return 1.0
        with as_data_errors():
            weights: np.ndarray = compute_sample_weight(self.class_weight, y)
            check_classes_count(y, weights != 0)
        return weights

    def _story(self, x: np.ndarray, y: np.ndarray) -> LabelFlip:
        k = len(self.classes_)
        rate = rate_prior(self.contamination)
        prior = None if rate is None else FlipPrior(rate=rate)
        return LabelFlip(self._body(x, mlp, small_cnn, k), k, prior=prior)
