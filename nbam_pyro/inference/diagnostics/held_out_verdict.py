"""The verdict of a fit of measurements with a trained mean, from the rows held out from it."""

from dataclasses import replace

import numpy as np

from nbam_pyro.outputs import from_predictions
from nbam_pyro.outputs.verdict import Verdict
from nbam_pyro.outputs.wording.parts import FEWEST
from nbam_pyro.outputs.wording.sentences import sentence

__all__ = ["held_out_verdict"]


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
    if len(y) < FEWEST:
        return Verdict(
            level="weak",
            sure="The fit has shown no sign of collapse.",
            assumed=(
                "It is assumed that large residuals are contamination, not a heavy tail of clean "
                f"measurements: {len(y)} rows were held out from the fit, too few to see the tail."
            ),
            decides=f"Hold out at least {FEWEST} rows (held_out=), or use more rows.",
        )
    verdict = from_predictions(y, mean, scale=scale).verdict
    if verdict.level == "identified":
        return verdict
    judged = f"the residuals of {len(y)} held-out rows were judged"
    return replace(verdict, sure=sentence(verdict.sure, judged))
