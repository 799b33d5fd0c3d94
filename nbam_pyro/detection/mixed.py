"""`MixedDetector`: the default detector for tables, an average of scores of different kinds."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from sklearn.utils import check_random_state

from nbam_pyro.detection.checks import features_of
from nbam_pyro.detection.kinds.base import Kind
from nbam_pyro.detection.kinds.histograms import Histograms
from nbam_pyro.detection.kinds.isolation import Isolation
from nbam_pyro.detection.kinds.neighbours import LocalDensity, Neighbours
from nbam_pyro.detection.mixing import Mixing
from nbam_pyro.detection.scaling import learned_range
from nbam_pyro.detection.scored import ScoredDetector
from nbam_pyro.detection.settings import check_contamination
from nbam_pyro.errors import DataError
from nbam_pyro.outputs.switch_codes import switch_codes

__all__ = ["MixedDetector"]

_KINDS = (Neighbours(), LocalDensity(), Isolation(), Histograms())
# Without verified anomalies, at least this many rows must be left to learn from.
_LEAST = 2
# Number of rows that are scored at once, which bounds the memory.
_ROWS = 4096


class MixedDetector(ScoredDetector):
    r"""Finds anomalies in a table by an average of scores of different kinds.

    Each kind of score has its own idea of an anomaly: a row far from its neighbours
    (`Neighbours`), in a less dense place than its neighbours (`LocalDensity`), easily separated by
    cuts (`Isolation`), or with rare values (`Histograms`). Which kind is best differs from table
    to table. Each score s_k is standardised, and the average is weighted:

    .. math::
        s(x) = \sum_k w_k \frac{s_k(x) - m_k}{u_k}, \qquad w_k \propto e^{4 a_k b_k}

    The median m_k and the unit u_k come from the training rows. The agreement a_k is the
    correlation with the other kinds, and the stability b_k the correlation between two halves of
    the parts of kind k. No label is used.

    Training rows contain anomalies themselves. Therefore most kinds learn from small random parts
    of the rows, and verified anomalies are left out.

    Rows with a wild value score above all training rows without one. A value is wild if it lies at
    least about ten times as far out as the middle 98 % of training rows.

    The interface and the conventions are those of PyOD: 1 is an anomaly, scores are high for
    anomalies, and `fit` ignores y.

    Args:
        kinds: Kinds of scores. None for all four kinds with their default settings.
        contamination: Share of the training rows to flag, at most one half. With "auto", rows are
            flagged that are more probably anomalies than not.
        random_state: Seed for the random parts of the training rows.

    Attributes:
        decision_scores_: Scores of the training rows, (N,).
        report_: `ContaminationReport` of `from_scores` on the scores of the training rows. It does
            not use a given `contamination`.
        verdict_: Verdict on what these scores can tell about the anomalies.
        contamination_, contamination_interval_: Share of anomalies among the training rows, the
            mean responsibility, with its 90 % interval.
        population_rate_, population_rate_interval_: Probability that a new row is an anomaly.
        threshold_: Score above which a row is an anomaly. It lies between the scores of two
            training rows. Rows of equal scores are flagged together, unless they are more than half
            of the rows.
        labels_: Labels of the training rows, 1 for an anomaly and 0 for a normal row, (N,).
        usual_: Highest score of training rows without wild values, and the width of these scores
            (highest minus lowest), (2,).
        kinds_: Kinds of scores that are averaged.
        learned_: Arrays that each kind has learned, by name.
        mixing_: Unit and weight of each kind.

    Source: Aggarwal & Sathe (2015), for averages of standardised scores of detectors.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> x = rng.normal(size=(200, 3)) * [1, 2, 0.1]
        >>> x[:20] += 8
        >>> detector = MixedDetector(random_state=0).fit(x)
        >>> int(detector.labels_[:20].sum())
        20
        >>> bool(detector.labels_[20:].sum() <= 3)  # few normal rows are flagged
        True
        >>> bool(0.05 < detector.contamination_ < 0.16)
        True
    """

    def __init__(
        self,
        kinds: Sequence[Kind] | None = None,
        *,
        contamination: float | Literal["auto"] = "auto",
        random_state: Any = None,
    ) -> None:
        self.kinds = kinds
        self.contamination = contamination
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None, *, verified: Any = None) -> "MixedDetector":
        """Learn from rows of which some may be anomalies.

        Args:
            X: Features, (N, D).
            y: Ignored. Pipelines pass it.
            verified: Codes of verified rows, (N,): 1 for an anomaly, 0 for a normal row, and -1,
                NaN or None where nothing is verified. A `nbam_pyro.Verified` without true labels
                works too. None means that no row is verified.

        Returns:
            The fitted detector itself.

        Raises:
            DataError: X has a wrong shape, or values that are not finite numbers; a setting is out
                of its range; or `verified` has a wrong length or wrong codes.
        """
        x, names = features_of(self, X, reset=True)
        if x.ndim > 2:
            raise DataError(
                f"X has shape {x.shape}, but MixedDetector takes features (N, D). Use "
                "AnomalyDetector(Rotations) for images."
            )
        check_contamination(self.contamination)
        self.kinds_ = _KINDS if self.kinds is None else tuple(self.kinds)
        if not self.kinds_:
            raise DataError("kinds is empty; give at least one kind of scores, or None.")
        codes = switch_codes(verified, len(x))
        self.scale_ = learned_range(x, "range", names)
        rows, free = self.scale_(x), (codes != 1).numpy()
        seed = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
        known = rows[free] if free.sum() >= _LEAST else rows
        self.learned_ = [
            kind.learn(known, rng)
            for kind, rng in zip(
                self.kinds_, np.random.default_rng(seed).spawn(len(self.kinds_)), strict=True
            )
        ]
        parts = self._parts(rows)
        self.mixing_ = Mixing.of(parts)
        scores = self.mixing_(parts)
        self._settle(scores, scores, self.scale_.beyond(x), codes)
        return self

    def _scores(self, rows: np.ndarray) -> np.ndarray:
        return self.mixing_(self._parts(rows))

    def _parts(self, rows: np.ndarray) -> list[np.ndarray]:
        blocks = [rows[start : start + _ROWS] for start in range(0, len(rows), _ROWS)]
        return [
            np.concatenate([kind.scores(learned, block) for block in blocks], axis=1)
            for kind, learned in zip(self.kinds_, self.learned_, strict=True)
        ]
