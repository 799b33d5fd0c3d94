"""A scikit-learn regressor for measurements, some of which may be wrong."""

import copy
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score

from nbam_pyro.errors import DataError
from nbam_pyro.estimators.base import Intervals, NBAMEstimator, Network
from nbam_pyro.estimators.choices import ModelChoice
from nbam_pyro.estimators.contamination import Contamination, rate_prior
from nbam_pyro.estimators.means import Mean, candidate_means, choose_mean
from nbam_pyro.estimators.row_weights import labelled
from nbam_pyro.estimators.targets import encode_measurements
from nbam_pyro.estimators.used_rows import UsedRows
from nbam_pyro.inference import Fit, predict
from nbam_pyro.inference.steps.run import Run
from nbam_pyro.models import (
    BetaSwitch,
    Component,
    LatentSwitch,
    linear_regression,
    mlp,
    robust_regression,
    small_cnn,
)
from nbam_pyro.models.stories.robust_regression import Noise
from nbam_pyro.training.contexts import seeded

_MLP = partial(mlp, widths=(64, 64), dropout=0.2)


class NBAMRegressor(RegressorMixin, NBAMEstimator):
    r"""A regressor for measurements that may be wrong; it also estimates which ones are wrong.

    Predictions are the clean mean f(x). Responsibilities are P(measurement is wrong | x, y). With
    mean="auto" the data choose between a line, smooth curves and a network: the simplest mean is
    taken whose log density of unseen measurements is within one standard error of the best. Lines
    and curves are `linear_regression`, whose posterior `Explore` searches for all modes. A network
    is `robust_regression` with the default steps of `fit`.

    Args:
        mean: Clean mean of a table: "linear", "spline" (a sum of smooth curves of the columns),
            "gp" (an approximate Gaussian process), "network", or "auto". Images need a network.
            Without a given `mean`, the arguments `network`, `epochs`, `steps` and
            `input_dependent_scale` choose a network, because they describe one.
        network: Function that is called with the number of inputs (columns or channels) and the
            number of outputs, and returns a module. None for a small `mlp` on tables and
            `small_cnn` on images. Columns of tables are standardised before the network.
        contamination: Prior of the share of wrong measurements: None for Beta(1, 4), a number in
            (0, 1) for a Beta prior with this mean and pseudo-counts that sum to 100, or `Beta(a,
            b)`.
        noise: Noise of clean measurements around the mean: "normal", "student-t" for heavy tails,
            or "skewed" if most of it lies on one side.
        anomaly: Anomaly likelihood, such as `UniformRange(low, high)`; None for a shifted
            Student-t.
        input_dependent_scale: True if the noise of clean measurements depends on x.
        epochs: Number of epochs of one ordinary training run. The default recipe scales the epochs
            of all its steps with this number. None for the default of the recipe.
        steps: Steps of the fit, which are run in this order; None for the default recipe.
        held_out: Share of rows that are only used to select epochs and attempts; their measurements
            may also be wrong.
        batch_size: Number of rows in a training step.
        intervals: "posterior" for intervals that take the trained network as given. "bootstrap"
            for intervals that also contain what another training would change: the estimator is
            fitted 20 more times, with random weights of the rows and other seeds.
        n_jobs: Number of processes for independent fits: the parts of a fit (as in `nbam_pyro.fit`)
            and the bootstrap. None for one, -1 for all processors.
        random_state: Seed for weights and batches.
        progress: True to show progress bars.
        progress_folder: Folder that keeps the progress of the fit, so that it continues after an
            interruption, as in `nbam_pyro.fit`. None to keep nothing.
        trainer: Further arguments of `lightning.pytorch.Trainer`.

    Attributes:
        verdict_: Verdict on whether the measurements identify their contamination. Read it before
            any other result.
        contamination_: Estimated share of wrong measurements among the training rows with a
            measurement: the mean of `responsibility_` over these rows.
        contamination_interval_: Ends of the 90 % interval of this share. If the verdict is "weak"
            or "cannot tell", it also contains the contamination of the competing explanations.
        population_rate_: Probability that the measurement of a new row is wrong.
        population_rate_interval_: Ends of the 90 % interval of this probability, widened in the
            same way.
        responsibility_: Probability that the measurement of each training row is wrong, P(z=1 | x,
            y), (N,), from the fit to the same rows. For a verified row it is 0 or 1. For a row
            without a measurement it is P(z=1 | x), the probability that a measurement drawn for
            this row is wrong.
        targets_: Decoded training targets, and which of them are verified as wrong or right.
        mean_: Choice of the clean mean, with the scores of all means that were compared.
        fit_: The `Fit`, which also gives intervals, ArviZ data and saving.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> X = rng.uniform(-1, 1, (100, 1))
        >>> y = 3.0 * X[:, 0] + 0.1 * rng.normal(size=100)
        >>> y[:10] += 8.0
        >>> model = NBAMRegressor(random_state=0).fit(X, y)
        >>> bool(((model.responsibility_ > 0.5) == (np.arange(100) < 10)).all())
        True
    """

    mean_: ModelChoice

    def __init__(
        self,
        *,
        mean: Literal["auto"] | Mean = "auto",
        network: Network | None = None,
        contamination: Contamination = None,
        noise: Noise = "normal",
        anomaly: Component | None = None,
        input_dependent_scale: bool = False,
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
        self.mean = mean
        self.noise = noise
        self.anomaly = anomaly
        self.input_dependent_scale = input_dependent_scale

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        contaminated: Any = None,
        groups: Any = None,
    ) -> "NBAMRegressor":
        """Fit features and measurements, some of which may be wrong.

        Args:
            X: Features, (N, D), or images, (N, C, H, W), without missing or infinite values.
            y: Measurements, (N,); NaN or None where a measurement is missing.
            sample_weight: Weight of each row, (N,). None means weight 1 for every row. A row with
                weight 2 counts as two rows.
            contaminated: Whether somebody has verified that the measurement is wrong, (N,): 1 or
                True for a wrong measurement, 0 or False for a right one, NaN or None if it is not
                verified.
            groups: Identifier of the group of each row, a text or a number, (N,), such as a patient
                with several rows. No fold divides a group, so that no row is judged by a model that
                has seen its group. Rows that are exactly equal are not divided either, unless fewer
                than half of the rows differ. None for no groups.

        Raises:
            DataError: Measurements are texts, infinite or all the same; features have missing or
                infinite values; `mean` or `noise` is unknown; `mean` contradicts images or the
                arguments that describe a network; or a value of `contaminated` is not one of the
                codes.
            SupportError: A measurement lies outside the range of a bounded anomaly likelihood.
        """
        self._fit(X, y, sample_weight, contaminated=contaminated, groups=groups)
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Predict the clean mean f(x) of each row, (N,), in the units of y.

        Args:
            X: Features, (N, D), or images, (N, C, H, W).

        Raises:
            DataError: X is of another kind than the training data.
        """
        x = self._checked(X)
        return predict(self.fit_, x)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return R squared of `predict` on the rows that have a measurement.

        The score uses the given measurements, even if they are wrong.

        Args:
            X: Features, (N, D), or images, (N, C, H, W).
            y: Measurements, (N,); rows without one (NaN or None) are left out.
            sample_weight: Weight of each row, (N,). None means weight 1 for every row.

        Returns:
            R squared: 1 for perfect predictions, 0 for predictions as good as the mean of y,
            negative for worse predictions.

        Raises:
            DataError: Fewer than two rows have a measurement and a weight above 0, or X or y are of
                another kind than the training data.
        """
        predicted = self.predict(X)
        targets, used, weights = labelled(y, sample_weight, len(predicted), needed=2)
        return float(r2_score(encode_measurements(targets), predicted[used], sample_weight=weights))

    def _fitted(self, rows: UsedRows, seed: int) -> Fit:
        def fit_one(mean: Mean, held_out: np.ndarray | None) -> Fit:
            with torch.inference_mode(False), seeded(seed, devices=True):
                story = self._story_of(mean, rows.x, rows.y)
                if rows.x.ndim == 2 and rows.x.dtype == np.float64:
                    story = story.double()
            return self._fit_story(story, rows, seed, held_out=held_out)

        self.mean_, fitted = choose_mean(self._candidates(rows.x), fit_one, rows, seed=seed)
        return fitted

    def _candidates(self, x: np.ndarray) -> list[Mean]:
        """Return the kinds of mean to compare; one if there is nothing to choose."""
        if self.mean not in ("auto", *get_args(Mean)):
            raise DataError(
                f"mean is {self.mean!r}. Give 'auto', 'linear', 'spline', 'gp' or 'network'."
            )
        described = self.network is not None or self.epochs is not None
        described = described or self.input_dependent_scale
        if self.mean not in ("auto", "network") and x.ndim != 2:
            raise DataError(
                f"mean is {self.mean!r}, but X has images: leave out mean=, or give 'network'."
            )
        if self.mean not in ("auto", "network") and described:
            raise DataError(
                f"mean is {self.mean!r}, but network=, epochs= or input_dependent_scale= describes "
                "a network: leave them out, or leave out mean=."
            )
        if self.mean != "auto":
            return [self.mean]
        trained = self.anomaly is not None and any(True for _ in self.anomaly.parameters())
        if x.ndim != 2 or described or self.steps is not None or trained:
            return ["network"]
        return candidate_means(*x.shape)

    def _learn_targets(self, y: np.ndarray) -> np.ndarray:
        return encode_measurements(y)

    def _encoded(self, y: np.ndarray) -> np.ndarray:
        return encode_measurements(y)

    def _target_weights(self, y: np.ndarray) -> np.ndarray | float:
        return 1.0

    def _story(self, x: np.ndarray, y: np.ndarray) -> LatentSwitch:
        return self._story_of(self._candidates(x)[0], x, y)

    def _story_of(self, mean: Mean, x: np.ndarray, y: np.ndarray) -> LatentSwitch:
        """Return the story with a kind of mean, in the precision of the data."""
        rate = rate_prior(self.contamination)
        if mean != "network":
            rows, targets = torch.as_tensor(x), torch.as_tensor(y)
            anomaly = copy.deepcopy(self.anomaly)
            return linear_regression(
                rows, targets, mean=mean, noise=self.noise, rate=rate, anomaly=anomaly
            )
        network = self._body(x, _MLP, small_cnn, 2 if self.input_dependent_scale else 1)
        return robust_regression(
            network,
            torch.as_tensor(y),
            noise=self.noise,
            switch=None if rate is None else BetaSwitch(rate.a, rate.b),
            anomaly=copy.deepcopy(self.anomaly),  # a fit must not change the argument
        )
