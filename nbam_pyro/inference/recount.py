"""`Recount`: the fitted network joins the evidence, and rates and flips follow."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from nbam_pyro.class_prior import check_class_prior
from nbam_pyro.errors import StoryError
from nbam_pyro.functional import off_diagonal
from nbam_pyro.inference.guides import evaluating, guide_median
from nbam_pyro.inference.run import Run
from nbam_pyro.inference.steps import Step
from nbam_pyro.models import LabelFlip
from nbam_pyro.priors import FlipPrior


@dataclass(frozen=True, kw_only=True)
class Recount(Step):
    r"""Let the fitted network join the evidence of `CrossFit`; move rates and T towards their mode.

    The evidence becomes the geometric mean of what the network says of a row and what the copies
    say that did not see its label, :math:`f \propto \sqrt{f_{in} f_{out}}`: the network has learned
    from more rows and for longer, the copies have not memorised. Rates and T are then estimated
    from expected counts over all rows, by EM in closed form; where there is a deviation g(x) they
    stay as they are.

    Args:
        class_prior: as of `CrossFit`, and best the same. The network's predictions enter as they
            are, so that a shift of the copies' alone would be halved. None for no prior.

    Raises:
        DataError: `class_prior` is not positive.
        StoryError: the story is no `LabelFlip`, or no `CrossFit` came before.
    """

    class_prior: float | None = None

    def __post_init__(self) -> None:
        check_class_prior(self.class_prior)

    def __call__(self, run: Run) -> None:
        story = run.story
        if not isinstance(story, LabelFlip) or run.cross_fitted is None:
            raise StoryError("Recount needs a LabelFlip story and the evidence of CrossFit.")
        log_f = (_network(run, story) + run.cross_fitted.log_probs) / 2
        evidence = replace(run.cross_fitted, log_probs=log_f.log_softmax(-1))
        run.cross_fitted = evidence
        if story.locality and self.class_prior is None:
            return
        latents = guide_median(run.guide_or_new())
        prior = story.prior or FlipPrior()
        moved = evidence.moved(prior, latents, class_prior=self.class_prior)
        run.cross_fitted = evidence.shifted(moved, self.class_prior)
        if story.locality:
            return
        flips = off_diagonal(moved.flip)
        run.start = {"rate": moved.rate.to(log_f), "flip": flips.to(log_f)}
        run.guide = None


def _network(run: Run, story: LabelFlip) -> Tensor:
    """Log probabilities of true labels by the fitted network, one row per label."""
    median = guide_median(run.guide_or_new())
    latents = {name: value.to(run.device) for name, value in median.items()}
    with torch.no_grad(), evaluating(story, run.device):
        batches = run.rows.near(run.device).loader(np.arange(len(run.rows)), 1024)
        parts = [story.log_predictor(batch.x.to(run.device), latents)[0].cpu() for batch in batches]
    return torch.cat(parts).flatten(end_dim=-2)
