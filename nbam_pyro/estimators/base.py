"""The common part of classifier and regressor: checks arrays, calls `fit`, keeps posteriors."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from sklearn.base import BaseEstimator, clone, is_classifier
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import nn

from nbam_pyro.checks.column import Column, as_data_errors
from nbam_pyro.errors import DataError
from nbam_pyro.estimators.bootstrap import bootstrapped
from nbam_pyro.estimators.contamination import Contamination
from nbam_pyro.estimators.features import as_features, check_columns
from nbam_pyro.estimators.row_weights import as_weights, check_classes_count
from nbam_pyro.estimators.targets import Targets, score
from nbam_pyro.estimators.used_rows import UsedRows, groups_of
from nbam_pyro.estimators.verified import verified_rows
from nbam_pyro.inference import Fit, fit
from nbam_pyro.inference.steps.run import Run
from nbam_pyro.models import Standardise, Story
from nbam_pyro.outputs.verdict import Verdict
from nbam_pyro.training.contexts import seeded

Network = Callable[[int, int], nn.Module]
Intervals = Literal["posterior", "bootstrap"]


class NBAMEstimator(BaseEstimator, ABC):
    """The part of an estimator that is the same for labels and measurements."""

    fit_: Fit
    targets_: Targets
    verdict_: Verdict
    responsibility_: np.ndarray
    contamination_: float
    contamination_interval_: tuple[float, float]
    population_rate_: float
    population_rate_interval_: tuple[float, float]

    def __init__(
        self,
        *,
        network: Network | None,
        contamination: Contamination,
        epochs: int | None,
        steps: Sequence[Callable[[Run], None]] | None,
        held_out: float,
        batch_size: int,
        intervals: Intervals,
        n_jobs: int | None,
        random_state: Any,
        progress: bool,
        progress_folder: str | Path | None,
        trainer: Mapping[str, Any] | None,
    ) -> None:
        self.network = network
        self.contamination = contamination
        self.epochs = epochs
        self.steps = steps
        self.held_out = held_out
        self.batch_size = batch_size
        self.intervals = intervals
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.progress = progress
        self.progress_folder = progress_folder
        self.trainer = trainer

    def responsibility(self, X: Any, y: Any) -> np.ndarray:
        """Estimate the responsibility P(z=1 | x, y): the probability that a target is wrong.

        The fitted model scores the rows, as in `nbam_pyro.responsibilities`. Rows of the training
        data have better ones in `responsibility_`.

        Args:
            X: Features, (N, D), or images, (N, C, H, W).
            y: Observed targets, (N,). A row without a target (NaN or None) gets P(z=1 | x).

        Returns:
            Probabilities, (N,).

        Raises:
            DataError: X or y are of another kind than the training data.
        """
        x = self._checked(X)
        column = Column.of(y)
        _check_same_length(x, column)
        return score(self.fit_, x, Targets(column, self._encoded(column.values)))

    def prepared(self, X: Any, y: Any) -> tuple[Story, np.ndarray, np.ndarray]:
        """Prepare a fit without running it, for `compare_priors` and for your own steps.

        With `mean="auto"` or `head="auto"` it is the fit of the simplest kind, a line.

        Args:
            X: Features, (N, D), or images, (N, C, H, W).
            y: Observed targets, (N,); rows without one (NaN or None) are left out.

        Returns:
            The untrained story, with weights drawn by `random_state`; the features of the rows
            that have a target, (n, ...); their encoded targets, (n,).

        Raises:
            DataError: X or y cannot be fitted.
        """
        one = clone(self)  # a fitted estimator is not changed
        with as_data_errors():
            x = validate_data(
                one,
                as_features(X),
                dtype=[np.float64, np.float32],
                allow_nd=True,
                ensure_min_samples=2,
            )
        column = Column.of(y)
        _check_same_length(x, column)
        codes = one._learn_targets(column.values)
        used = x[column.present]
        return one._drawn(used, codes, one._seed()), used, codes

    def _seed(self) -> int:
        with as_data_errors():
            state = check_random_state(self.random_state)
        return int(state.randint(np.iinfo(np.int32).max))

    def _drawn(self, x: np.ndarray, encoded: np.ndarray, seed: int) -> Story:
        with torch.inference_mode(False), seeded(seed, devices=True):
            story = self._story(x, encoded)
            # Data in double precision are fitted in double precision to keep all digits.
            return story.double() if x.ndim == 2 and x.dtype == np.float64 else story

    def _fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        *,
        contaminated: Any,
        groups: Any,
        true_label: Any = None,
    ) -> None:
        with as_data_errors():
            if y is None:
                raise ValueError(
                    f"{type(self).__name__} requires y to be passed, but the target y is None"
                )
            x = validate_data(
                self,
                as_features(X),
                dtype=[np.float64, np.float32],
                allow_nd=True,
                ensure_min_samples=2,
            )
        if x.ndim == 2:
            check_columns(x, getattr(self, "feature_names_in_", None))
        if self.intervals not in get_args(Intervals):
            raise DataError(f"intervals is {self.intervals!r}. Give 'posterior' or 'bootstrap'.")
        weights = given_weights = as_weights(sample_weight, len(x))
        column = Column.of(y)
        _check_same_length(x, column)
        present = column.present
        # A row without weight carries no information, so it is left out.
        used = present & (weights > 0)
        if used.sum() < 2:
            raise DataError(
                f"{int(used.sum())} rows have a target and a weight above 0. A fit needs at least "
                "two."
            )
        if is_classifier(self):
            check_classes_count(column.values, used[present])
        learned = column.values[used[present]]
        encoded = self._learn_targets(learned)
        codes = self._encoded(column.values)
        verified = verified_rows(
            codes,
            present,
            true_label=true_label,
            contaminated=contaminated,
            encode=self._encoded,
        )
        self.targets_ = Targets(column, codes, verified)
        weights = weights[used] * self._target_weights(learned)
        seed = self._seed()
        used_x = x[used]
        if used.all():  # a second copy of many rows takes much memory
            x = used_x
        rows = UsedRows(used_x, encoded, weights, verified[used], groups_of(groups, used))
        self.fit_ = self._fitted(rows, seed)
        if x.ndim == 2:  # so that the score of a row does not depend on the rows scored with it
            self.fit_.story.double()
            self.fit_.guide.double()
        self.responsibility_ = np.empty(len(x))
        self.responsibility_[used] = self.fit_.training_rows.responsibility
        rest = ~used
        if rest.any():  # rows that the fit has not seen
            self.responsibility_[rest] = score(self.fit_, x[rest], self.targets_[rest])
        refit = partial(
            self._refitted,
            X,
            y,
            given_weights,
            contaminated=contaminated,
            groups=groups,
            true_label=true_label,
        )
        self._tell(refit, rows=len(x), seed=seed)

    def _tell(self, refit: Callable[[np.ndarray, int], Any], *, rows: int, seed: int) -> None:
        """Set the attributes for the verdict, the share and the population rate."""
        share, rate = self.fit_.training_rows.share, self.fit_.training_rows.population_rate
        if self.intervals == "bootstrap":
            share, rate = bootstrapped(refit, share, rate, rows=rows, n_jobs=self.n_jobs, seed=seed)
        self.verdict_ = self.fit_.verdict
        self.contamination_ = share.mean
        self.contamination_interval_ = share.low, share.high
        self.population_rate_ = rate.mean
        self.population_rate_interval_ = rate.low, rate.high

    def _refitted(
        self, X: Any, y: Any, weights: np.ndarray, random: np.ndarray, seed: int, **given: Any
    ) -> "NBAMEstimator":
        """Fit a clone with random weights of the rows."""
        one = clone(self).set_params(intervals="posterior", random_state=seed)
        one._fit(X, y, weights * random, **given)
        return one

    def _fitted(self, rows: UsedRows, seed: int) -> Fit:
        """Fit the rows that have a target."""
        return self._fit_story(self._drawn(rows.x, rows.y, seed), rows, seed)

    def _fit_story(
        self,
        story: Story,
        rows: UsedRows,
        seed: int,
        *,
        held_out: float | np.ndarray | None = None,
    ) -> Fit:
        """Fit one story to rows, with the settings of the estimator."""
        return fit(
            story,
            (rows.x, rows.y),
            epochs=self.epochs,
            steps=self.steps,
            weights=None if (rows.weights == 1).all() else rows.weights,
            verified=rows.verified,
            groups=rows.groups,
            held_out=self.held_out if held_out is None else held_out,
            batch_size=self.batch_size,
            seed=seed,
            n_jobs=self.n_jobs,
            progress=self.progress,
            progress_folder=self.progress_folder,
            trainer=self.trainer,
        )

    def _checked(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        with as_data_errors():
            checked: np.ndarray = validate_data(
                self, as_features(X), dtype=[np.float64, np.float32], allow_nd=True, reset=False
            )
        return checked

    def _body(self, x: np.ndarray, default: Network, images: Network, out: int) -> nn.Module:
        """Return the network for rows x. Columns of a table are standardised, images are not."""
        table = x.ndim == 2
        if not table and self.network is None and (x.ndim != 4 or min(x.shape[2:]) < 8):
            raise DataError(
                f"The default networks cannot take rows of shape {x.shape[1:]}. They take rows of "
                "numbers, or images (channels, height, width) of at least 8 x 8. Give your own "
                "`network`."
            )
        network = (self.network or (default if table else images))(x.shape[1], out)
        if not table:
            return network
        return nn.Sequential(Standardise.of(torch.as_tensor(x)), network)

    @abstractmethod
    def _learn_targets(self, y: np.ndarray) -> np.ndarray:
        """Check training targets, learn their classes if they are labels, and encode them."""

    @abstractmethod
    def _encoded(self, y: np.ndarray) -> np.ndarray:
        """Encode targets without missing values in the form that the story needs."""

    @abstractmethod
    def _target_weights(self, y: np.ndarray) -> np.ndarray | float:
        """Return the weights of rows that depend on their target."""

    @abstractmethod
    def _story(self, x: np.ndarray, y: np.ndarray) -> Story:
        """Return the story that is fitted."""


def _check_same_length(x: np.ndarray, y: Column) -> None:
    if len(x) != len(y):
        raise DataError(f"X has {len(x)} rows, but y has {len(y)}. They must agree.")
