"""The contract of every story: Pyro's own inference agrees, and mistakes are named."""

from functools import partial

import pyro
import pytest
import torch
from pyro import poutine
from pyro.infer import TraceEnum_ELBO, infer_discrete
from pyro.infer.autoguide import AutoNormal

from nbam_pyro import functional as nf
from nbam_pyro.errors import StoryError
from nbam_pyro.inference import EnumeratedObjective, enumerate_states, make_guide
from nbam_pyro.inference.variational.enumeration import log_joint, switch_logits
from nbam_pyro.models import LabelFlip, LatentSwitch
from nbam_pyro.models.stories.sites import local_parameters
from nbam_pyro.testing import check_story, verified_rows
from nbam_pyro.training.rows import Batch
from nbam_pyro.verified import NOTHING
from tests.cases import ALL_STORIES, ThreeStates, WithoutVerified, draw_latents, prepare


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("n", [2, 64])
@pytest.mark.parametrize("name", ALL_STORIES)
def test_every_story_keeps_the_contract(name, n, dtype):
    check_story(*prepare(name, n, dtype))


@pytest.mark.parametrize("some_verified", [False, True])
@pytest.mark.parametrize("name", ALL_STORIES)
def test_responsibilities_equal_compute_marginals(name, some_verified):
    story, x, y = prepare(name)
    latents = draw_latents(story, x, y)
    verified = verified_rows(story, y) if some_verified else NOTHING
    with torch.no_grad(), local_parameters():
        conditioned = poutine.condition(story, data=latents)
        elbo = TraceEnum_ELBO(max_plate_nesting=1 + len(story.dims))
        marginals = elbo.compute_marginals(
            conditioned, lambda x, y, verified: None, x, y, verified=verified
        )
        r = nf.responsibility(*log_joint(story, x, y, latents, verified=verified))
    if isinstance(story, LabelFlip | LatentSwitch):
        expected = marginals["switch"].probs
    else:
        expected = marginals["kind"].probs[:, 1:].sum(-1)
    assert torch.allclose(r, expected, atol=1e-4)


def switch_frequencies(model, x, y, contaminated, draws):
    with torch.no_grad(), local_parameters():
        switches = []
        for _ in range(draws):
            trace = poutine.trace(model).get_trace(x, y)
            states = {name: site["value"] for name, site in trace.iter_stochastic_nodes()}
            switches.append(contaminated(states))
    return torch.stack(switches).float().mean(0)


def test_infer_discrete_agrees_only_given_the_guide_latents():
    """`infer_discrete` inside `replay` draws the global latents from their prior: a mistake."""
    story, x, y = prepare("label_flip")
    rare = {"rate": torch.full((3,), 0.02), "flip": torch.full((3, 2), 0.5)}
    guide = make_guide(story, x, y, start=rare, family=partial(AutoNormal, init_scale=0.01))
    with local_parameters():
        trace = poutine.trace(guide).get_trace(x, y)
    latents = {name: trace.nodes[name]["value"].detach() for name in rare}
    r = nf.responsibility(*story.log_joint(x, y, latents))
    right = infer_discrete(poutine.replay(story, trace), first_available_dim=-2)
    wrong = poutine.replay(infer_discrete(story, first_available_dim=-2), trace)
    draws = 400
    error = 4 * (r * (1 - r) / draws).sqrt() + 1e-2
    assert ((switch_frequencies(right, x, y, story.contaminated, draws) - r).abs() < error).all()
    difference = switch_frequencies(wrong, x, y, story.contaminated, draws) - r
    assert (difference.abs() > error).any()


@pytest.mark.parametrize("temperature", [0, 1])
def test_infer_discrete_respects_what_is_verified(temperature):
    story, x, y = prepare("label_flip", 64)
    verified = verified_rows(story, y)
    with local_parameters():
        model = poutine.condition(story, data=draw_latents(story, x, y))
        sampler = infer_discrete(model, first_available_dim=-2, temperature=temperature)
        trace = poutine.trace(sampler).get_trace(x, y, verified=verified)
    switch, label = verified.switch(y), verified.label(y)
    assert torch.equal(trace.nodes["switch"]["value"][switch >= 0].long(), switch[switch >= 0])
    assert torch.equal(trace.nodes["true_label"]["value"][label >= 0], label[label >= 0])


def test_verified_rows_need_a_story_with_the_argument_verified():
    story, x, y = WithoutVerified(), torch.randn(4, 4), torch.tensor([0, 1, 2, 0])
    latents = {"shares": torch.tensor([0.7, 0.2, 0.1])}
    assert enumerate_states(story, x, y, latents).clean.isfinite().all()
    verified = verified_rows(story, y)
    with pytest.raises(StoryError, match=r"WithoutVerified.forward .* observe_verified"):
        enumerate_states(story, x, y, latents, verified=verified)
    objective = EnumeratedObjective(story, make_guide(story, x, y))
    with pytest.raises(StoryError, match=r"WithoutVerified.forward .* observe_verified"):
        objective(Batch(x, y, torch.ones(4), verified), 4)


class WithoutVerifiedLogJoint(LabelFlip):
    """A closed form that cannot take verified rows."""

    def log_joint(self, x, y, latents):
        return super().log_joint(x, y, latents)


def test_verified_rows_need_a_closed_form_with_the_argument_verified():
    story, x, y = (
        WithoutVerifiedLogJoint(torch.nn.Linear(4, 3), 3),
        torch.randn(4, 4),
        torch.arange(4) % 3,
    )
    latents = story.prior_means()
    assert log_joint(story, x, y, latents)[0].isfinite().all()
    with pytest.raises(StoryError, match=r"WithoutVerifiedLogJoint.log_joint has no argument"):
        log_joint(story, x, y, latents, verified=verified_rows(story, y))


def test_a_story_draws_targets():
    story, x, _ = prepare("label_flip")
    with local_parameters():
        y = story(x)
    assert y.shape == (6,)
    assert ((y >= 0) & (y < 3)).all()


def test_a_site_left_out_of_enumeration_is_named():
    class Forgetful(ThreeStates):
        def forward(self, x, y=None, *, num_data=None):
            with pyro.plate("rows", num_data or len(x), subsample=x):
                kind = pyro.sample("kind", pyro.distributions.Bernoulli(0.5))
                return pyro.sample("label", pyro.distributions.Normal(kind, 1.0), obs=y)

    with pytest.raises(StoryError, match="'kind'"):
        enumerate_states(Forgetful(), torch.zeros(2, 4), torch.zeros(2), {})


def test_three_states_have_a_prior_too():
    story, x, y = prepare("three_states")
    latents = {"shares": torch.tensor([0.7, 0.2, 0.1])}
    assert torch.allclose(switch_logits(story, x, y, latents).sigmoid(), torch.tensor(0.3))
