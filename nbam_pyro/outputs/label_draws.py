"""Draws of the contaminated share, the rates and the sharpness, for a report of labels."""

import numpy as np
import torch
import xarray as xr

from nbam_pyro.outputs.intervals import transition_draws
from nbam_pyro.outputs.label_readings import Readings

__all__ = ["label_draws"]

# Number of draws.
_DRAWS = 1000


def label_draws(readings: Readings) -> xr.Dataset:
    """Return draws of all unknown numbers.

    Given a sharpness, rates and share have the distributions of `transition_draws`. Given the share
    s of the N rows, the population rate is Beta(a + N s, b + N (1 - s)) with the pseudo-counts (a,
    b) of the contamination rates.

    Args:
        readings: Explanations and their weights.

    Returns:
        "contamination", "population_rate" and "sharpness" with the dimension "draw", "rate" with
        the dimensions "draw" and "class".
    """
    data = readings.data
    n, k = data.log_p.shape
    generator = torch.Generator().manual_seed(0)
    rng = np.random.default_rng(0)
    share, rate = np.zeros(_DRAWS), np.zeros((_DRAWS, k))
    sharpness = np.full(_DRAWS, readings.right_sharpness)
    edges = np.r_[readings.all_right, readings.weight].cumsum()
    chosen = np.searchsorted(edges, (np.arange(_DRAWS) + 0.5) / _DRAWS * edges[-1])
    for i, (_, transition, log_f) in enumerate(readings.estimates()):
        at = np.flatnonzero(chosen == i + 1)
        if not len(at):
            continue
        drawn = transition_draws(
            log_f,
            data.labels,
            transition,
            prior=readings.prior,
            draws=len(at),
            generator=generator,
            true_labels=data.true_labels,
        )
        share[at], rate[at] = drawn.share.numpy(), drawn.rate.numpy()
        sharpness[at] = readings.sharpness[i]
    wrong, right = _verified(readings)
    # Whole numbers of rows, so that no contaminated row at all is possible.
    counts = np.floor(share * n + rng.random(_DRAWS)).clip(wrong, n - right)
    a, b = readings.prior.rate
    population = rng.beta(a + counts, b + n - counts)
    order = rng.permutation(_DRAWS)
    return xr.Dataset(
        {
            "contamination": ("draw", (counts / n)[order]),
            "population_rate": ("draw", population[order]),
            "sharpness": ("draw", sharpness[order]),
            "rate": (("draw", "class"), rate[order]),
        },
        coords={"class": data.classes.to_numpy()},
    )


def _verified(readings: Readings) -> tuple[int, int]:
    """Return the numbers of labels that are verified as wrong and as right."""
    true, labels = readings.data.true_labels, readings.data.labels
    if true is None:
        return 0, 0
    known = true >= 0
    wrong = int((true != labels)[known].sum())
    return wrong, int(known.sum()) - wrong
