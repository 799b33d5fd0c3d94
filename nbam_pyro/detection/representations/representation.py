"""`Representation`: a detector that does not use a nuisance of the rows."""

import warnings
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted
from torch import nn

from nbam_pyro.detection.assignments import Assignment
from nbam_pyro.detection.backbones.base import Energies
from nbam_pyro.detection.checks import features_of
from nbam_pyro.detection.representations.background import Background
from nbam_pyro.detection.representations.critic import Independence
from nbam_pyro.detection.representations.encoder import perceptron
from nbam_pyro.detection.representations.erasure import Erasure
from nbam_pyro.detection.representations.model import Learned, learn
from nbam_pyro.detection.representations.nuisance import Classes, Nuisance
from nbam_pyro.detection.representations.probe import probe
from nbam_pyro.detection.representations.scoring import Score, on_scale_of, scores_of
from nbam_pyro.detection.representations.settings import check_given, check_settings
from nbam_pyro.detection.representations.weights import (
    NuisanceWeights,
    check_effective,
    nuisance_weights,
    weights_of,
)
from nbam_pyro.detection.scaling import learned_range
from nbam_pyro.detection.scored import ScoredDetector
from nbam_pyro.detection.scores import grain_of, settle
from nbam_pyro.errors import DataError, NuisanceWarning
from nbam_pyro.outputs.switch_codes import switch_codes
from nbam_pyro.training.folds import split
from nbam_pyro.training.parallel import independent

__all__ = ["Representation"]

_ERASURE = Erasure()


