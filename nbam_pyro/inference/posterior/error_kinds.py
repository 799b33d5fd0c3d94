"""Which part of a row is wrong, its target or its features: `error_kinds`."""

from typing import Any

import numpy as np
import pandas as pd
from torch import Tensor

from nbam_pyro.errors import StoryError
from nbam_pyro.inference.posterior.draws import Scored
from nbam_pyro.inference.posterior.fit_result import Fit
from nbam_pyro.inference.posterior.scoring import in_evaluation_mode, per_draw
from nbam_pyro.inference.variational.guides import Draw
from nbam_pyro.models import FeatureErrors

__all__ = ["error_kinds"]


def error_kinds(fit: Fit, x: Any, y: Any, *, num_draws: int = 200) -> pd.DataFrame:
    """Return the probability that a row is right, that its target is wrong, or its features are.

    The last two probabilities add up to the responsibility of the row.

    Args:
        fit: Fit of a `FeatureErrors`.
        x: Rows, (N, D).
        y: Observed targets, (N,).
        num_draws: Number of draws of the global latents, over which probabilities are averaged.

    Returns:
        A table with the columns "right", "target" and "features", and one line per row.

    Raises:
        DataError: The rows are invalid (see `responsibilities`).
        StoryError: The story does not tell errors of features from errors of targets.
    """
    fit = in_evaluation_mode(fit)
    story = fit.story
    if not isinstance(story, FeatureErrors):
        raise StoryError(
            f"A {type(story).__name__} does not tell wrong features from wrong targets: fit "
            "errors_in_features(x, y)."
        )

    def kinds(rows: Scored, latents: Draw) -> Tensor:
        return story.kind_posterior(rows.x, rows.y, latents)

    parts = [part.mean(0) for part in per_draw(fit, kinds, x, y, num_draws=num_draws)]
    return pd.DataFrame(np.concatenate(parts), columns=["right", "target", "features"])
