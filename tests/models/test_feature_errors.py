"""A line whose features or targets may be wrong: the closed form, and leverage points."""

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro import poutine

from nbam_pyro import fit, load, save
from nbam_pyro.errors import DataError, StoryError
from nbam_pyro.inference import error_kinds, responsibilities
from nbam_pyro.models import (
    BetaSwitch,
    BroadNormal,
    FeatureErrors,
    LinearNormal,
    errors_in_features,
)
from tests.estimators.test_means import STARS, assert_the_giants_are_flagged
from tests.models.test_gaussian_process import bursts, fitted
from tests.models.test_gaussian_process import story as switched


def small(columns):
    clean = LinearNormal(columns, scale=3.0, centre=1.0)
    middle, unit = columns * [0.2], [0.5, 2.0, 1.0][:columns]
    return FeatureErrors(clean, BroadNormal(1.0, 9.0), middle=middle, unit=unit).double()


@pytest.mark.parametrize("columns", [1, 3])
def test_the_closed_form_is_the_sum_over_kinds_of_the_program_in_words(columns):
    """Features are drawn given the kind, and targets given both, with torch's distributions."""
    story = small(columns)
    torch.manual_seed(0)
    x = 3 * torch.randn(7, columns).double()
    y = 5 * torch.randn(7).double()
    latents = {name: prior.sample() for name, prior in story.priors().items()}
    spread = latents["spread"].diag()
    below = torch.eye(columns).double()
    if columns > 1:
        below[tuple(torch.tril_indices(columns, columns, -1))] = latents["mixing"]
    root = spread @ below
    weight, bias, noise = (latents[name] for name in ("weight", "bias", "noise"))
    location = 1.0 + bias + x @ weight
    middle = torch.full((columns,), 0.2).double()
    wide = (5.0 * torch.tensor(story.unit).double()).diag()

    def program(kind):
        right = dist.MultivariateStudentT(3.0, latents["centre"], root)
        wrong = dist.MultivariateStudentT(1.0, middle, wide)
        pi, rho = latents["contamination"], latents["feature_share"]
        shares = torch.stack([1 - pi, pi * (1 - rho), pi * rho])
        alone = (weight @ root @ root.mT @ weight + noise**2 + (3e-6) ** 2).sqrt()
        targets = (
            dist.Normal(location, (noise**2 + (3e-6) ** 2).sqrt()),
            dist.Normal(torch.full((7,), 1.0).double(), 9.0),
            dist.StudentT(3.0, 1.0 + bias + latents["centre"] @ weight, alone).expand([7]),
        )
        with pyro.plate("rows", 7):
            pyro.sample("kind", dist.Categorical(shares), obs=torch.full((7,), kind))
            pyro.sample("x", wrong if kind == 2 else right, obs=x)
            pyro.sample("y", targets[kind], obs=y)

    each = []
    for kind in range(3):
        trace = poutine.trace(program).get_trace(kind)
        trace.compute_log_prob()
        each.append(sum(trace.nodes[name]["log_prob"] for name in ("kind", "x", "y")))
    a, b = story.log_joint(x, y, latents)
    assert torch.allclose(a, each[0], atol=1e-8)
    assert torch.allclose(b, torch.logaddexp(each[1], each[2]), atol=1e-8)
    expected = torch.stack(each, -1).softmax(-1)
    assert torch.allclose(story.kind_posterior(x, y, latents), expected, atol=1e-8)


def test_targets_are_drawn_given_the_features_of_a_row():
    """Far from the others, a target is more often one of a row with wrong features."""
    story = small(1)
    latents = story.prior_means() | {"contamination": torch.tensor(0.3).double()}
    near, far = torch.zeros(1, 1).double(), torch.full((1, 1), 50.0).double()
    assert story.switch_logits(far, latents) > story.switch_logits(near, latents) + 1


def leverage_points(*, bad=5, seed=0):
    """A line, rows with wrong features, one row with a wrong target, and a good leverage point."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(45, 1))
    y = 2 * x[:, 0] + 0.3 * rng.normal(size=45)
    x[:bad] = 6 + 0.2 * rng.normal(size=(bad, 1))
    x[44], y[44] = -5.0, -9.9
    y[40] += 25
    return torch.as_tensor(x).float(), torch.as_tensor(y).float()


@pytest.mark.filterwarnings("ignore::nbam_pyro.errors.NBAMWarning")
def test_bad_leverage_points_are_found_and_good_ones_are_kept(tmp_path):
    x, y = leverage_points()
    found = fit(errors_in_features(x, y), (x, y), held_out=0)
    r = found.training_rows.responsibility
    assert (r[:5] > 0.9).all()
    assert r[40] > 0.9
    assert r[44] < 0.1
    assert (r[5:40] < 0.5).all()
    kinds = error_kinds(found, x, y)
    assert list(kinds.columns) == ["right", "target", "features"]
    assert np.allclose(kinds.sum(axis=1), 1, atol=1e-5)
    assert (kinds["features"][:5] > 0.8).all()
    assert kinds["target"][40] > kinds["features"][40]
    again = responsibilities(found, x, y, num_draws=200)
    assert np.allclose(1 - kinds["right"], again, atol=0.05)
    save(found, tmp_path / "run")
    same = error_kinds(load(tmp_path / "run"), x, y)
    assert np.allclose(same, kinds, atol=1e-5)


@pytest.mark.filterwarnings("ignore::nbam_pyro.errors.NBAMWarning")
def test_the_giants_among_47_stars_have_wrong_features():
    stars = torch.as_tensor(np.loadtxt(STARS, delimiter=",", skiprows=1)).float()
    x, y = stars[:, :1], stars[:, 1]
    found = fit(errors_in_features(x, y), (x, y), held_out=0)
    assert_the_giants_are_flagged(found.training_rows.responsibility)


def test_other_stories_have_no_kinds():
    time, y = bursts(10)
    found = fitted(switched(BetaSwitch()), time, y, epochs=1)
    with pytest.raises(StoryError, match="does not tell wrong features"):
        error_kinds(found, time, y)


def test_what_the_story_cannot_take_is_refused():
    x, y = leverage_points()
    with pytest.raises(DataError, match="give a table"):
        errors_in_features(x[:, 0], y)
    with pytest.raises(DataError, match="column 1 of x are equal"):
        errors_in_features(torch.cat([x, torch.ones_like(x)], 1), y)
    with pytest.raises(DataError, match="1 to 8"):
        errors_in_features(torch.randn(45, 9), y)
    clean = LinearNormal(2)
    with pytest.raises(DataError, match="Give one of each"):
        FeatureErrors(clean, BroadNormal(0.0, 9.0), middle=[0.0], unit=[1.0])
    with pytest.raises(DataError, match="unit is"):
        FeatureErrors(clean, BroadNormal(0.0, 9.0), middle=[0.0, 0.0], unit=[1.0, 0.0])
    story = errors_in_features(x, y)
    with pytest.raises(DataError, match="1 columns"):
        story.check_targets(torch.randn(3, 2), torch.randn(3))
    with pytest.raises(DataError, match="one number per row"):
        story.check_targets(torch.randn(3, 1), torch.randn(3, 2))
