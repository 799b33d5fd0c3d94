"""`Representation`: a detector that does not use a nuisance of the rows."""

import warnings
from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from nbam_pyro.detection.assignments import Assignment, Exact
from nbam_pyro.detection.backbones.base import Energies
from nbam_pyro.detection.checks import features_of
from nbam_pyro.detection.representations.background import Background
from nbam_pyro.detection.representations.critic import Independence
from nbam_pyro.detection.representations.encoder import centred, encoded, perceptron, train_encoder
from nbam_pyro.detection.representations.erasure import Erased, Erasure
from nbam_pyro.detection.representations.nuisance import Classes, Nuisance
from nbam_pyro.detection.representations.probe import probe
from nbam_pyro.detection.representations.scoring import Score, scores_of
from nbam_pyro.detection.representations.settings import check_given, check_settings
from nbam_pyro.detection.representations.switches import assigned
from nbam_pyro.detection.representations.weights import (
    NuisanceWeights,
    check_effective,
    nuisance_weights,
    weights_of,
)
from nbam_pyro.detection.scaling import learned_range
from nbam_pyro.detection.scored import ScoredDetector
from nbam_pyro.detection.scores import grain_of, settle
from nbam_pyro.detection.settings import Schedule
from nbam_pyro.errors import DataError, NuisanceWarning
from nbam_pyro.outputs.switch_codes import switch_codes
from nbam_pyro.training.contexts import exclusive
from nbam_pyro.training.folds import split
from nbam_pyro.training.lightning import Options

__all__ = ["Representation"]

