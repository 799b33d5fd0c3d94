"""Simulated tables without labels: normal rows of several shapes, and several kinds of anomalies.

Normal rows are one Normal group, several groups, or rows with heavy or with skewed tails; columns
are correlated. Anomalies are scattered, form a group of their own, have another mean in some
columns, or have a larger variance. How far away they are is random, from hardly to plainly visible.
One table in five has no anomalies.
"""

import math

import numpy as np

__all__ = ["ANOMALIES", "NORMAL", "unlabelled"]

NORMAL = ("one group", "groups", "heavy tails", "skewed")
"""Kinds of normal rows."""
ANOMALIES = ("scattered", "group", "shifted", "wide")
"""Kinds of anomalies."""

_LEAST, _MOST = 200, 2000
_SHARE, _NONE = 0.25, 0.2


def unlabelled(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw a table and its anomalies.

    Args:
        seed: Seed of the simulation.

    Returns:
        Rows, (N, D), and whether each row is an anomaly, (N,).
    """
    rng = np.random.default_rng([seed, 17])
    rows = int(np.exp(rng.uniform(math.log(_LEAST), math.log(_MOST))))
    columns = int(rng.integers(2, 16))
    x = _normal(rng.choice(NORMAL), rows, columns, rng)
    share = 0.0 if rng.random() < _NONE else rng.uniform(0, _SHARE)
    anomaly = rng.random(rows) < share
    x[anomaly] = _anomalies(rng.choice(ANOMALIES), x, int(anomaly.sum()), rng)
    mixed = np.linalg.qr(rng.normal(size=(columns, columns)))[0]
    return x @ (mixed * np.exp(rng.normal(size=columns))), anomaly


def _normal(kind: str, rows: int, columns: int, rng: np.random.Generator) -> np.ndarray:
    x = rng.normal(size=(rows, columns))
    if kind == "groups":
        groups = int(rng.integers(2, 5))
        x += 4 * rng.normal(size=(groups, columns))[rng.integers(groups, size=rows)]
    elif kind == "heavy tails":
        x = rng.standard_t(5, size=(rows, columns))
    elif kind == "skewed":
        x = np.exp(0.5 * x)
    return x


def _anomalies(kind: str, x: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Draw anomalies, (count, D), beside normal rows x, (N, D)."""
    columns, middle, spread = x.shape[1], x.mean(0), x.std(0)
    noise = rng.normal(size=(count, columns))
    if kind == "scattered":
        reach = rng.uniform(2, 6)
        return middle + reach * spread * rng.uniform(-1, 1, size=(count, columns))
    if kind == "wide":
        return middle + rng.uniform(2, 6) * spread * noise
    if kind == "group":
        way = rng.normal(size=columns)
        away = way * (rng.uniform(3, 10) / np.linalg.norm(way))
        return middle + spread * (away + 0.3 * noise)
    changed = rng.permutation(columns) < rng.integers(1, columns + 1)
    return x[rng.integers(len(x), size=count)] + rng.uniform(2, 8) * spread * changed
