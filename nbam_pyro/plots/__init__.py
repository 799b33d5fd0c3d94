"""Plots of fits, flags and posteriors; each function draws on an `Axes` and returns it.

A responsibility is the probability that a datum is contaminated, P(z=1 | x, y).
"""

from nbam_pyro.plots.class_rates import class_rates
from nbam_pyro.plots.embeddings import embedding_map
from nbam_pyro.plots.fits import training_curve, transition_matrix
from nbam_pyro.plots.flags import (
    contamination_map,
    occam_penalty,
    reliability,
    responsibilities,
    responsibilities_by,
)
from nbam_pyro.plots.posteriors import guide_and_chains, prior_comparison, rate_posterior
from nbam_pyro.plots.rate_maps import rate_map
from nbam_pyro.plots.sculpted import sculpting
from nbam_pyro.plots.story import story
from nbam_pyro.plots.thresholds import precision_recall

__all__ = [
    "class_rates",
    "contamination_map",
    "embedding_map",
    "guide_and_chains",
    "occam_penalty",
    "precision_recall",
    "prior_comparison",
    "rate_map",
    "rate_posterior",
    "reliability",
    "responsibilities",
    "responsibilities_by",
    "sculpting",
    "story",
    "training_curve",
    "transition_matrix",
]
