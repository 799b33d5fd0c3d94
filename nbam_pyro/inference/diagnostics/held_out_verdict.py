"""The verdict of a fit of measurements with a trained mean, from the rows held out from it."""

from dataclasses import replace

import numpy as np

from nbam_pyro.outputs import from_predictions
from nbam_pyro.outputs.verdict import Verdict

__all__ = ["held_out_verdict"]

# With fewer held-out rows their residuals have no shape.
_FEWEST = 20


def held_out_verdict(y: np.ndarray, mean: np.ndarray, scale: np.ndarray) -> Verdict:
    """Return the verdict on contamination from the residuals of held-out rows.

    A trained mean leaves small residuals in its own training rows, so their shape says little. On
    held-out rows few gross errors compete with a heavy tail of clean measurements; see
    `from_predictions`.

    Args:
        y: Held-out measurements, (N,), any number of them.
        mean: Clean mean of each row, (N,).
        scale: Clean standard deviation of each row, (N,), positive.
    """
    if len(y) < _FEWEST:
        return Verdict(
            level="weak",
            reasons=(
                f"{len(y)} rows were held out from the fit, too few to see whether large residuals "
                "are contamination or a heavy tail of clean measurements.",
            ),
            separates=(f"Hold out at least {_FEWEST} rows (held_out=), or use more rows.",),
        )
    verdict = from_predictions(y, mean, scale=scale).verdict
    if verdict.level == "identified":
        return verdict
    return replace(
        verdict, reasons=(f"Residuals of {len(y)} held-out rows were judged.", *verdict.reasons)
    )