class Representation(ScoredDetector):
    r"""Finds anomalies in a representation of rows that does not contain a nuisance.

    Normal rows have known classes, and a nuisance, such as a background, a colour or a mass, that
    comes with the class in the training rows but not elsewhere. A detector that uses the nuisance
    calls familiar things in unusual surroundings anomalies, and misses new things in familiar
    surroundings.

    1. `nuisance_weights` gives rows weights, under which the class says nothing about the nuisance.
    2. A network, the encoder, learns to predict the class under these weights.
    3. `Erasure` removes the nuisance from the representation r that the encoder computes, or the
       penalty `Independence` does so during training.
    4. Scores and densities come from moments of r under the weights. Each row has a latent switch,
       which is 1 if the row is an anomaly. The weight of a row in the moments is its nuisance
       weight times the probability that the assignment gives to a switch of 0.

    Training rows are divided into folds. A fit scores only rows of the fold that it has not learned
    from, and the scores of all folds are brought to the same median and interquartile range. The
    first fit also scores new rows. There are as many fits as folds, so that training takes five
    times as long as one fit with the default `held_out`, and twice as long with 0.5.

    New models then try to read the nuisance from r, on rows that nothing was trained on. This is
    the only evidence that the nuisance has been removed. `fit` warns if a linear model succeeds, or
    if there are too few rows to tell.

    Args:
        encoder: Function that makes the network. It is called with the number of features (of
            channels for images) and returns a module whose result is r, (N, D).
        removal: `Erasure` or `Independence`; None to leave the nuisance in the representation.
        weighted: Whether rows have nuisance weights; otherwise all weights are 1.
        wrong_labels: Whether classes of training rows may be wrong. Then the true class of each row
            is latent: the moments and the classifier use its probabilities (`latent_classes`), and
            the nuisance is erased within the most probable classes.
        score: "mahalanobis" for the squared distance to the nearest class, "max_logit" for the
            negative highest logit of a classifier of r, or "density" for the clean energy.
        assignment: Rule that fills in the switches. None for `Exact()`.
        contamination: Share of the training rows to flag, at most one half. With "auto", rows are
            flagged that are more probably anomalies than not, and the rate of the switches is
            learned.
        clip: Smallest probability of a class given the nuisance that weights use.
        epochs: Number of epochs of training.
        lr: Step size of AdamW.
        weight_decay: Weight decay of AdamW.
        batch_size: Number of rows in a training step. `Independence` needs about 1000.
        held_out: Share of the rows in a fold. The rows of the first fold choose the epoch and are
            used for the accuracy and the probe. It is rounded to one over a whole number.
        random_state: Seed for weights, batches, held-out rows and probe.
        n_jobs: Number of processes in which the fits of the folds run, as in `nbam_pyro.fit`. None
            for one, -1 for all processors.
        progress: Whether a progress bar is shown, if there is one process.
        trainer: Further arguments of `lightning.pytorch.Trainer`, such as `accelerator`.

    Attributes:
        learned_: The fit that scores new rows, with its `encoder`, the `densities` of normal rows
            and of anomalies, the `classifier`, a logistic regression of the class on the
            representation, the `rate` of the switches, learned or given, the `history` with one
            record per epoch, the `transition` matrix of classes given wrongly (None without
            `wrong_labels`), and the map `erased` that removes the nuisance (None without
            `Erasure`).
        weights_: `NuisanceWeights` of the training rows; None if they have weights of 1.
        probe_: `Probe` of the representation of held-out rows. Its text says whether the nuisance
            can still be read.
        accuracy_: Accuracy on the given class of held-out rows, under the weights.
        classes_: Names of the classes, (K,).
        decision_scores_: Scores of the training rows, (N,), each by a fit that has not seen the
            row.
        report_, verdict_: `ContaminationReport` of `from_scores` on the scores of the training
            rows, which does not use a given `contamination`, and its verdict.
        contamination_, contamination_interval_: Share of anomalies among the training rows, the
            mean responsibility, with its 90 % interval.
        population_rate_, population_rate_interval_: Probability that a new row is an anomaly.
        threshold_: Score above which a row is an anomaly.
        labels_: Labels of the training rows, 1 for an anomaly and 0 for a normal row, (N,).

    Source: Zhang, Puli & Ranganath, "Robustness to Spurious Correlations Improves Semantic
    Out-of-Distribution Detection" (AAAI 2023), for weights, penalty and both scores.

    Example:
        >>> from functools import partial
        >>> rng = np.random.default_rng(0)
        >>> kind = rng.integers(0, 2, 600)
        >>> colour = np.where(rng.random(600) < 0.8, kind, 1 - kind)
        >>> x = np.c_[4 * kind, 6 * colour, 0 * kind] + rng.normal(size=(600, 3))
        >>> detector = Representation(partial(perceptron, widths=[3]), lr=0.01, random_state=0)
        >>> detector = detector.fit(x, kind, nuisance=colour)
        >>> bool(detector.accuracy_ > 0.9), detector.probe_.readable
        (True, False)
    """

    def __init__(
        self,
        encoder: Callable[[int], nn.Module] = perceptron,
        *,
        removal: Erasure | Independence | None = _ERASURE,
        weighted: bool = True,
        wrong_labels: bool = False,
        score: Score = "mahalanobis",
        assignment: Assignment | None = None,
        contamination: float | Literal["auto"] = "auto",
        clip: float = 0.05,
        epochs: int = 30,
        lr: float = 1e-3,
        weight_decay: float = 1e-4,
        batch_size: int = 128,
        held_out: float = 0.2,
        random_state: Any = None,
        n_jobs: int | None = None,
        progress: bool = False,
        trainer: Mapping[str, Any] | None = None,
    ) -> None:
        self.encoder = encoder
        self.removal = removal
        self.weighted = weighted
        self.wrong_labels = wrong_labels
        self.score = score
        self.assignment = assignment
        self.contamination = contamination
        self.clip = clip
        self.epochs = epochs
        self.lr = lr
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.held_out = held_out
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.progress = progress
        self.trainer = trainer

    def fit(
        self, X: Any, y: Any = None, *, nuisance: Any = None, verified: Any = None
    ) -> "Representation":
        """Train on rows of which some may be anomalies, and return the detector itself.

        Args:
            X: Features, (N, D), or images, (N, C, H, W), for an encoder of images.
            y: Class of each row, (N,).
            nuisance: Nuisance of each row, (N,) or (N, D), as for `nuisance_weights`. New rows need
                no nuisance.
            verified: Codes of verified rows, (N,): 1 for an anomaly, 0 for a normal row, and -1,
                NaN or None where nothing is verified. None means that no row is verified.

        Raises:
            DataError: X has a wrong shape, or values that are not finite numbers; y or nuisance is
                missing; a class never occurs with a value or region of the nuisance; the effective
                sample size is below a tenth of the rows; a class has too few held-out rows for a
                probe (20); or a setting is out of its range.
            StoryError: The assignment cannot learn the share of anomalies, or the trainer has
                several devices.
        """
        check_given(y, nuisance)
        x, names = features_of(self, X, reset=True)
        check_settings(self)
        classes = Classes.of(y)
        if len(classes) != len(x):
            raise DataError(f"X has {len(x)} rows, but y has {len(classes)}. They must agree.")
        values = Nuisance.of(nuisance, len(x))
        codes = switch_codes(verified, len(x))
        self.scale_ = learned_range(x, "range" if x.ndim == 2 else None, names)
        seed = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
        self.weights_: NuisanceWeights | None = None
        if self.weighted:
            names = classes.names[classes.codes]
            self.weights_ = nuisance_weights(names, values, clip=self.clip, seed=seed)
        w = weights_of(self.weights_, len(x))
        check_effective(w)
        known = Background(classes=classes, nuisance=values, weights=w)
        beyond = self.scale_.beyond(x)
        x = self.scale_(x)
        folds = list(split(classes.codes, round(1 / self.held_out), seed=seed))
        self.learned_, *others = independent(
            partial(learn, seed=seed),
            [(self, x, known, codes, rows) for rows in folds],
            n_jobs=self.n_jobs,
            seeds=[seed] * len(folds),
        )
        self.classes_ = classes.names
        apart = folds[0][1]
        first = self._raw(self.learned_, x[apart])
        self._judge(x[apart], known[apart], (codes != 1).numpy()[apart], seed)
        self.grain_ = grain_of(torch.from_numpy(first)[None])
        scores = np.empty(len(x))
        scores[apart] = first
        for model, rows in zip(others, folds[1:], strict=True):
            scores[rows[1]] = on_scale_of(first, self._raw(model, x[rows[1]]))
        scores = self._settled(scores)
        self._settle(scores, scores, beyond, codes)
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Return the representation of rows, without the nuisance, (N, E).

        Args:
            X: Rows like the training rows.

        Raises:
            DataError: X is not like the training rows.
        """
        check_is_fitted(self)
        return self.learned_.represented(self.scale_(features_of(self, X, reset=False)[0]))

    def classify(self, X: Any) -> np.ndarray:
        """Return the most probable class of rows, (N,).

        Args:
            X: Rows like the training rows.
        """
        return np.asarray(self.classes_[self.learned_.classifier.predict(self.transform(X))])

    def energies(self, X: Any) -> Energies:
        """Return clean and anomaly energies of rows, negative log densities of r, (N,) each.

        Args:
            X: Rows like the training rows.
        """
        return self.learned_.densities.energies(self.transform(X))

    def _judge(self, x: np.ndarray, known: Background, normal: np.ndarray, seed: int) -> None:
        r, known = self.learned_.represented(x[normal]), known[normal]
        right = self.learned_.classifier.predict(r) == known.codes
        self.accuracy_ = float(np.average(right, weights=known.weights))
        self.probe_ = probe(r, known.labels, known.nuisance, weights=known.weights, seed=seed)
        unsure = self.probe_.linearly_readable or self.probe_.undecided
        if self.removal is not None and unsure:
            warnings.warn(str(self.probe_), NuisanceWarning, stacklevel=3)

    def _scores(self, rows: np.ndarray) -> np.ndarray:
        return self._settled(self._raw(self.learned_, rows))

    def _raw(self, model: Learned, rows: np.ndarray) -> np.ndarray:
        """Return scores of scaled rows before they are rounded, (N,)."""
        r = model.represented(rows)
        return scores_of(r, self.score, model.densities, model.classifier)

    def _settled(self, scores: np.ndarray) -> np.ndarray:
        return np.asarray(settle(torch.from_numpy(scores)[None], self.grain_)[0].numpy())
