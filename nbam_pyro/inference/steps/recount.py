"""`Recount`: the fitted network joins the evidence; rates, flips and g(x) follow."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.distributions import biject_to

from nbam_pyro.errors import StoryError
from nbam_pyro.inference.steps.basic import Step
from nbam_pyro.inference.steps.evidence import Evidence
from nbam_pyro.inference.steps.run import Run
from nbam_pyro.inference.variational.guides import Draw, guide_median
from nbam_pyro.models import LatentLabelStory
from nbam_pyro.models.priors.pseudo_counts import FlipPrior
from nbam_pyro.outputs.transition import Transition

# Sites of what a row adds to the logit of its rate.
_DEVIATION = ("deviation", "group", "group_spread")


@dataclass(frozen=True, kw_only=True)
class Recount(Step):
    r"""Let the fitted network join the evidence of `CrossFit`; move rates and T towards their mode.

    The evidence becomes the geometric mean of what the network says of a row and what the copies
    say that did not see its label, :math:`f \propto \sqrt{f_{in} f_{out}}`: the network has learned
    from more rows and for longer, the copies have not memorised. Such a mean is too flat, and is
    raised to the power that makes the labels most probable (`Evidence.sharpened`). Rates and T are
    then estimated from expected counts over all rows, by EM in closed form, and after them what
    deviates, g(x) and groups, at its mode given rates, T and the evidence.

    A prior on class frequencies that `CrossFit` had holds here too: the network's predictions enter
    as they are, and a shift of the copies' alone would be halved.

    Raises:
        StoryError: the story is no `LabelFlip`, or no `CrossFit` came before.
    """

    def __call__(self, run: Run) -> None:
        story = run.latent_label("Recount")
        if run.cross_fitted is None:
            raise StoryError("Recount needs the evidence of CrossFit: put that step before it.")
        log_f = (_network(run, story) + run.cross_fitted.log_probs) / 2
        latents = guide_median(run.guide_or_new())
        pooled = replace(run.cross_fitted, log_probs=log_f.log_softmax(-1))
        evidence = pooled.sharpened(latents)
        moved = evidence.moved(
            story.prior or FlipPrior(), latents, class_prior=evidence.class_prior
        )
        adopt(run, story, evidence.shifted(moved, evidence.class_prior), moved)


def adopt(run: Run, story: LatentLabelStory, evidence: Evidence, transition: Transition) -> None:
    """Let the guide of a run start anew from evidence, its rates and T, and what deviates.

    Args:
        run: the run.
        story: its story.
        evidence: log probabilities of true labels.
        transition: rates and T given them.
    """
    start = evidence.latents(transition)
    if story.deviates:
        start |= _deviation(run, story, evidence, start)
    run.cross_fitted, run.start, run.guide = evidence, start, None


def _deviation(run: Run, story: LatentLabelStory, evidence: Evidence, latents: Draw) -> Draw:
    """What deviates at its mode given rates, T and evidence, in the space of a guide."""
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


def _network(run: Run, story: LatentLabelStory) -> Tensor:
    """Log probabilities of true labels by the fitted network, one row per label."""
    median = guide_median(run.guide_or_new())
    latents = {name: value.to(run.device) for name, value in median.items()}
    every = np.arange(len(run.rows))
    log_f = run.predict(story, every, lambda x: story.log_predictor(x, latents)[0])
    return log_f.flatten(end_dim=-2)
