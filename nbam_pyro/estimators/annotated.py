"""Fits of a classifier to the labels of several annotators."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from sklearn.base import clone
from sklearn.utils import check_random_state
from torch import Tensor

from nbam_pyro.checks.codes import codes_of
from nbam_pyro.errors import CannotTellWarning, DataError
from nbam_pyro.estimators.features import as_features
from nbam_pyro.estimators.targets import encode_labels
from nbam_pyro.inference.fitting import check_epochs
from nbam_pyro.inference.steps.run import Run
from nbam_pyro.outputs import AnnotationReport, from_annotations
from nbam_pyro.outputs.annotations.fitting import Predictor, estimate
from nbam_pyro.outputs.annotations.reading import Annotated
from nbam_pyro.outputs.share import NETWORK_ERROR, summarise

if TYPE_CHECKING:
    from nbam_pyro.estimators.classifier import NBAMClassifier

__all__ = ["fit_annotated"]


def fit_annotated(
    classifier: "NBAMClassifier", X: Any, annotations: Any, *, true_label: Any, groups: Any
) -> dict[str, Any]:
    """Fit a classifier to annotations, and return its fitted attributes by name.

    The label of a row is the most probable one of those that its annotators gave, without regard to
    its features. A copy of the classifier is fitted to these labels. Its predictions out of fold
    and the annotations together give the report.

    Args:
        classifier: Classifier with its settings. It is not changed.
        X: Features of all rows.
        annotations: Labels of several annotators, as in `from_annotations`.
        true_label: Verified true labels, (N,); None if there are none.
        groups: Group of each row, (N,); None for no groups.

    Raises:
        DataError: Annotations name items that are not rows, or cannot be used; or a setting of the
            classifier does not apply to annotations.
    """
    check_epochs(classifier.epochs, classifier.steps)
    if classifier.intervals == "bootstrap":
        raise DataError(
            "intervals='bootstrap' does not apply to annotations, whose intervals are those of the "
            "annotation report. Leave out intervals."
        )
    features = as_features(X)
    names = _names(features)
    given = Annotated.of(annotations, None, verified=None, classes=None)
    rows = _rows(given, names)
    classes = np.asarray(given.classes.tolist())
    known = codes_of(
        "true_label", true_label, len(names), lambda values: encode_labels(values, classes)
    )
    _check_verified(known, rows)
    labels = np.full(len(names), None, dtype=object)
    labels[rows] = classes[_most_probable(given, known[rows])]
    recipe = _Recipe(classifier.steps, classifier.epochs)
    one = clone(classifier).set_params(epochs=None, steps=[recipe])
    with warnings.catch_warnings():
        # The report on the annotations says whether the data can tell.
        warnings.filterwarnings(
            "ignore", message="The data do not identify", category=CannotTellWarning
        )
        one.fit(features, labels, true_label=true_label, groups=groups)
    present = one.targets_.present
    report = from_annotations(
        given.table,
        pd.DataFrame(recipe.predicted(one.fit_.story), index=names[present], columns=given.classes),
        verified=pd.Series(classes[known], index=names)[known >= 0],
        seed=int(check_random_state(classifier.random_state).randint(2**31 - 1)),
    )
    if report.verdict.level == "cannot tell":
        warnings.warn(
            "The annotations do not identify which labels are wrong, so do not act on the "
            "responsibilities. Print `verdict_`: it states the reasons, and what would decide.",
            CannotTellWarning,
            stacklevel=3,
        )
    fitted = {name: value for name, value in vars(one).items() if name.endswith("_")}
    return fitted | {"annotation_report_": report} | _judged(one, report)


@dataclass(frozen=True)
class _Recipe:
    """A step that runs all steps of a fit, and keeps its predictions out of fold.

    Attributes:
        steps: Steps of the fit; None for the default recipe.
        epochs: Epochs of one training run of the default recipe; None for its own.
    """

    steps: Sequence[Callable[[Run], None]] | None
    epochs: int | None
    _kept: dict[int, Tensor] = field(default_factory=dict, init=False, repr=False)

    def __call__(self, run: Run) -> None:
        from nbam_pyro.inference import default_steps

        steps = self.steps
        for step in default_steps(run.story, epochs=self.epochs) if steps is None else steps:
            step(run)
        if run.out_of_fold is None:
            raise DataError(
                "annotations= needs predictions out of fold, which the given steps do not make. "
                "Add a CrossFit step, or leave out steps."
            )
        self._kept[id(run.story)] = run.out_of_fold.log_probs

    def __getstate__(self) -> dict[str, Any]:
        # Jobs are recognised by their steps (`Journal`), not by their results.
        return {"steps": self.steps, "epochs": self.epochs, "_kept": {}}

    def predicted(self, story: object) -> Float[np.ndarray, "n k"]:
        """Return the probabilities of the true labels that a fitted story predicts out of fold.

        Args:
            story: Story, one of those that were fitted with this recipe.
        """
        return self._kept[id(story)].double().softmax(-1).numpy()


def _names(features: Any) -> pd.Index:
    if not isinstance(features, pd.DataFrame):
        return pd.RangeIndex(len(features) if np.ndim(features) else 0)
    if features.index.has_duplicates:
        raise DataError(
            "The index of X repeats a name, and annotations name rows of X by its index. Give "
            "every row its own name, for example X.reset_index(drop=True) with items 0, 1, ...."
        )
    return features.index


def _rows(given: Annotated, names: pd.Index) -> Int[np.ndarray, " n"]:
    """Return the row of X of every item."""
    rows = names.get_indexer(given.items)
    unknown = given.items[rows < 0]
    if len(unknown):
        shown = ", ".join(map(repr, unknown[:3].tolist()))
        known = ", ".join(map(repr, names[:3].tolist()))
        raise DataError(
            f"{len(unknown)} of {len(rows)} items of the annotations are not rows of X: {shown}"
            f"{', ...' if len(unknown) > 3 else ''}. Name the rows as in the index of X, or by "
            f"their numbers if X has none: {known}, ...."
        )
    return rows


def _check_verified(known: np.ndarray, rows: np.ndarray) -> None:
    alone = known >= 0
    alone[rows] = False
    if alone.any():
        raise DataError(
            f"true_label is given in {int(alone.sum())} rows without annotations, the first is row "
            f"{int(alone.argmax())}. Add annotations of these rows, or leave out their true label."
        )


def _most_probable(given: Annotated, known: np.ndarray) -> Int[np.ndarray, " n"]:
    """Return the most probable one of the labels of each item.

    Verified true labels tell how often annotators are right. The labels of their own items do not
    depend on them: the classifier's fit learns from how often these labels are wrong.
    """
    triples = given.triples
    predictor = Predictor(log_p=None, true_label=known, annotated=triples.received > 0)
    found = estimate(triples, predictor)
    # With one annotation per item, frequencies of classes could override what annotators say.
    log_p = np.where(triples.votes > 0, found.log_joint(triples), -np.inf)
    chosen = log_p.argmax(-1)
    few = np.bincount(chosen, minlength=triples.classes) < 2
    if few.any():
        rare = given.classes[few].tolist()
        raise DataError(
            f"{len(rare)} of {len(few)} classes are the label of fewer than two rows, according to "
            f"their annotators, such as {rare[0]!r}. Add annotated rows of this class, or leave "
            "out the annotations with this label."
        )
    return chosen


def _judged(one: "NBAMClassifier", report: AnnotationReport) -> dict[str, Any]:
    """Return the attributes about wrong labels, which follow from the report."""
    y, present = one.targets_.codes, one.targets_.present
    q = report.probabilities.to_numpy(copy=True)
    wrong = (report.posterior["true_label"].to_numpy() != y).mean(-1)
    # The labels of new rows are another sample.
    n, rng = len(y), np.random.default_rng(0)
    rates = rng.beta(wrong * n + 0.5, (1 - wrong) * n + 0.5)
    own = (1 - q[np.arange(n), y]).clip(0, 1)
    share, rate = (
        summarise(float(own.mean()), NETWORK_ERROR.added(draws, rng), report.probability)
        for draws in (wrong, rates)
    )
    rows = replace(
        one.fit_.training_rows, responsibility=own, true_label=q, share=share, population_rate=rate
    )
    fit = replace(one.fit_, training_rows=rows).judged(report.verdict)
    share, rate = fit.training_rows.share, fit.training_rows.population_rate
    matrix = _transitions(q, y)
    responsibility = one.responsibility_.copy()
    responsibility[present] = own
    return {
        "fit_": fit,
        "verdict_": report.verdict,
        "responsibility_": responsibility,
        "contamination_": share.mean,
        "contamination_interval_": (share.low, share.high),
        "population_rate_": rate.mean,
        "population_rate_interval_": (rate.low, rate.high),
        "transition_matrix_": matrix,
        "flip_matrix_": _flips(matrix),
    }


def _transitions(q: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return p(label | true label), given the probabilities of the true labels."""
    joint = np.zeros((q.shape[1], q.shape[1]))
    np.add.at(joint.T, y, q)
    matrix: np.ndarray = joint / joint.sum(-1, keepdims=True)
    return matrix


def _flips(matrix: np.ndarray) -> np.ndarray:
    """Return p(label | true label, the label is wrong); uniform if a class has no wrong label."""
    others = 1 - np.eye(len(matrix))
    wrong = matrix * others
    total = wrong.sum(-1, keepdims=True)
    flips: np.ndarray = np.where(total > 0, wrong / np.where(total > 0, total, 1), others)
    return flips / flips.sum(-1, keepdims=True)
