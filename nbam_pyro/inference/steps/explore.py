"""`Explore`: find the modes of the posterior of a story whose numbers all have a prior."""

from dataclasses import dataclass

import numpy as np
import torch

from nbam_pyro.errors import StoryError
from nbam_pyro.inference.steps.run import Run
from nbam_pyro.inference.steps.step import Step
from nbam_pyro.inference.variational.search import search_modes
from nbam_pyro.training.rows import Batch
from nbam_pyro.training.tensors import precision_of


@dataclass(frozen=True, kw_only=True)
class Explore(Step):
    """Find the modes of the posterior and their probabilities, if every number has a prior.

    Many starts, from the prior and from `Story.starts`, are screened by their log posterior
    density. The best different ones are optimised side by side. Starts that end in the same mode
    are merged, and the modes whose evidence is clearly worse than the best are dropped. Draws from
    Student-t distributions around all modes, weighted by the exact posterior density, then give the
    probability of each mode and the posterior of the global latents. The fit uses all rows: no row
    is held out.

    Args:
        modes: Largest number of modes to keep.
        draws: Number of draws that the fit keeps.

    Raises:
        StoryError: The story has networks or other parameters without a prior.
    """

    modes: int = 4
    draws: int = 1000

    def __call__(self, run: Run) -> None:
        if any(True for _ in run.story.parameters()):
            raise StoryError(
                f"Explore needs a story whose numbers all have a prior, but this "
                f"{type(run.story).__name__} has trainable parameters. Fit it with Joint, or give "
                "it components with priors, such as LinearNormal."
            )
        if run.drawn:
            run.training_index, run.held_out_index = np.arange(len(run.rows)), np.arange(0)
        found = search_modes(
            run.story, _all_rows(run), most=self.modes, draws=self.draws, seed=run.seed
        )
        if found is None:
            run.guide_or_new()
            return
        run.peaks, run.widening = found.peaks, found.widening
        run.guide = found.guide.to(precision_of(run.story))


def _all_rows(run: Run) -> Batch:
    """Return all rows of the fit as one batch on the CPU."""
    parts = list(run.rows.loader(run.training_index, 4096))
    return Batch(
        x=torch.cat([part.x for part in parts]),
        y=torch.cat([part.y for part in parts]),
        weights=torch.cat([part.weights for part in parts]),
        verified=run.rows.verified[run.training_index],
    )
