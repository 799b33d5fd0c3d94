"""`AnomalyDetector`: a backbone, an assignment and a rate, with the interface of PyOD."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from nbam_pyro.detection.assignments import Assignment, Soft
from nbam_pyro.detection.backbones.base import Backbone, Energies
from nbam_pyro.detection.backbones.neural_transformations import NeuralTransformations
from nbam_pyro.detection.checks import check_row_dims, features_of
from nbam_pyro.detection.energies import Prior, energies_of
from nbam_pyro.detection.rates import rate_of
from nbam_pyro.detection.scaling import learned_range
from nbam_pyro.detection.scored import ScoredDetector
from nbam_pyro.detection.scores import grain_of, in_order_of, settle
from nbam_pyro.detection.settings import Schedule, check_settings, check_verified
from nbam_pyro.outputs.switch_codes import switch_codes
from nbam_pyro.training.contexts import exclusive
from nbam_pyro.training.journal import Journal

__all__ = ["AnomalyDetector"]


class AnomalyDetector(ScoredDetector):
    """Finds anomalies after training on rows of which some are anomalies themselves.

    A backbone learns what normal rows are like. It holds several members, models with different
    initial weights. Each member gives a row a clean energy E_n, which is low if the row looks
    normal, and an anomaly energy E_a, which is low if it looks like an anomaly. Each training row
    has a latent switch, which is 1 if the row is an anomaly. The assignment fills in the switches
    during training, and the rate is the share of rows that are anomalies.

    The score of a row is E_n, averaged over members. If members are trained with different rates,
    their energies are not comparable: the score is then the share of training rows with a lower
    E_n, averaged over members. Rows with a wild value score above all training rows without one,
    because wild values are clipped before networks see them. A value is wild if it lies at least
    about ten times as far out as the middle 98% of training rows.

    The interface and the conventions are those of PyOD: 1 is an anomaly, scores are high for
    anomalies, and `fit` ignores y.

    Args:
        backbone: Function or class that makes the model. It is called with the number of features
            (of channels for images) and `members=`. Other settings are given with
            `functools.partial(NeuralTransformations, width=64)`.
        assignment: Rule that fills in the switches. None for `Soft()`.
        contamination: Share of anomalies among the training rows, at most one half. With
            `Exact`, "auto" learns it together with the densities. With other assignments and
            "auto", members are trained with different rates, and scores are averaged over the
            members that were trained with the rate at which members agree. If there is no such
            rate, the members with rates of .05 and .1 are used.
        members: Number of models whose scores are averaged. Where members are trained with
            different rates, it is the number for each rate, and at least 2.
        epochs: Number of epochs of training.
        warm_up: Number of first epochs, at most half of all, in which all rows count as normal.
        lr: Step size of AdamW.
        weight_decay: Weight decay of AdamW.
        batch_size: Number of rows in each training step.
        scale: "range" brings the middle 98% of each feature to [0.25, 1.25]. None leaves rows
            unchanged; images are never changed. Do not centre features: networks without biases
            see only the direction of a row from 0, not its size.
        random_state: Seed for weights and batches.
        progress: Whether a progress bar is shown.
        progress_folder: Folder that keeps the progress of the training, so that it continues after
            an interruption, as in `nbam_pyro.fit`. None to keep nothing.
        trainer: Further arguments of `lightning.pytorch.Trainer`, such as `accelerator`.

    Attributes:
        backbone_: Trained model.
        decision_scores_: Scores of the training rows, (N,).
        report_: `ContaminationReport` of `from_scores` on the scores of the training rows. It does
            not use a given `contamination`.
        verdict_: Verdict on what these scores can tell about the anomalies.
        contamination_, contamination_interval_: Share of anomalies among the training rows, the
            mean responsibility, with its 90 % interval.
        population_rate_, population_rate_interval_: Probability that a new row is an anomaly.
        rates_: Share of anomalies that each member assumed in training, (S,).
        ranking_: Indices of the members whose ranks of rows are averaged, (K,). It is empty if
            scores are means of energies.
        threshold_: Score above which a row is an anomaly. It lies between the scores of two
            training rows. The share of rows above it is `contamination`. With "auto", these are
            the rows that are more probably anomalies than not. Rows of equal scores are flagged
            together, unless they are more than half of the rows.
        usual_: Highest score of training rows without wild values, and the width of these scores
            (highest minus lowest), (2,).
        grain_: Step to which the clean energies of each member are rounded, (S, 1). Rounding gives
            a row the same score alone and in any batch.
        labels_: Labels of the training rows, 1 for an anomaly and 0 for a normal row, (N,).
        history_: One record per epoch, with its loss.

    Source: Qiu et al. (2022).

    Example:
        >>> from nbam_pyro.detection import Exact, GaussianMixture
        >>> rng = np.random.default_rng(0)
        >>> x = rng.normal(size=(200, 3)) * [1, 2, 0.1]
        >>> x[:20] += 8
        >>> detector = AnomalyDetector(
        ...     GaussianMixture, assignment=Exact(), epochs=200, random_state=0
        ... )
        >>> bool(detector.fit(x).labels_[20:].sum() <= 3)  # few normal rows are flagged
        True
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
        progress_folder: str | Path | None = None,
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
        self.progress_folder = progress_folder
        self.trainer = trainer

    def fit(self, X: Any, y: Any = None, *, verified: Any = None) -> "AnomalyDetector":
        """Train on rows of which some may be anomalies.

        Args:
            X: Features, (N, D), or images, (N, C, H, W).
            y: Ignored. Pipelines pass it.
            verified: Codes of verified rows, (N,): 1 for an anomaly, 0 for a normal row, and -1,
                NaN or None where nothing is verified. A `nbam_pyro.Verified` without true labels
                works too. None means that no row is verified.

        Returns:
            The fitted detector itself.

        Raises:
            DataError: X has a wrong shape, or values that are not finite numbers; the backbone does
                not support such rows; a setting is out of its range; `verified` has a wrong length
                or wrong codes; or energies are not finite.
            StoryError: The assignment does not work with this backbone or with this contamination,
                or the trainer has several devices.
        """
        x, names = features_of(self, X, reset=True)
        check_settings(self)
        codes, assignment = switch_codes(verified, len(x)), self._assignment()
        check_verified(self.contamination, codes, exact=assignment.normalised_only)
        self.scale_ = learned_range(x, self.scale, names)
        rows = self._rows(x)
        # Training and calibration suppress warnings, which changes filters of the whole process.
        with exclusive():
            self._learn(rows, codes, assignment)
            # Training uses torch's default type. Scores are computed in float64 from here on.
            self.backbone_.double()
            energies = energies_of(self.backbone_, rows)
            self.grain_ = grain_of(energies.clean)
            settled = Energies(*(settle(part, grain_of(part)) for part in energies))
            self.ranking_ = self._rate.ranking(settled, self.rates_, codes)
            self.ranks_ = settled.clean[self.ranking_].sort().values
            by_energy = self._by_energy(energies)
            # Ranks are spread evenly, so the distances between them have no meaning.
            shape = in_order_of(by_energy, self._rate.shape(settled.clean, self.ranking_))
            self._settle(by_energy, shape, self.scale_.beyond(x), codes)
        return self

    def energies(self, X: Any) -> Energies:
        """Return clean and anomaly energies of N rows by S members: two tensors of shape (S, N).

        Args:
            X: Rows like the training rows.

        Raises:
            DataError: X is not like the training rows.
        """
        check_is_fitted(self)
        x, _ = features_of(self, X, reset=False)
        return energies_of(self.backbone_, self._rows(x))

    def _assignment(self) -> Assignment:
        return Soft() if self.assignment is None else self.assignment

    def _learn(self, rows: Tensor, codes: Tensor, assignment: Assignment) -> None:
        """Train the backbone with random numbers from `random_state`."""
        with torch.random.fork_rng():
            seed = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
            torch.manual_seed(seed)
            self._train(rows.to(torch.get_default_dtype()), codes, assignment)

    def _train(self, rows: Tensor, codes: Tensor, assignment: Assignment) -> None:
        from nbam_pyro.detection.training import train_backbone
        from nbam_pyro.training.lightning import Options

        self._rate = rate_of(self.contamination, assignment)
        self.rates_ = self._rate.training_rates(self.members)
        self.backbone_ = self.backbone(rows.shape[2], members=len(self.rates_))
        check_row_dims(self.backbone_, rows)
        schedule = Schedule(
            epochs=self.epochs, warm_up=self.warm_up, lr=self.lr, weight_decay=self.weight_decay
        )
        job = [self.backbone_, assignment, rows, codes, self.rates_, schedule, self.batch_size]
        self.history_: list[dict[str, Any]] = train_backbone(
            self.backbone_,
            assignment,
            rows,
            Prior(self.rates_.tolist(), learned=self._rate.learned),
            verified=codes,
            schedule=schedule,
            options=Options(
                batch_size=self.batch_size,
                progress=self.progress,
                journal=Journal.of(self.progress_folder, job, self.trainer),
                trainer=self.trainer or {},
            ),
        )

    def _rows(self, x: np.ndarray) -> Tensor:
        """Return scaled rows, which all members use, (1, N, ...)."""
        return torch.as_tensor(self.scale_(x))[None]

    def _scores(self, rows: np.ndarray) -> np.ndarray:
        return self._by_energy(energies_of(self.backbone_, torch.as_tensor(rows)[None]))

    def _by_energy(self, energies: Energies) -> np.ndarray:
        """Return scores from energies alone, before wild values are taken into account, (N,)."""
        clean = settle(energies.clean, self.grain_)
        return self._rate.scores(clean, self.ranks_, self.ranking_)
