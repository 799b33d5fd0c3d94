"""The contract of every story: the closed form and Pyro's own account of it are one number."""

from functools import partial

import pyro
import pytest
import torch
from pyro import poutine
from pyro.infer import Trace_ELBO, TraceEnum_ELBO, infer_discrete
from pyro.infer.autoguide import AutoNormal
from torch import nn

from nbam_pyro import functional as nf
from nbam_pyro.errors import DataError, StoryError
from nbam_pyro.inference import (
    ClosedObjective,
    EnumeratedObjective,
    enumerate_states,
    guide_draws,
    make_guide,
    sample_guide,
)
from nbam_pyro.inference.variational.enumeration import check_closed_form, log_joint, switch_logits
from nbam_pyro.models import LabelFlip, LatentSwitch
from nbam_pyro.models.stories.sites import local_parameters
from nbam_pyro.testing import check_story, verified_rows
from nbam_pyro.training.rows import Batch
from nbam_pyro.verified import NOTHING
from tests.cases import (
    ALL_STORIES,
    CLOSED_STORIES,
    HardOfHearing,
    ThreeStates,
)


def draw(story, x, y):
    return {name: value[0] for name, value in guide_draws(make_guide(story, x, y), 1).items()}


def prepare(name, n=6, dtype=torch.float32):
    make, data = ALL_STORIES[name]
    x, y = data(n)
    story = make().to(dtype).eval()
    return story, x.to(dtype), y.to(dtype) if y.is_floating_point() else y


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("n", [2, 64])
@pytest.mark.parametrize("name", ALL_STORIES)
def test_every_story_keeps_the_contract(name, n, dtype):
    story, x, y = prepare(name, n, dtype)
    check_story(story, x, y)


@pytest.mark.parametrize("name", [name for name in CLOSED_STORIES if name.startswith("label_flip")])
def test_true_labels_given_what_is_verified(name):
    """Clean: the observed one. Contaminated: any other. Verified: that one."""
    story, x, y = prepare(name, 64)
    latents = draw(story, x, y)
    verified = verified_rows(story, y)
    posterior = story.true_label_log_posterior(x, y, latents, verified=verified).exp()
    assert torch.allclose(posterior.sum(-1), torch.ones(y.shape))
    known = verified.label(y)
    sure = nn.functional.one_hot(known.clamp_min(0), story.num_classes).float()
    assert torch.equal(posterior[known >= 0], sure[known >= 0])
    r = nf.responsibility(*story.log_joint(x, y, latents, verified=verified))
    own = posterior.gather(-1, y.unsqueeze(-1)).squeeze(-1)
    assert torch.allclose(1 - own, r, atol=1e-5)
    if story.num_classes > 2:
        soft = posterior[(known < 0) & (verified.contaminated == 1)]
        assert ((soft < 1).all(-1)).all()


