"""A scikit-learn classifier for labels, some of which may be wrong."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from sklearn.base import ClassifierMixin, clone
from sklearn.utils import compute_sample_weight

from nbam_pyro.checks.column import as_data_errors
from nbam_pyro.errors import DataError
from nbam_pyro.estimators.annotated import fit_annotated
from nbam_pyro.estimators.base import Intervals, NBAMEstimator, Network
from nbam_pyro.estimators.choices import ModelChoice
from nbam_pyro.estimators.contamination import Contamination, rate_prior
from nbam_pyro.estimators.heads import Head, candidate_heads, choose_head, head_on
from nbam_pyro.estimators.row_weights import check_classes_count, labelled
from nbam_pyro.estimators.targets import check_labels, check_same_kind, encode_labels
from nbam_pyro.estimators.used_rows import UsedRows
from nbam_pyro.inference import Fit, flip_matrix, predict, transition_matrix
from nbam_pyro.inference.fitting import check_epochs
from nbam_pyro.inference.steps.run import Run
from nbam_pyro.models import CleanError, CleanErrorLike, LabelFlip, mlp, small_cnn
from nbam_pyro.models.priors.pseudo_counts import FlipPrior
from nbam_pyro.outputs import AnnotationReport


class NBAMClassifier(ClassifierMixin, NBAMEstimator):
    r"""A classifier for labels that may be wrong; it also estimates which labels are wrong.

    It fits the latent-true-label story, `LabelFlip`, with the default steps of `fit`. Predictions
    are f = p(true label | x). Responsibilities are P(label is wrong | x, y).

    Args:
        head: Classifier of a table: "network" (the default), "linear" (a line for each class),
            "spline" (smooth curves of each column), or "auto". With "auto" every kind is fitted,
            and the simplest one is taken whose log density of unseen labels is within one standard
            error of the best. Tables of few rows or many columns often cannot carry a network.
        network: Function that is called with the number of inputs (columns or channels) and the
            number of classes, and returns a module that computes logits. None for `mlp` on tables
            and `small_cnn` on images. Columns of tables are standardised before the network.
        contamination: Prior of the share of wrong labels in each true class: None for a wide prior,
            a number in (0, 1) for a Beta prior with this mean and pseudo-counts that sum to 100, or
            `Beta(a, b)`.
        clean_error: Which part of the rows on which held-out predictions and labels disagree is the
            network's own error, for example because the row is ambiguous: a pair (low, high) of
            equally probable values in [0, 1], `Beta(a, b)`, or "open" if nothing is known; the
            verdict is then "cannot tell". None for the library's default, which depends on what can
            be seen. It decides how many labels are regarded as wrong.
        difficulty: How much more often labels are wrong where the network hesitates, as people's
            labels are: the log odds of a wrong label are higher by this number at a row where two
            classes are equally probable than at a row with a certain prediction, and more of the
            wrong labels are the second class of their row. 1 fits labels that people gave to images
            (docs/explanation/sharpness.md). None for 0, unless verified rows show otherwise;
            `verdict_` states the share for both.
        class_weight: Weight of each observed class: "balanced", or a mapping from class to weight.
            None means weight 1 for every class. With weights, all estimated contamination rates are
            rates among the weighted rows.
        epochs: Number of epochs of one ordinary training run. The default recipe scales the epochs
            of all its steps with this number. None for the default of the recipe.
        steps: Steps of the fit, which are run in this order; None for the default recipe.
        held_out: Share of rows that are only used to select epochs and restarts; their labels may
            also be wrong. With fewer than 1,000 training rows the default recipe does not hold out
            rows.
        batch_size: Number of rows in a training step.
        intervals: "posterior" for the intervals of one fit, which contain how far its network can
            be trusted. "bootstrap" for intervals that also contain what another training would
            change: the estimator is fitted 20 more times, with random weights of the rows and other
            seeds.
        n_jobs: Number of processes for independent fits: the parts of a fit (as in `nbam_pyro.fit`)
            and the bootstrap. None for one, -1 for all processors.
        random_state: Seed for weights, folds and batches.
        progress: True to show progress bars.
        progress_folder: Folder that keeps the progress of the fit, so that it continues after an
            interruption, as in `nbam_pyro.fit`. None to keep nothing.
        trainer: Further arguments of `lightning.pytorch.Trainer`.

    Attributes:
        classes_: Class labels of the training data, sorted, (K,).
        verdict_: Verdict on whether the labels identify their contamination, with the names of the
            classes. Read it before any other result.
        contamination_: Estimated share of wrong labels among the training rows with a label: the
            mean of `responsibility_` over these rows.
        contamination_interval_: Ends of the 90 % interval of this share. If the verdict is "weak"
            or "cannot tell", it also contains the contamination of the competing explanations.
        population_rate_: Probability that the label of a new row is wrong: the mean of sum_c p(c |
            x) rate_c over the training rows with a label, where rate_c is the contamination rate of
            the true class c.
        population_rate_interval_: Ends of the 90 % interval of this probability, widened in the
            same way.
        responsibility_: Probability that the label of each training row is wrong, P(z=1 | x, y),
            (N,). With the default steps, it comes from networks that have not seen the label of the
            row. For a verified row it is 0 or 1. For a row without a label it is P(z=1 | x), the
            probability that a label drawn for this row is wrong.
        transition_matrix_: M = p(observed | true), (K, K).
        head_: Choice of the head, with the scores of all heads that were compared.
        flip_matrix_: T = p(observed | true, the label is wrong), (K, K), zero on its diagonal.
        targets_: Decoded training targets, with their verified true labels, and which of them are
            verified as wrong or right.
        fit_: The `Fit`, which also gives intervals, corrected labels, ArviZ data and saving.
        annotation_report_: After a fit with `annotations`, the `AnnotationReport`: consensus labels
            of the annotated rows with their probability, the probability that each annotation is
            wrong, and the accuracy of annotators. `targets_` are then the labels that annotations
            alone suggest, one for each annotated row. The attributes about wrong labels, and those
            of `fit_`, concern these labels, and follow from the report; so does the verdict.

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
    head_: ModelChoice
    annotation_report_: AnnotationReport

    def __init__(
        self,
        *,
        head: Literal["auto"] | Head = "network",
        network: Network | None = None,
        contamination: Contamination = None,
        clean_error: CleanErrorLike = None,
        difficulty: float | None = None,
        class_weight: Mapping[Any, float] | str | None = None,
        epochs: int | None = None,
        steps: Sequence[Callable[[Run], None]] | None = None,
        held_out: float = 1 / 6,
        batch_size: int = 64,
        intervals: Intervals = "posterior",
        n_jobs: int | None = None,
        random_state: Any = None,
        progress: bool = False,
        progress_folder: str | Path | None = None,
        trainer: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(
            network=network,
            contamination=contamination,
            epochs=epochs,
            steps=steps,
            held_out=held_out,
            batch_size=batch_size,
            intervals=intervals,
            n_jobs=n_jobs,
            random_state=random_state,
            progress=progress,
            progress_folder=progress_folder,
            trainer=trainer,
        )
        self.head = head
        self.clean_error = clean_error
        self.difficulty = difficulty
        self.class_weight = class_weight

    def fit(
        self,
        X: Any,
        y: Any = None,
        sample_weight: Any = None,
        *,
        annotations: Any = None,
        true_label: Any = None,
        contaminated: Any = None,
        groups: Any = None,
    ) -> "NBAMClassifier":
        """Fit features and labels, some of which may be wrong.

        With `annotations`, the label of a row is the most probable one of those that its annotators
        gave. The classifier is fitted to these labels, with the usual steps. Its predictions out of
        fold and all annotations together then give the report, `from_annotations`, and the
        probability that each label is wrong. Rows without annotations are not trained on.

        Args:
            X: Features, (N, D), or images, (N, C, H, W), without missing or infinite values.
            y: Observed labels, (N,), numbers or texts; NaN or None where a label is missing. None
                with `annotations`.
            sample_weight: Weight of each row, (N,). None means weight 1 for every row. A row with
                weight 2 counts as two rows.
            annotations: Labels of several annotators, a long or wide table as in
                `from_annotations`. Its items are the index of a pandas DataFrame X, or else row
                numbers 0, ..., N-1. None for one label per row, which is `y`.
            true_label: Verified true labels, (N,), written as in y and among the classes of y; NaN
                or None where unknown.
            contaminated: Whether somebody has verified that the label is wrong, (N,): 1 or True for
                a wrong label, 0 or False for a right one, NaN or None if it is not verified.
            groups: Identifier of the group of each row, a text or a number, (N,), such as a patient
                with several rows. No fold divides a group, so that no row is judged by a model that
                has seen its group. Rows that are exactly equal are not divided either, unless fewer
                than half of the rows differ. None for no groups.

        Raises:
            DataError: `head` is unknown, or contradicts images or `network`; `clean_error` is not a
                prior; there is only one class, or a class has fewer than two rows; features have
                missing or infinite values; a verified true label is not a class; or verified values
                contradict the labels or each other. With annotations: an item is not a row of X;
                `y`, `sample_weight`, `contaminated` or bootstrap intervals are also given; or the
                steps do not predict out of fold.
        """
        self.__dict__.pop("annotation_report_", None)  # of an earlier fit
        if annotations is not None:
            if any(one is not None for one in (y, sample_weight, contaminated)):
                raise DataError(
                    "annotations are given, so y must be None, and sample_weight and contaminated "
                    "do not apply. Leave them out."
                )
            fitted = fit_annotated(self, X, annotations, true_label=true_label, groups=groups)
            self.__dict__.update(fitted)
            return self
        self._fit(
            X, y, sample_weight, true_label=true_label, contaminated=contaminated, groups=groups
        )
        self.verdict_ = self.fit_.verdict.named(self.classes_.tolist())
        self.transition_matrix_ = transition_matrix(self.fit_).mean
        self.flip_matrix_ = flip_matrix(self.fit_).mean
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Predict f = p(true label | x).

        Args:
            X: Features, (N, D), or images, (N, C, H, W).

        Returns:
            Probabilities, (N, K), with columns in the order of `classes_`.

        Raises:
            DataError: X is of another kind than the training data.
        """
        x = self._checked(X)
        return predict(self.fit_, x)

    def predict(self, X: Any) -> np.ndarray:
        """Predict the most probable true label of each row, (N,).

        Args:
            X: Features, (N, D), or images, (N, C, H, W).

        Raises:
            DataError: X is of another kind than the training data.
        """
        most_probable = self.predict_proba(X).argmax(1)
        labels: np.ndarray = self.classes_[most_probable]
        return labels

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the accuracy of `predict` on the rows that have a label.

        The score uses the given labels, even if they are wrong. A label that did not occur in
        training counts as an error; this can happen in cross-validation with a rare class.

        Args:
            X: Features, (N, D), or images, (N, C, H, W).
            y: Labels, (N,); rows without one (NaN or None) are left out.
            sample_weight: Weight of each row, (N,). None means weight 1 for every row.

        Returns:
            Weighted share of labels that are predicted correctly, between 0 and 1.

        Raises:
            DataError: No row has a label and a weight above 0, or X or y are of another kind than
                the training data.
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
            raise DataError(f"There is only one class, {only!r}. A classifier needs at least two.")
        if sizes.min() < 2:
            rare = self.classes_[sizes < 2]
            raise DataError(
                f"{len(rare)} of {len(sizes)} classes have fewer than two rows, such as "
                f"{rare[0].item()!r}. Add rows, merge classes, or remove the labels of these rows."
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

    def _fitted(self, rows: UsedRows, seed: int) -> Fit:
        candidates = self._candidates(rows.x)
        if len(candidates) == 1:
            self.head_ = ModelChoice.given(candidates[0])
            return super()._fitted(rows, seed)
        check_epochs(self.epochs, self.steps)

        def fit_one(head: Head) -> tuple[Fit, Run]:
            runs: list[Run] = []
            one = clone(self).set_params(head=head)
            one.classes_ = self.classes_
            story = one._drawn(rows.x, rows.y, seed)
            steps = self.steps
            if steps is None:
                from nbam_pyro.inference import default_steps

                steps = default_steps(story, epochs=self.epochs)
            one.set_params(epochs=None, steps=[*steps, runs.append])
            return one._fit_story(story, rows, seed), runs[0]

        self.head_, fitted = choose_head(candidates, fit_one, rows)
        return fitted

    def _candidates(self, x: np.ndarray) -> list[Head]:
        """Return the kinds of head to compare; one if there is nothing to choose."""
        if self.head not in ("auto", *get_args(Head)):
            raise DataError(f"head is {self.head!r}. Give 'auto', 'linear', 'spline' or 'network'.")
        if self.head == "network":
            return [self.head]
        if self.network is not None or x.ndim != 2:
            reason = "X has images" if x.ndim != 2 else "network= is given"
            raise DataError(
                f"head is {self.head!r}, but {reason}: leave out head=, or give 'network'."
            )
        return candidate_heads(*x.shape) if self.head == "auto" else [self.head]

    def _story(self, x: np.ndarray, y: np.ndarray) -> LabelFlip:
        k = len(self.classes_)
        rate = rate_prior(self.contamination)
        prior = None if rate is None else FlipPrior(rate=rate)
        error = CleanError.of(self.clean_error)
        head = self._candidates(x)[0]
        network = self._body(x, mlp, small_cnn, k) if head == "network" else head_on(x, k, head)
        return LabelFlip(network, k, prior=prior, clean_error=error, difficulty=self.difficulty)