_ERASURE = Erasure()
_ITERATIONS = 1000


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

    New models then try to read the nuisance from r, on rows that nothing was trained on. This is
    the only evidence that the nuisance has been removed. `fit` warns if a linear model succeeds, or
    if there are too few rows to tell.

    Args:
        encoder: Function that makes the network. It is called with the number of features (of
            channels for images) and returns a module whose result is r, (N, D).
        removal: `Erasure` or `Independence`; None to leave the nuisance in the representation.
        weighted: Whether rows have nuisance weights; otherwise all weights are 1.
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
        held_out: Share of the rows that nothing is trained on, for the choice of the epoch, the
            accuracy and the probe. It is rounded to one over a whole number.
        random_state: Seed for weights, batches, held-out rows and probe.
        progress: Whether a progress bar is shown.
        trainer: Further arguments of `lightning.pytorch.Trainer`, such as `accelerator`.

    Attributes:
        encoder_: Trained network.
        erased_: Map that removes the nuisance, an `Erased`; None without `Erasure`.
        weights_: `NuisanceWeights` of the training rows; None if they have weights of 1.
        probe_: `Probe` of the representation of held-out rows. Its text says whether the nuisance
            can still be read.
        accuracy_: Accuracy on the class of held-out rows, under the weights.
        classes_: Names of the classes, (K,).
        classifier_: Logistic regression of the class on the representation.
        densities_: Densities of normal rows and of anomalies in the representation.
        rate_: Share of anomalies of the switches, learned or given.
        decision_scores_: Scores of the training rows, (N,).
        report_, verdict_: `ContaminationReport` of `from_scores` on the scores of the training
            rows, which does not use a given `contamination`, and its verdict.
        contamination_, contamination_interval_: Share of anomalies among the training rows, the
            mean responsibility, with its 90 % interval.
        population_rate_, population_rate_interval_: Probability that a new row is an anomaly.
        threshold_: Score above which a row is an anomaly.
        labels_: Labels of the training rows, 1 for an anomaly and 0 for a normal row, (N,).
        history_: One record per epoch, with its loss.

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
        progress: bool = False,
        trainer: Mapping[str, Any] | None = None,
    ) -> None:
        self.encoder = encoder
        self.removal = removal
        self.weighted = weighted
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
            StoryError: The assignment cannot learn the share of anomalies.
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
        own, apart = next(iter(split(classes.codes, round(1 / self.held_out), seed=seed)))
        normal = (codes != 1).numpy()
        rows = own[normal[own]], apart[normal[apart]]
        self._train(self.scale_(x), known, rows, seed)
        r = self._represent(self.scale_(x), known, rows[0])
        self._estimate(r[own], known[own], codes[own])
        self._judge(r[rows[1]], known[rows[1]], seed)
        self.grain_ = grain_of(self._raw(r))
        scores = settle(self._raw(r), self.grain_)[0].numpy()
        self._settle(scores, scores, self.scale_.beyond(x), codes)
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Return the representation of rows, without the nuisance, (N, E).

        Args:
            X: Rows like the training rows.

        Raises:
            DataError: X is not like the training rows.
        """
        check_is_fitted(self)
        return self._represented(self.scale_(features_of(self, X, reset=False)[0]))

    def classify(self, X: Any) -> np.ndarray:
        """Return the most probable class of rows, (N,).

        Args:
            X: Rows like the training rows.
        """
        return np.asarray(self.classes_[self.classifier_.predict(self.transform(X))])

    def energies(self, X: Any) -> Energies:
        """Return clean and anomaly energies of rows, negative log densities of r, (N,) each.

        Args:
            X: Rows like the training rows.
        """
        return self.densities_.energies(self.transform(X))

    def _train(
        self, x: np.ndarray, known: Background, rows: tuple[np.ndarray, np.ndarray], seed: int
    ) -> None:
        with exclusive(), torch.random.fork_rng():
            torch.manual_seed(seed)
            self.encoder_ = self.encoder(x.shape[1])
            self.history_ = train_encoder(
                self.encoder_,
                centred(x).to(torch.get_default_dtype()),
                known,
                penalty=self.removal if isinstance(self.removal, Independence) else None,
                rows=rows,
                schedule=Schedule(epochs=self.epochs, lr=self.lr, weight_decay=self.weight_decay),
                options=Options(
                    batch_size=self.batch_size, progress=self.progress, trainer=self.trainer or {}
                ),
            )
        # Training uses torch's default type. Scores are computed in float64 from here on.
        self.encoder_.double()

    def _represent(self, x: np.ndarray, known: Background, rows: np.ndarray) -> np.ndarray:
        """Return the representation of scaled rows, and learn the erasure from some of them."""
        r = encoded(self.encoder_, centred(x))
        self.erased_: Erased | None = None
        if isinstance(self.removal, Erasure):
            own = known[rows]
            self.erased_ = self.removal.learn(
                r[rows], own.labels, own.nuisance, weights=own.weights
            )
            r = self.erased_(r)
        return r

    def _estimate(self, r: np.ndarray, known: Background, codes: Tensor) -> None:
        found = assigned(
            r,
            known.codes,
            known.weights,
            assignment=Exact() if self.assignment is None else self.assignment,
            contamination=self.contamination,
            verified=codes,
        )
        self.densities_, self.rate_ = found.gaussians, found.rate
        self.classes_ = known.classes.names
        self.classifier_ = LogisticRegression(max_iter=_ITERATIONS).fit(
            r, known.codes, sample_weight=known.weights * found.clean
        )

    def _judge(self, r: np.ndarray, known: Background, seed: int) -> None:
        right = self.classifier_.predict(r) == known.codes
        self.accuracy_ = float(np.average(right, weights=known.weights))
        self.probe_ = probe(r, known.labels, known.nuisance, weights=known.weights, seed=seed)
        unsure = self.probe_.linearly_readable or self.probe_.undecided
        if self.removal is not None and unsure:
            warnings.warn(str(self.probe_), NuisanceWarning, stacklevel=3)

    def _represented(self, rows: np.ndarray) -> np.ndarray:
        r = encoded(self.encoder_, centred(rows))
        return r if self.erased_ is None else self.erased_(r)

    def _scores(self, rows: np.ndarray) -> np.ndarray:
        return np.asarray(settle(self._raw(self._represented(rows)), self.grain_)[0].numpy())

    def _raw(self, r: np.ndarray) -> Tensor:
        """Return scores before they are rounded, (1, N)."""
        return torch.from_numpy(scores_of(r, self.score, self.densities_, self.classifier_))[None]
