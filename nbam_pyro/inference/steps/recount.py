"""`Recount`: estimate rates, flips and g(x) again, with the fitted network as evidence."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.distributions import biject_to

from nbam_pyro.errors import StoryError
from nbam_pyro.inference.steps.evidence import Evidence
from nbam_pyro.inference.steps.run import Run
from nbam_pyro.inference.steps.step import Step
from nbam_pyro.inference.variational.guides import Draw, guide_median
from nbam_pyro.models import LatentLabelStory
from nbam_pyro.models.priors.pseudo_counts import FlipPrior
from nbam_pyro.outputs.transition import Transition

# Sites of the deviations that are added to the logit of a row's rate.
_DEVIATION = ("deviation", "group", "group_spread")


@dataclass(frozen=True, kw_only=True)
class Recount(Step):
    r"""Add the fitted network to the evidence of `CrossFit`, and estimate rates and flips again.

    The rates are the contamination rates of the true classes, and the flips are the flip matrix T.
    The new evidence is the geometric mean of two predictions of each row: f_in, the prediction of
    the fitted network, and f_out, the prediction of the copies that did not see the label of the
    row, :math:`f \propto \sqrt{f_{in} f_{out}}`. The network has learned from more rows and for
    longer. The copies have not memorised the labels. Such a mean is too uncertain, so it is raised
    to the power that makes the labels most probable (`Evidence.sharpened`). Then rates and T are
    moved towards their mode by EM in closed form, from expected counts over all rows. At the end
    the deviations of rates, which are g(x) and those of groups, are set to their mode given rates,
    T and the evidence.

    The class prior of `CrossFit` is used here again. The network's predictions are not shifted to
    the class frequencies. Without the class prior, only half of the shift of the copies'
    predictions would therefore remain.

    Raises:
        StoryError: The story is not a `LabelFlip`, or the recipe has no `CrossFit` step before this
            step.
    """

    def __call__(self, run: Run) -> None:
        story = run.latent_label("Recount")
        if run.cross_fitted is None:
            raise StoryError(
                "Recount needs the evidence of CrossFit. Put a CrossFit step before it."
            )
        log_f = (_network_log_probs(run, story) + run.cross_fitted.log_probs) / 2
        latents = guide_median(run.guide_or_new())
        pooled = replace(run.cross_fitted, log_probs=log_f.log_softmax(-1))
        evidence = pooled.sharpened(latents)
        moved = evidence.updated_transition(
            story.prior or FlipPrior(), latents, class_prior=evidence.class_prior
        )
        set_evidence(run, story, evidence.shifted(moved, evidence.class_prior), moved)


def set_evidence(
    run: Run, story: LatentLabelStory, evidence: Evidence, transition: Transition
) -> None:
    """Set the evidence of a run, and restart its guide from rates, T and deviations.

    Args:
        run: State of the fit.
        story: Story of the run.
        evidence: Log probabilities of true labels.
        transition: Rates and T that were estimated from this evidence.
    """
    start = evidence.latents(transition)
    if story.deviates:
        start |= _deviation_mode(run, story, evidence, start)
    run.cross_fitted, run.start, run.guide = evidence, start, None


def _deviation_mode(run: Run, story: LatentLabelStory, evidence: Evidence, latents: Draw) -> Draw:
    """Return the mode of the deviations given rates, T and evidence, by site name.

    The mode is that of the density in unconstrained space, the space of a guide.
    """
    inputs = run.predict(story, np.arange(len(run.rows)), story.deviation_inputs)
    priors = {name: prior for name, prior in story.priors().items() if name in _DEVIATION}
    transforms = {name: biject_to(prior.support) for name, prior in priors.items()}
    free = {n: transforms[n].inv(p.mean).clone().requires_grad_() for n, p in priors.items()}
    optimizer = torch.optim.LBFGS(list(free.values()), max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        values = {name: transforms[name](u) for name, u in free.items()}
        marginals = evidence.log_marginals(latents, story.deviation(inputs, values))
        total = (marginals * evidence.weights).sum()
        for name, value in values.items():
            jacobian = transforms[name].log_abs_det_jacobian(free[name], value)
            total = total + priors[name].log_prob(value).sum() + jacobian.sum()
        (-total).backward()
        return -total

    optimizer.step(loss)
    return {name: transforms[name](u).detach() for name, u in free.items()}


def _network_log_probs(run: Run, story: LatentLabelStory) -> Tensor:
    """Return the log probabilities of true labels by the fitted network, (labels, K)."""
    median = guide_median(run.guide_or_new())
    latents = {name: value.to(run.device) for name, value in median.items()}
    every = np.arange(len(run.rows))
    log_f = run.predict(story, every, lambda x: story.log_predictor(x, latents)[0])
    return log_f.flatten(end_dim=-2)
