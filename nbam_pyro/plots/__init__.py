"""Plots of fits, flags and posteriors; each function draws on an `Axes` and returns it.

A responsibility is the probability that a datum is contaminated, P(z=1 | x, y).
"""

from nbam_pyro.plots.fits import training_curve, transition_matrix
from nbam_pyro.plots.flags import (
    contamination_map,
    occam_penalty,
    reliability,
    responsibilities,
    responsibilities_by,
)
from nbam_pyro.plots.posteriors import guide_and_chains, prior_comparison, rate_posterior
from nbam_pyro.plots.sculpted import sculpting
from nbam_pyro.plots.story import story

__all__ = [
    "contamination_map",
    "guide_and_chains",
    "occam_penalty",
    "prior_comparison",
    "rate_posterior",
    "reliability",
    "responsibilities",
    "responsibilities_by",
    "sculpting",
    "story",
    "training_curve",
    "transition_matrix",
]
