"""A scikit-learn regressor for measurements of which some are wrong."""

import copy
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score

from nbam_pyro.estimators.base import Contamination, NBAMEstimator, Network, rate_prior
from nbam_pyro.estimators.row_weights import labelled
from nbam_pyro.estimators.targets import encode_measurements
from nbam_pyro.inference import predict
from nbam_pyro.inference.steps.run import Run
from nbam_pyro.models import (
    BetaSwitch,
    Component,
    LatentSwitch,
    mlp,
    robust_regression,
    small_cnn,
)

_MLP = partial(mlp, widths=(64, 64), dropout=0.2)


class NBAMRegressor(RegressorMixin, NBAMEstimator):
    r"""A regressor that is told measurements may be wrong, and tells which.

    Fits `robust_regression` with the default steps of `fit`. The prediction is the clean mean f(x);
    `responsibility` is P(measurement is wrong | x, y).

    Args:
        network: (inputs, outputs) -> module; inputs are columns or channels. None for a small `mlp`
            on tables, whose columns are standardised, and `small_cnn` on images.
        contamination: prior of the share of wrong measurements: None for Beta(1, 4), a number in
            (0, 1) for a prior of that mean worth 100 rows, or `Beta(a, b)`.
        anomaly: another anomaly likelihood, such as `UniformRange(low, high)`; None for a shifted
            Student-t.
        input_dependent_scale: let the noise of clean measurements depend on x.
        epochs: of one plain training run, to which the default recipe keeps its steps in
            proportion; None for its own default.
        steps: of the fit; None for the default recipe.
        held_out: share of rows that only select epochs and attempts; they may be wrong too.
        batch_size: rows of a training step.
        random_state: seed of weights and batches.
        progress: show progress bars.
        trainer: further arguments of `lightning.pytorch.Trainer`.

    Attributes:
        contamination_: mean responsibility of the labelled training rows (in-sample).
        responsibility_: of every training row, (N,); one without a target has its prior P(z=1 | x),
            a verified one 0 or 1.
        fit_: the `Fit`, for everything else.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> X = rng.uniform(-1, 1, (200, 2))
        >>> y = X @ [3.0, -2.0] + 0.1 * rng.normal(size=200)
        >>> y[:20] += 8.0
        >>> model = NBAMRegressor(random_state=0).fit(X, y)
        >>> bool(((model.responsibility_ > 0.5) == (np.arange(200) < 20)).all())
        True
    """

    def __init__(
        self,
        *,
        network: Network | None = None,
        contamination: Contamination = None,
        anomaly: Component | None = None,
        input_dependent_scale: bool = False,
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
        self.anomaly = anomaly
        self.input_dependent_scale = input_dependent_scale

    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, *, contaminated: Any = None
    ) -> "NBAMRegressor":
        """Fit features and measurements of which some may be wrong.

        Args:
            X: features, (N, D), or images (N, C, H, W); no missing or infinite values.
            y: measurements, (N,); NaN or None where there is none.
            sample_weight: how many times each row counts, (N,).
            contaminated: 1 or True where a measurement is verified as wrong, 0 or False where as
                right, (N,); NaN or None where unknown.

        Raises:
            DataError: measurements are texts, infinite or all the same, features have missing or
                infinite values, or a value of contaminated is none.
            SupportError: a measurement lies outside the range of a bounded anomaly.
        """
        self._fit(X, y, sample_weight, contaminated=contaminated)
        return self

    def predict(self, X: Any) -> np.ndarray:
        """The clean mean f(x) of each row, (N,), in the units of y."""
        x = self._checked(X)
        return predict(self.fit_, x)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """R squared of `predict` among the rows that have a measurement.

        Measurements are taken as they are, right or wrong.

        Args:
            X: Features, (N, D), or images (N, C, H, W).
            y: Measurements, (N,); rows without one (NaN or None) are left out.
            sample_weight: How many times each row counts, (N,).

        Returns:
            1 for perfect predictions, 0 for those of the mean, and less for worse ones.

        Raises:
            DataError: Fewer than two rows have a measurement and a weight, or X or y do not fit
                what was trained on.
        """
        predicted = self.predict(X)
        targets, used, weights = labelled(y, sample_weight, len(predicted), needed=2)
        return float(r2_score(encode_measurements(targets), predicted[used], sample_weight=weights))

    def _learn_targets(self, y: np.ndarray) -> np.ndarray:
        return encode_measurements(y)

    def _encoded(self, y: np.ndarray) -> np.ndarray:
        return encode_measurements(y)

    def _target_weights(self, y: np.ndarray) -> np.ndarray | float:
        return 1.0

    def _story(self, x: np.ndarray, y: np.ndarray) -> LatentSwitch:
        rate = rate_prior(self.contamination)
        network = self._body(x, _MLP, small_cnn, 2 if self.input_dependent_scale else 1)
        return robust_regression(
            network,
            torch.as_tensor(y),
            switch=None if rate is None else BetaSwitch(rate.a, rate.b),
            anomaly=copy.deepcopy(self.anomaly),  # a fit must not change what was given
        )
