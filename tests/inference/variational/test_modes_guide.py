"""`ModesGuide`: draws of several modes, and what is saved of them."""

import numpy as np
import pytest
import torch

from nbam_pyro import fit, load, responsibilities, save, to_datatree
from nbam_pyro.errors import StoryError
from nbam_pyro.inference import Explore, Joint, guide_draws, guide_median, predict
from tests.inference.exact import two_slopes

pytestmark = pytest.mark.filterwarnings("ignore::nbam_pyro.errors.CannotTellWarning")


@pytest.fixture(scope="module")
def explored():
    case = two_slopes()
    return fit(case.story, (case.x, case.y), seed=1), case


@pytest.mark.parametrize("count", [7, 200, 1000, 3000])
def test_draws_keep_the_weights_of_the_modes(explored, count):
    fitted, case = explored
    draws = guide_draws(fitted.guide, count)
    assert {len(value) for value in draws.values()} == {count}
    above = float((draws["slope"] > case.between).double().mean())
    heaviest = fitted.modes[0]
    expected = sum(m.weight for m in fitted.modes if float(m.latents["slope"]) > case.between)
    assert above == pytest.approx(expected, abs=0.03 + 1 / count)
    assert torch.equal(guide_median(fitted.guide)["slope"], heaviest.latents["slope"])


def test_draws_follow_the_seed(explored):
    guide = explored[0].guide
    first, second, other = guide.draws(50, seed=1), guide.draws(50, seed=1), guide.draws(50, seed=2)
    assert torch.equal(first["slope"], second["slope"])
    assert not torch.equal(first["slope"], other["slope"])


def test_draws_of_a_mode_lie_around_it(explored):
    for mode in explored[0].modes:
        slope, spread = float(mode.draws["slope"].mean()), float(mode.draws["slope"].std())
        assert float(mode.latents["slope"]) == pytest.approx(slope, abs=spread)


def test_a_loaded_fit_has_the_same_modes_draws_and_predictions(explored, tmp_path):
    fitted, case = explored
    save(fitted, tmp_path / "fit")
    again = load(tmp_path / "fit", allow=["tests.inference.exact"])
    assert type(again.guide) is type(fitted.guide)
    assert again.verdict == fitted.verdict
    assert [m.weight for m in again.modes] == [m.weight for m in fitted.modes]
    first, second = guide_draws(fitted.guide, 300), guide_draws(again.guide, 300)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert np.array_equal(predict(again, case.x), predict(fitted, case.x))
    r = responsibilities(fitted, case.x, case.y)
    assert np.array_equal(responsibilities(again, case.x, case.y), r)


def test_a_tree_has_the_draws_of_all_modes(explored):
    fitted, case = explored
    slope = to_datatree(fitted, case.x, case.y, num_draws=500).posterior["slope"].values
    exact = fitted.guide.draws(1000)["slope"] > case.between
    assert (slope > case.between).mean() == pytest.approx(float(exact.double().mean()), abs=0.05)


def test_a_step_after_explore_is_refused():
    case = two_slopes()
    with pytest.raises(StoryError, match="cannot be trained"):
        fit(case.story, (case.x, case.y), steps=[Explore(), Joint(epochs=1)])
