"""The story of several annotators: its Pyro program equals its closed form."""

import pyro
import pytest
import torch
from pyro import poutine
from pyro.infer import SVI, TraceEnum_ELBO
from torch import nn

from nbam_pyro.errors import DataError, StoryError
from nbam_pyro.models import Annotators

ITEM = torch.tensor([0, 1, 0, 2, 0, 1, 2])
WHO = torch.tensor([0, 1, 1, 0, 2, 2, 1])
LABEL = torch.tensor([0, 2, 1, 2, 0, 2, 0])


@pytest.mark.parametrize("features", [False, True])
@pytest.mark.parametrize("known", [None, torch.tensor([-1, 2, -1, 0])])
def test_enumeration_equals_the_closed_form(features, known):
    torch.manual_seed(0)
    network = nn.Linear(2, 3) if features else None
    story = Annotators(3, 3, network=network)
    given = {"x": torch.randn(4, 2)} if features else {"items": 4}
    latents = story.sample_latents()
    fixed = {name: value.detach() for name, value in latents.items()}
    conditioned = pyro.condition(story, data=fixed)

    def model():
        conditioned(ITEM, WHO, LABEL, true_label=known, **given)

    enumerated = -TraceEnum_ELBO(max_plate_nesting=2).loss(model, lambda: None)
    trace = poutine.trace(poutine.condition(story.sample_latents, data=fixed)).get_trace()
    prior = trace.log_prob_sum().item()
    closed = story.log_marginal(ITEM, WHO, LABEL, fixed, true_label=known, **given).sum().item()
    assert enumerated == pytest.approx(prior + closed, abs=2e-4)


def test_labels_are_drawn_and_gradients_reach_the_network():
    torch.manual_seed(0)
    story = Annotators(3, 3, network=nn.Linear(2, 3))
    x = torch.randn(4, 2)
    drawn = story(ITEM, WHO, x=x)
    assert drawn.shape == LABEL.shape
    assert bool(((drawn >= 0) & (drawn < 3)).all())
    story.log_marginal(ITEM, WHO, LABEL, story.sample_latents(), x=x).sum().backward()
    assert bool(story.network.weight.grad.abs().sum() > 0)


def test_the_story_runs_under_svi():
    pyro.clear_param_store()
    story = Annotators(2, 3)
    label = LABEL.clamp_max(1)
    guide = pyro.infer.autoguide.AutoNormal(poutine.block(story, hide=["true_label"]))
    svi = SVI(story, guide, pyro.optim.Adam({"lr": 0.01}), TraceEnum_ELBO(max_plate_nesting=2))
    assert svi.step(ITEM, WHO, label, items=3) < 1e6
    pyro.clear_param_store()


def test_wrong_settings_are_refused():
    with pytest.raises(DataError, match="annotators"):
        Annotators(2, 0)
    story = Annotators(2, 1)
    latents = story.sample_latents()
    with pytest.raises(StoryError, match="items="):
        story.log_predictor(latents)
    with pytest.raises(StoryError, match="features"):
        Annotators(2, 1, network=nn.Linear(2, 2)).log_predictor({})
