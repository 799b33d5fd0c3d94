"""The contract of stories with a closed form: it equals Pyro's enumeration of the same program."""

import pyro
import pytest
import torch
from pyro import poutine
from pyro.infer import Trace_ELBO
from torch import nn

from nbam_pyro import functional as nf
from nbam_pyro.errors import StoryError
from nbam_pyro.inference import (
    ClosedObjective,
    make_guide,
    sample_guide,
)
from nbam_pyro.inference.variational.enumeration import check_closed_form
from nbam_pyro.models import LabelFlip
from nbam_pyro.models.stories.sites import local_parameters
from nbam_pyro.testing import verified_rows
from nbam_pyro.training.rows import Batch
from nbam_pyro.verified import NOTHING
from tests.cases import CLOSED_STORIES, ThreeStates, draw_latents, prepare


@pytest.mark.parametrize("name", CLOSED_STORIES)
def test_the_closed_objective_is_an_elbo_with_one_factor(name):
    """It equals Pyro's Trace_ELBO of a program with the log marginal as a factor."""
    story, x, y = prepare(name)
    guide = make_guide(story, x, y)

    def model(x, y, num_data):
        latents = story.sample_latents()
        with story.plates(x, story.per_switch(y).shape, num_data=num_data):
            pyro.factor("log_marginal", nf.log_marginal(*story.log_joint(x, y, latents)))

    torch.manual_seed(3)
    with local_parameters():
        expected = Trace_ELBO().differentiable_loss(model, guide, x, y, 30) / 30
    torch.manual_seed(3)
    assert torch.allclose(
        ClosedObjective(story, guide)(Batch(x, y, torch.ones(len(x))), 30), expected, rtol=1e-4
    )


@pytest.mark.parametrize("name", CLOSED_STORIES)
def test_sample_guide_equals_a_trace_of_the_guide(name):
    story, x, y = prepare(name)
    guide = make_guide(story, x, y)
    torch.manual_seed(5)
    values, log_q = sample_guide(guide)
    torch.manual_seed(5)
    with local_parameters():
        trace = poutine.trace(guide).get_trace(x, y)
    for site, value in values.items():
        assert torch.allclose(value, trace.nodes[site]["value"])
    assert torch.allclose(log_q, torch.as_tensor(trace.log_prob_sum()), atol=1e-4)


@pytest.mark.parametrize("name", CLOSED_STORIES)
@pytest.mark.parametrize("some_verified", [False, True])
def test_occam_identity(name, some_verified):
    story, x, y = prepare(name)
    latents = draw_latents(story, x, y)
    verified = verified_rows(story, y) if some_verified else NOTHING
    a, b = story.log_joint(x, y, latents, verified=verified)
    l = story.switch_logits(x, latents)
    r = nf.responsibility(a, b)
    l = l.expand(a.shape)
    clean, anomaly = a - nn.functional.logsigmoid(-l), b - nn.functional.logsigmoid(l)
    likelihood = torch.where(r < 1, (1 - r) * clean, 0) + torch.where(r > 0, r * anomaly, 0)
    expected = likelihood - nf.occam_penalty(l, a, b)
    assert torch.allclose(nf.log_marginal(a, b), expected, rtol=1e-4, atol=1e-4)


def test_a_closed_form_that_contradicts_forward_is_refused():
    class Wrong(LabelFlip):
        def log_joint(self, x, y, latents):
            a, b = super().log_joint(x, y, latents)
            return a, b + 1.0

    x, y = torch.randn(4, 4), torch.tensor([0, 1, 2, 0])
    story = Wrong(nn.Linear(4, 3), 3)
    with torch.no_grad(), pytest.raises(StoryError, match="does not agree with its method forward"):
        check_closed_form(story, x, y, draw_latents(story, x, y))


def test_a_story_without_a_closed_form_has_no_closed_objective():
    with pytest.raises(StoryError, match="elbo"):
        ClosedObjective(ThreeStates(), nn.Identity())
