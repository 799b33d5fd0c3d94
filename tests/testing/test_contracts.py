"""Parts with a mistake are refused, and the message names the mistake."""

from dataclasses import dataclass

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import nn

from nbam_pyro import LabelFlip
from nbam_pyro.detection import AutoEncoder, Energies, Kind
from nbam_pyro.errors import ContractError
from nbam_pyro.models import BetaSwitch, NormalLikelihood
from nbam_pyro.testing import (
    check_backbone,
    check_component,
    check_kind,
    check_step,
    check_story,
    check_switch_prior,
)
from tests.cases import ThreeStates, WithoutVerified
from tests.rows import FEATURES, labels


class NeverContaminated(ThreeStates):
    def contaminated(self, states):
        return states["kind"] > 9


class NotScaled(ThreeStates):
    def forward(self, x, y=None, *, num_data=None, **verified):
        return super().forward(x, y, **verified)


class Deaf(ThreeStates):
    def forward(self, x, y=None, *, num_data=None, verified=None):
        return super().forward(x, y, num_data=num_data)


class Detached(ThreeStates):
    def forward(self, x, y=None, **options):
        return super().forward(x.detach() + 0 * self.unused.detach(), y, **options)

    def __init__(self):
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(()))


class Forgets(ThreeStates):
    def __init__(self, width):
        super().__init__(width)


class Wide(ThreeStates):
    def clean_predictor(self, x, latents):
        return dist.Categorical(logits=self.network(x)).to_event(1)


class OtherPrior(LabelFlip):
    def switch_logits(self, x, latents):
        return super().switch_logits(x, latents) + 1


class Unobserved(ThreeStates):
    def forward(self, x, y=None, *, num_data=None, verified=None):
        with pyro.plate("rows", num_data or len(x), subsample=x):
            kind = pyro.sample("kind", dist.Bernoulli(0.5))
            return pyro.sample(
                "label", dist.Categorical(logits=self.network(x) * kind[:, None]), obs=y
            )


@pytest.mark.parametrize(
    ("make", "options", "says"),
    [
        (NeverContaminated, {}, "marks no state as contaminated"),
        (NotScaled, {"verified": False}, "num_data=num_data"),
        (WithoutVerified, {}, "has no argument verified.*verified=False"),
        (Deaf, {}, "does not rule out exactly the (clean|contaminated) states"),
        (Detached, {}, "No gradient reaches the parameter 'unused'"),
        (lambda: Forgets(3), {}, "keeps no attribute 'width'.*saved=False"),
        (Wide, {}, "clean_predictor gives log probabilities of shape"),
        (lambda: OtherPrior(nn.Linear(FEATURES, 3), 3), {}, "agree with the prior log odds"),
        (Unobserved, {"verified": False}, "cannot be enumerated: Site 'kind'"),
    ],
)
def test_stories_with_a_mistake(make, options, says):
    with pytest.raises(ContractError, match=says):
        check_story(make(), *labels(3), **options)


def test_what_a_check_is_told_to_leave_out():
    check_story(WithoutVerified(), *labels(3), verified=False)
    check_story(Forgets(3), *labels(3), saved=False)
    check_story(Detached(), *labels(3), unused=["unused"])


def test_a_check_changes_neither_the_story_nor_the_random_state():
    story, (x, y) = ThreeStates(), labels(3)
    before = {name: value.clone() for name, value in story.state_dict().items()}
    torch.manual_seed(5)
    check_story(story, x, y)
    after = torch.rand(())
    torch.manual_seed(5)
    assert torch.equal(after, torch.rand(()))
    assert story.training
    assert all(torch.equal(value, before[name]) for name, value in story.state_dict().items())


class Tall(NormalLikelihood):
    def forward(self, h, latents):
        return dist.Normal(self.head(h), 1.0)


class Counts(NormalLikelihood):
    def forward(self, h, latents):
        return dist.Poisson(self.head(h).squeeze(-1).exp(), validate_args=False)


class Certain(BetaSwitch):
    def forward(self, h, latents):
        return dist.Bernoulli(logits=torch.full((len(h),), torch.inf))


def test_components_with_a_mistake():
    h, y = torch.randn(5, FEATURES), torch.randn(5) - 9
    with pytest.raises(ContractError, match="Squeeze the last dimension"):
        check_component(Tall(nn.Linear(FEATURES, 1)), h, y)
    with pytest.raises(ContractError, match=r"not finite|outside its support"):
        check_component(Counts(nn.Linear(FEATURES, 1)), h, y)
    with pytest.raises(ContractError, match="a prior of 0 or 1"):
        check_switch_prior(Certain(), h)
    with pytest.raises(ContractError, match=r"expected \(1, 3\)"):
        check_switch_prior(BetaSwitch(), h, dims=(3,))


class Shared(AutoEncoder):
    def energies(self, x):
        clean, anomalous = super().energies(x)
        return Energies(clean + clean.mean(), anomalous)


class Constant(AutoEncoder):
    def energies(self, x):
        return Energies(*(0 * part for part in super().energies(x)))


@pytest.mark.parametrize(
    ("make", "x", "says"),
    [
        (Shared, torch.rand(20, 4), "must not depend on the rows of another"),
        (Constant, torch.rand(20, 4), "the same clean energy"),
        (AutoEncoder, torch.rand(6, 4, 5, 5), "row_dims"),
    ],
)
def test_backbones_with_a_mistake(make, x, says):
    with pytest.raises(ContractError, match=says):
        check_backbone(make, x)


@dataclass(frozen=True)
class Middle(Kind):
    def learn(self, x, rng):
        return {"middle": x.mean(0)}

    def scores(self, learned, x):
        return abs(x - learned["middle"]).sum(1)[None]


class Ranks(Middle):
    def scores(self, learned, x):
        return super().scores(learned, x).argsort().argsort()


class Still(Middle):
    def scores(self, learned, x):
        return 0 * super().scores(learned, x)


class Flat(Middle):
    def scores(self, learned, x):
        return super().scores(learned, x)[0]


class Moody(Middle):
    def learn(self, x, rng):
        return {"middle": np.random.default_rng().normal(size=x.shape[1])}


class Listed(Middle):
    def learn(self, x, rng):
        return {"middle": x.mean(0).tolist()}


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        (Ranks, "depend on the rows"),
        (Still, "the same for all rows"),
        (Flat, r"return finite numbers, \(R, N\)"),
        (Moody, "for the same seed"),
        (Listed, "no array of finite numbers"),
        (AutoEncoder, "is not a Kind"),
    ],
)
def test_kinds_with_a_mistake(kind, says):
    x = np.random.default_rng(0).normal(size=(20, 3))
    check_kind(Middle(), x)
    with pytest.raises(ContractError, match=says):
        check_kind(kind(3) if kind is AutoEncoder else kind(), x)


def freeze(run):
    run.story.requires_grad_(False)


def spoil(run):
    for parameter in run.story.parameters():
        nn.init.constant_(parameter, torch.nan)


def leak(run):
    run.training_index = torch.arange(len(run.rows)).numpy()


@pytest.mark.parametrize(
    ("step", "says"),
    [
        (freeze, "freeze leaves the parameter .* frozen"),
        (spoil, "not finite"),
        (leak, "mixes training rows and held-out rows"),
        (lambda run: run, "returns a Run"),
    ],
)
def test_steps_with_a_mistake(step, says):
    with pytest.raises(ContractError, match=says):
        check_step(step, ThreeStates(), labels(3, 12))
