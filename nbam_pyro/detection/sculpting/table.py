"""`sculpting_table`: all figures of sculpting at several efficiencies."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
from numpy.typing import ArrayLike

from nbam_pyro.checks.weights import row_weights
from nbam_pyro.detection.sculpting.distances import jensen_shannon, wasserstein
from nbam_pyro.detection.sculpting.rows import check_some, column_of, threshold_at
from nbam_pyro.detection.sculpting.significance import significance_improvement
from nbam_pyro.errors import DataError

__all__ = ["sculpting_table"]


def sculpting_table(
    scores: ArrayLike,
    nuisance: ArrayLike,
    *,
    signal: ArrayLike | None = None,
    efficiencies: Sequence[float] = (0.01, 0.05, 0.1, 0.5),
    bins: int = 50,
    weights: ArrayLike | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Return how much selections by a score change the distribution of the nuisance.

    Only background rows may be given. If they contain anomalies, give weights 1 - r, because
    anomalies at one value of the nuisance are a signal and not a fault of the score.

    Args:
        scores: Scores of background rows, high for anomalies, (N,).
        nuisance: Nuisance of background rows, (N,).
        signal: Scores of signal rows, (M,), for the significance improvement; None to leave it out.
        efficiencies: Shares of the background that pass the selections, each in (0, 1).
        bins: Number of bins of `jensen_shannon`.
        weights: Weights of the background rows, such as 1 - r with the responsibility r of each row
            for being an anomaly, (N,). None for weights of 1.
        seed: Seed of `wasserstein`.

    Returns:
        Table with one row per efficiency: `threshold`, `passed` (number of rows), `jsd` (rows that
        pass against rows that fail, bins of equal counts), `wasserstein`, and with signal rows
        `significance`; and the columns `jsd_floor`, `wasserstein_floor` and `significance_floor`.

    Raises:
        DataError: An efficiency corresponds to less than one row, all scores are equal, or shapes
            differ.

    Example:
        >>> import numpy as np
        >>> rng = np.random.default_rng(0)
        >>> mass = rng.exponential(100, 5000)
        >>> table = sculpting_table(rng.normal(size=5000) + mass / 100, mass, efficiencies=[0.05])
        >>> bool(table["jsd"].iloc[0] > 5 * table["jsd_floor"].iloc[0])
        True
    """
    b, u = column_of(scores, "scores"), column_of(nuisance, "nuisance")
    if len(b) != len(u):
        raise DataError(f"There are {len(b)} scores and {len(u)} values of the nuisance.")
    w = row_weights(weights, len(b))
    records = []
    for efficiency in efficiencies:
        threshold = threshold_at(b, w, efficiency)
        passed = b > threshold
        check_some(float(passed.mean()), efficiency, len(b))
        figures = {
            "jsd": jensen_shannon(u, passed, bins=bins, weights=w),
            "wasserstein": wasserstein(u, passed, weights=w, seed=seed),
        }
        if signal is not None:
            figures["significance"] = significance_improvement(
                b, signal, efficiency=efficiency, weights=w
            )
        record: dict[str, Any] = {"efficiency": efficiency, "threshold": threshold}
        record["passed"] = int(passed.sum())
        for name, figure in figures.items():
            record |= {name: figure.value, f"{name}_floor": figure.floor}
        records.append(record)
    return pd.DataFrame(records).set_index("efficiency")
