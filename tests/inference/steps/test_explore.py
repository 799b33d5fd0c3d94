"""`Explore` finds the modes of a posterior and their probabilities."""

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import nn

from nbam_pyro import LatentSwitch, Story, fit, responsibilities
from nbam_pyro.errors import StoryError
from nbam_pyro.inference import Explore, ModesGuide, default_steps, guide_draws, predict
from nbam_pyro.inference.variational import search
from nbam_pyro.models import (
    BetaSwitch,
    BroadNormal,
    FixedSwitch,
    NormalLikelihood,
    linear_regression,
    observe_verified,
)
from nbam_pyro.verified import NOTHING, Verified
from tests.inference.exact import conjugate, two_lines, two_means, two_slopes
from tests.inference.exact_families import FAMILIES

# Two explanations compete in most of these data.
pytestmark = pytest.mark.filterwarnings("ignore::nbam_pyro.errors.CannotTellWarning")


@pytest.mark.parametrize("make", [two_slopes, two_means, two_lines, *FAMILIES])
def test_modes_and_responsibilities_agree_with_the_exact_posterior(make):
    case = make()
    assert 0.25 < case.above < 0.75  # both modes matter
    fitted = fit(case.story, (case.x, case.y))
    above = sum(m.weight for m in fitted.modes if float(m.latents[case.site]) > case.between)
    assert above == pytest.approx(case.above, abs=0.1)
    draws = guide_draws(fitted.guide, 1000)[case.site]
    assert float((draws > case.between).double().mean()) == pytest.approx(case.above, abs=0.1)
    for r in (fitted.training_rows.responsibility, responsibilities(fitted, case.x, case.y)):
        assert np.abs(r - case.responsibility).max() < 0.05


def test_the_posterior_of_a_conjugate_story_is_exact():
    story, x, y = conjugate()
    fitted = fit(story, (x, y))
    precision = 1 / 4 + len(y)
    draws = guide_draws(fitted.guide, 1000)["middle"]
    assert float(draws.mean()) == pytest.approx(float(y.sum()) / precision, abs=0.03)
    assert float(draws.std()) == pytest.approx(precision**-0.5, rel=0.05)
    assert [mode.weight for mode in fitted.modes] == [1.0]


def test_modes_are_ordered_and_few_and_their_weights_sum_to_one():
    case = two_slopes()
    fitted = fit(case.story, (case.x, case.y))
    weights = [mode.weight for mode in fitted.modes]
    assert sum(weights) == pytest.approx(1)
    assert weights == sorted(weights, reverse=True)
    assert 2 <= len(weights) <= 4
    assert fitted.held_out.sum() == 0
    one = fit(case.story, (case.x, case.y), steps=[Explore(modes=1)])
    assert [mode.weight for mode in one.modes] == [1.0]
    few = fit(case.story, (case.x, case.y), steps=[Explore(draws=50)])
    assert sum(len(mode.draws["slope"]) for mode in few.modes) == 50


def test_predictions_are_those_of_the_heaviest_mode():
    case = two_slopes()
    fitted = fit(case.story, (case.x, case.y))
    expected = float(fitted.modes[0].latents["slope"]) * case.x[:, 0]
    assert np.allclose(predict(fitted, case.x), expected, atol=1e-4)


def test_the_same_seed_gives_the_same_posterior_and_leaves_random_state_alone():
    case = two_means()
    found = []
    for state in (1, 2):
        torch.manual_seed(state)
        np.random.seed(state)  # noqa: NPY002
        before, numpys = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
        found.append(fit(case.story, (case.x, case.y), seed=3))
        assert torch.equal(before, torch.get_rng_state())
        assert np.array_equal(numpys, np.random.get_state()[1])  # noqa: NPY002
    first, second = (one.training_rows.responsibility for one in found)
    assert np.array_equal(first, second)
    assert torch.equal(found[0].guide.free, found[1].guide.free)


def test_a_line_in_other_units_has_the_same_responsibilities():
    rng = np.random.default_rng(0)
    x = torch.tensor(rng.uniform(-1, 1, (30, 1)))
    y = 2 * x[:, 0] + 0.2 * torch.tensor(rng.normal(size=30))
    y[:4] += 4
    first, second = (
        fit(linear_regression(x, targets).double(), (x, targets)).training_rows.responsibility
        for targets in (y, -3 * y + 100)
    )
    assert np.abs(first - second).max() < 0.05
    assert ((first > 0.5) == (np.arange(30) < 4)).all()


def test_verified_rows_decide_between_modes():
    case = two_slopes()
    for row, side in ((10, 1), (20, -1)):  # the last row of each line
        right = np.full(len(case.y), -1)
        right[row] = 0
        verified = Verified.of(case.y, contaminated=right)
        fitted = fit(case.story, (case.x, case.y), verified=verified)
        assert side * float(fitted.modes[0].latents["slope"]) > 0
        assert fitted.modes[0].weight > 0.95
        assert fitted.training_rows.responsibility[row] == 0


class OpenStory(Story):
    """A story of a user without a closed form, all of whose numbers have a prior."""

    def forward(self, x, y=None, *, num_data=None, verified=NOTHING):
        middle = pyro.sample("middle", dist.Normal(0.0, 5.0))
        with self.plates(x, x.shape[:1], num_data=num_data):
            switch = pyro.sample("switch", dist.Bernoulli(0.3), infer={"enumerate": "parallel"})
            observe_verified("switch", switch > 0, verified.contaminated)
            return pyro.sample("y", dist.Normal(middle, torch.where(switch > 0, 9.0, 0.5)), obs=y)

    def starts(self, x, y, *, seed):
        yield {"middle": y.median()}


def test_a_story_of_a_user_is_explored_by_default():
    story = OpenStory()
    assert [type(step) for step in default_steps(story)] == [Explore]
    y = torch.tensor([2.0, 2.3, 1.8, 1.9, 2.2, 15.0, -9.0])
    fitted = fit(story, (torch.zeros(7, 1), y))
    assert isinstance(fitted.guide, ModesGuide)
    assert float(fitted.modes[0].latents["middle"]) == pytest.approx(2.0, abs=0.3)
    assert (fitted.training_rows.responsibility > 0.5).tolist() == [False] * 5 + [True] * 2


def test_a_story_without_unknown_numbers_has_nothing_to_explore():
    story = LatentSwitch(
        switch=FixedSwitch(0.2), clean=BroadNormal(0.0, 1.0), anomaly=BroadNormal(0.0, 50.0)
    )
    fitted = fit(story, (torch.zeros(3, 1), torch.tensor([0.0, 0.5, 60.0])), steps=[Explore()])
    assert (fitted.training_rows.responsibility > 0.5).tolist() == [False, False, True]
    assert [mode.weight for mode in fitted.modes] == [1.0]


def test_trained_parameters_are_refused():
    story = LatentSwitch(
        switch=BetaSwitch(), clean=NormalLikelihood(nn.Linear(1, 1)), anomaly=BroadNormal(0.0, 9.0)
    )
    with pytest.raises(StoryError, match="Fit it with Joint, or give"):
        fit(story, (torch.zeros(9, 1), torch.arange(9.0)), steps=[Explore()])


def test_a_search_that_never_arrives_ends_with_what_it_has(monkeypatch):
    monkeypatch.setattr(search, "_higher", lambda found, heights: found.points[:1])
    story, x, y = conjugate()
    fitted = fit(story, (x, y))
    assert sum(mode.weight for mode in fitted.modes) == pytest.approx(1)
