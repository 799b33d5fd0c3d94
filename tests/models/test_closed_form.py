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
    EnumeratedObjective,
    enumerate_states,
    make_guide,
    sample_guide,
)
from nbam_pyro.inference.variational.enumeration import check_closed_form, log_joint, switch_logits
from nbam_pyro.models import LabelFlip
from nbam_pyro.models.stories.sites import local_parameters
from nbam_pyro.training.rows import Batch
from nbam_pyro.verified import NOTHING
from tests.cases import (
    ALL_STORIES,
    CLOSED_STORIES,
    ThreeStates,
    draw_latents,
    prepare,
    verified_rows,
)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("n", [1, 2, 64])
@pytest.mark.parametrize("name", CLOSED_STORIES)
def test_closed_form_equals_enumeration(name, n, dtype):
    story, x, y = prepare(name, n, dtype)
    latents = draw_latents(story, x, y, dtype)
    exact = enumerate_states(story, x, y, latents)
    a, b = story.log_joint(x, y, latents)
    assert a.shape == b.shape == y.shape
    assert torch.allclose(a, exact.clean, rtol=1e-4, atol=1e-5)
    assert torch.allclose(b, exact.contaminated, rtol=1e-4, atol=1e-5)
    prior = exact.prior_contaminated - exact.prior_clean
    assert torch.allclose(switch_logits(story, x, y, latents), prior, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("n", [1, 2, 64])
@pytest.mark.parametrize("name", ALL_STORIES)
def test_verified_rows_have_the_same_closed_form_and_enumeration(name, n, dtype):
    """Only states that agree with verified values remain, and their log joint does not change."""
    story, x, y = prepare(name, n, dtype)
    latents = draw_latents(story, x, y, dtype)
    verified = verified_rows(story, y)
    exact = enumerate_states(story, x, y, latents, verified=verified)
    a, b = log_joint(story, x, y, latents, verified=verified)
    assert torch.allclose(a, exact.clean, rtol=1e-4, atol=1e-5)
    assert torch.allclose(b, exact.contaminated, rtol=1e-4, atol=1e-5)
    switch = verified.switch(y)
    assert torch.equal(a == -torch.inf, switch == 1)
    assert torch.equal(b == -torch.inf, switch == 0)
    r = nf.responsibility(a, b)
    assert (r[switch >= 0] == switch[switch >= 0]).all()
    free_a, free_b = log_joint(story, x, y, latents)
    assert torch.equal(a[switch < 1], free_a[switch < 1])
    all_terms = (switch != 0) & (verified.true_label < 0)
    assert torch.equal(b[all_terms], free_b[all_terms])
    prior = exact.prior_contaminated - exact.prior_clean  # verified values do not change the prior
    assert torch.allclose(switch_logits(story, x, y, latents), prior, rtol=1e-4, atol=1e-5)


def gradients(objective, story, guide, x, y, num_data, seed=1, verified=NOTHING):
    parameters = [p for m in (story, guide) for p in m.parameters() if p.requires_grad]
    torch.manual_seed(seed)  # both objectives use the same draw of the global latents
    value = objective(Batch(x, y, torch.ones(len(x)), verified), num_data)
    return value, torch.autograd.grad(value, parameters, allow_unused=True)


def same(closed, exact):
    assert torch.allclose(closed[0], exact[0], rtol=1e-4, atol=1e-5)
    for ours, pyros in zip(closed[1], exact[1], strict=True):
        if ours is None or pyros is None:  # the story does not use this parameter
            assert ours is None or not ours.any()
            assert pyros is None or not pyros.any()
        else:
            assert torch.allclose(ours, pyros, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("n", [1, 2, 64])
@pytest.mark.parametrize("times", [1, 10])
@pytest.mark.parametrize("name", CLOSED_STORIES)
def test_objectives_agree_in_value_and_gradients(name, n, times):
    """They agree with and without global latents, on all rows, on a subsample and on one row."""
    story, x, y = prepare(name, n)
    guide = make_guide(story, x, y)
    closed = gradients(ClosedObjective(story, guide), story, guide, x, y, n * times)
    exact = gradients(EnumeratedObjective(story, guide), story, guide, x, y, n * times)
    same(closed, exact)


@pytest.mark.parametrize("n", [1, 2, 64])
@pytest.mark.parametrize("name", CLOSED_STORIES)
def test_objectives_agree_on_verified_rows(name, n):
    story, x, y = prepare(name, n)
    guide = make_guide(story, x, y)
    verified = verified_rows(story, y)
    closed = gradients(ClosedObjective(story, guide), story, guide, x, y, n, verified=verified)
    exact = gradients(EnumeratedObjective(story, guide), story, guide, x, y, n, verified=verified)
    same(closed, exact)
    assert all(g.isfinite().all() for g in closed[1] if g is not None)


@pytest.mark.parametrize("name", CLOSED_STORIES)
def test_the_closed_objective_is_an_elbo_with_one_factor(name):
    """It equals Pyro's Trace_ELBO of a program with the log marginal as a factor."""
    story, x, y = prepare(name)
    guide = make_guide(story, x, y)

    def model(x, y, num_data):
        latents = story.sample_latents()
        with story.plates(x, y.shape, num_data=num_data):
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
    with torch.no_grad(), pytest.raises(StoryError, match="does not agree with its forward"):
        check_closed_form(story, x, y, draw_latents(story, x, y))


def test_a_story_without_a_closed_form_has_no_closed_objective():
    with pytest.raises(StoryError, match="elbo"):
        ClosedObjective(ThreeStates(), nn.Identity())