@pytest.mark.parametrize("name", CLOSED_STORIES)
def test_the_closed_objective_is_an_elbo_with_one_factor(name):
    """The same guide and sites, with a factor in the data plate, through Pyro's Trace_ELBO."""
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
def test_a_guide_read_directly_is_the_guide_traced(name):
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
@pytest.mark.parametrize("looked_at", [False, True])
def test_occam_identity(name, looked_at):
    story, x, y = prepare(name)
    latents = draw(story, x, y)
    verified = verified_rows(story, y) if looked_at else NOTHING
    a, b = story.log_joint(x, y, latents, verified=verified)
    l = story.switch_logits(x, latents)
    r = nf.responsibility(a, b)
    l = l.expand(a.shape)
    clean, anomaly = a - nn.functional.logsigmoid(-l), b - nn.functional.logsigmoid(l)
    likelihood = torch.where(r < 1, (1 - r) * clean, 0) + torch.where(r > 0, r * anomaly, 0)
    expected = likelihood - nf.occam_penalty(l, a, b)
    assert torch.allclose(nf.log_marginal(a, b), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("looked_at", [False, True])
@pytest.mark.parametrize("name", ALL_STORIES)
def test_responsibilities_equal_compute_marginals(name, looked_at):
    story, x, y = prepare(name)
    latents = draw(story, x, y)
    verified = verified_rows(story, y) if looked_at else NOTHING
    with torch.no_grad(), local_parameters():
        conditioned = poutine.condition(story, data=latents)
        elbo = TraceEnum_ELBO(max_plate_nesting=1 + len(story.dims))
        marginals = elbo.compute_marginals(
            conditioned, lambda x, y, **known: None, x, y, **verified.keyword
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


def test_infer_discrete_agrees_and_prior_latents_do_not():
    """The trap: `infer_discrete` inside `replay` draws the global latents from their prior."""
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
        model = poutine.condition(story, data=draw(story, x, y))
        sampler = infer_discrete(model, first_available_dim=-2, temperature=temperature)
        trace = poutine.trace(sampler).get_trace(x, y, verified=verified)
    switch, label = verified.switch(y), verified.label(y)
    assert torch.equal(trace.nodes["switch"]["value"][switch >= 0].long(), switch[switch >= 0])
    assert torch.equal(trace.nodes["true_label"]["value"][label >= 0], label[label >= 0])


def test_a_story_that_does_not_hear_is_told_what_to_add():
    story, x, y = HardOfHearing(), torch.randn(4, 4), torch.tensor([0, 1, 2, 0])
    latents = {"shares": torch.tensor([0.7, 0.2, 0.1])}
    assert enumerate_states(story, x, y, latents).clean.isfinite().all()
    verified = verified_rows(story, y)
    with pytest.raises(StoryError, match=r"HardOfHearing.forward .* observe_verified"):
        enumerate_states(story, x, y, latents, verified=verified)
    objective = EnumeratedObjective(story, make_guide(story, x, y))
    with pytest.raises(StoryError, match="observe_verified"):
        objective(Batch(x, y, torch.ones(4), verified), 4)


def test_a_story_draws_targets():
    story, x, _ = prepare("label_flip")
    with local_parameters():
        y = story(x)
    assert y.shape == (6,)
    assert ((y >= 0) & (y < 3)).all()


def test_a_closed_form_that_contradicts_forward_is_refused():
    class Wrong(LabelFlip):
        def log_joint(self, x, y, latents):
            a, b = super().log_joint(x, y, latents)
            return a, b + 1.0

    x, y = torch.randn(4, 4), torch.tensor([0, 1, 2, 0])
    story = Wrong(nn.Linear(4, 3), 3)
    with torch.no_grad(), pytest.raises(StoryError, match="does not agree with its forward"):
        check_closed_form(story, x, y, draw(story, x, y))


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


def test_g_pulls_neighbours_and_gives_features_no_gradient():
    story, x, y = prepare("label_flip_local")
    latents = draw(story, x, y)
    _, g = story.log_predictor(x, latents)
    assert g.shape == (6,)
    assert not g.requires_grad  # the latents here carry no gradient, nor do the features
    plain = latents | {"deviation": torch.zeros(5)}
    more = nf.responsibility(*story.log_joint(x, y, latents))
    none = nf.responsibility(*story.log_joint(x, y, plain))
    assert (torch.sign(more - none) == torch.sign(g)).all()


@pytest.mark.parametrize(
    ("mistake", "error", "says"),
    [
        (lambda: LabelFlip(nn.Linear(2, 1), 1), DataError, "two classes"),
        (lambda: LabelFlip(nn.Linear(2, 3), 3, locality=-1.0), DataError, "locality"),
        (lambda: LabelFlip(nn.Linear(2, 3), 3, locality=1.0), StoryError, "Sequential"),
        (lambda: ClosedObjective(ThreeStates(), nn.Identity()), StoryError, "elbo"),
    ],
)
def test_mistakes_are_named(mistake, error, says):
    with pytest.raises(error, match=says):
        mistake()
