"""Flips of labels that depend on the features of each row."""

from dataclasses import dataclass

import numpy as np

from nbam_pyro.data.classes import Classes, as_labels, class_names, class_places
from nbam_pyro.data.corruption import Corruption
from nbam_pyro.data.flat import flat_features
from nbam_pyro.errors import DataError

__all__ = ["InstanceFlips"]

# Standard deviation of the rates of rows (Xia et al. 2020, algorithm 2).
_SPREAD = 0.1


@dataclass(frozen=True)
class InstanceFlips(Corruption):
    r"""Instance-dependent flips: the features of a row determine the probability of each flip.

    .. math::
        q_i \sim \mathrm{Normal}(\mathrm{rate}, 0.1^2) \text{ truncated to } [0, 1], \qquad
        W_c \sim \mathrm{Normal}(0, 1)^{S \times K} \\
        p(\mathrm{observed} = k \mid x_i, c_i) = q_i \,
        \mathrm{softmax}_{k \neq c_i}(x_i W_{c_i})_k, \qquad k \neq c_i

    Here q_i is the probability that the label of row i flips, c_i its true class, x_i its S
    standardised features, K the number of classes, and W_c a matrix of random weights. The number
    of flipped rows is therefore random. The mean rate is the mean of the truncated Normal. It is
    close to `rate`, except near 0 and 1:

    * Rate 0.1: mean rate 0.129.
    * Rate 0.2: mean rate 0.206.
    * Rate 0.3: mean rate 0.300.
    * Rate 0.9: mean rate 0.871.
    * Rate 1: mean rate 0.920.

    With a rate of 0, no row flips.

    Args:
        x: Features of all rows, (N, ...). They are flattened, and standardised over the rows.
        classes: Class labels in order, as numbers or as texts; or K, if the labels are
            0, ..., K - 1.

    Raises:
        DataError: x is empty or not finite, or the numbers of rows and labels differ; there are
            fewer than two classes, a class occurs twice, or a label is not among them.

    Source: Xia et al. 2020, "Part-dependent label noise" (arXiv 2006.07836), algorithm 2.

    Example:
        >>> from nbam_pyro.data import contaminate
        >>> x, labels = np.random.default_rng(0).normal(size=(1000, 5)), np.arange(1000) % 3
        >>> flipped = contaminate(labels, InstanceFlips(x, 3), rate=0.4, seed=0)
        >>> bool((flipped.contaminated == (flipped.observed != labels)).all()), flipped.rate
        (True, 0.368)
    """

    x: np.ndarray
    classes: Classes

    def __post_init__(self) -> None:
        object.__setattr__(self, "x", flat_features(self.x))
        object.__setattr__(self, "classes", class_names(self.classes))

    def groups(self, values: np.ndarray) -> list[np.ndarray]:
        if len(values) != len(self.x):
            raise DataError(
                f"x has {len(self.x)} rows, but there are {len(values)} labels. Give one row per "
                "label."
            )
        # This checks all labels, not only those that are chosen at random.
        class_places(np.unique(values), class_names(self.classes))
        return super().groups(values)

    def choose(self, rows: np.ndarray, rate: float, rng: np.random.Generator) -> np.ndarray:
        # The mean of a Normal truncated at 0 is above 0, so that a rate of 0 is a special case.
        return rows[rng.random(len(rows)) < _row_rates(rate, len(rows), rng)] if rate else rows[:0]

    def corrupt(self, values: np.ndarray, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        names = class_names(self.classes)
        true = class_places(values, names)
        targets = np.empty_like(true)
        mean, spread = self.x.mean(axis=0), self.x.std(axis=0)
        spread[np.ptp(self.x, axis=0) == 0] = 1
        for c in range(len(names)):
            x = (self.x[rows[true == c]] - mean) / spread
            scores = x @ rng.normal(size=(x.shape[1], len(names)))
            scores[:, c] = -np.inf
            # The class with the largest sum of score and Gumbel noise is a draw from the softmax.
            targets[true == c] = (scores + rng.gumbel(size=scores.shape)).argmax(axis=1)
        return as_labels([names[target] for target in targets], values)


def _row_rates(rate: float, count: int, rng: np.random.Generator) -> np.ndarray:
    rates = rng.normal(rate, _SPREAD, size=count)
    while (outside := (rates < 0) | (rates > 1)).any():
        rates[outside] = rng.normal(rate, _SPREAD, size=outside.sum())
    return rates
