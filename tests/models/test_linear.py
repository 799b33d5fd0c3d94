"""`LinearErrors`, `LeverageSwitch`, lines through elemental subsets, and the story made of them."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hn

from nbam_pyro import Beta, LatentSwitch
from nbam_pyro import functional as nf
from nbam_pyro.errors import DataError, StoryError
from nbam_pyro.models import (
    BetaSwitch,
    BroadNormal,
    LeverageSwitch,
    LinearErrors,
    LinearNormal,
    LinearStudentT,
    linear_regression,
)
from nbam_pyro.models.likelihoods.elemental import elemental_lines
from nbam_pyro.models.likelihoods.two_piece import TwoPieceNormal
from nbam_pyro.models.likelihoods.two_sided import TwoSided
from nbam_pyro.models.row_groups import group_apart, row_groups

LATENTS = {
    "weight": torch.tensor([1.0, -2.0]),
    "bias": torch.tensor(0.5),
    "noise": torch.tensor(0.3),
    "other_side": torch.tensor(0.2),
}
factors = st.floats(0.01, 100) | st.floats(-100, -0.01)
offsets = st.floats(-100, 100)


def rows(seed=0, n=41, columns=2):
    rng = np.random.default_rng(seed)
    x = torch.tensor(rng.normal(size=(n, columns)))
    y = x @ torch.arange(1.0, 1 + columns).double() + 0.2 * torch.tensor(rng.normal(size=n))
    return x, y


@given(shift=st.floats(-5, 5), wide=st.floats(0.01, 10), noise=st.floats(0.05, 3))
@settings(max_examples=25, deadline=None)
def test_errors_never_become_equal_to_clean_measurements(shift, wide, noise):
    clean = LinearNormal(2)
    errors = LinearErrors(clean, separation=3.0)
    named = {"shift": shift, "error_scale": wide, "noise": noise}
    latents = LATENTS | {name: torch.tensor(value) for name, value in named.items()}
    h = torch.randn(4, 2)
    anomaly = errors(h, latents)
    away = (anomaly.mean - clean(h, latents).mean) / (1 - 2 * latents["other_side"])
    assert torch.allclose(away, torch.tensor(shift), atol=1e-4)
    assert shift**2 + float(anomaly.scale) ** 2 >= (3 * noise) ** 2 * (1 - 1e-4)


@given(shift=st.floats(-5, 5), scale=st.floats(0.1, 3), other=st.floats(0.01, 0.5))
@settings(max_examples=15, deadline=None)
def test_errors_on_two_sides_have_one_density_and_its_draws(shift, scale, other):
    loc = torch.tensor([0.0, 10.0]).double()
    two = TwoSided(5.0, loc, *torch.tensor([shift, scale, other]).double())
    grid = torch.linspace(-300, 300, 200001, dtype=torch.float64)[:, None]
    density = two.log_prob(grid).exp()
    unit = float(grid[1] - grid[0])
    assert (density.sum(0) * unit).tolist() == pytest.approx([1, 1], abs=1e-3)
    assert ((density * grid).sum(0) * unit).tolist() == pytest.approx(two.mean.tolist(), abs=1e-2)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        drawn = two.sample((20000,))
    error = float((two.variance / 20000).sqrt()[0])
    assert (drawn.mean(0) - two.mean).abs().max() < 6 * error
    below = (grid[:, 0] < 0).double() @ density[:, 0] * unit
    assert float((drawn[:, 0] < 0).double().mean()) == pytest.approx(float(below), abs=0.02)


@given(scale=st.floats(0.1, 3), skewness=st.floats(-1, 1))
@settings(max_examples=15, deadline=None)
def test_skewed_noise_has_one_density_its_moments_and_its_draws(scale, skewness):
    loc = torch.tensor([0.0, 3.0]).double()
    skewed = TwoPieceNormal(loc, *torch.tensor([scale, skewness]).double())
    grid = torch.linspace(-60, 60, 60001, dtype=torch.float64)[:, None]
    density = skewed.log_prob(grid).exp() * float(grid[1] - grid[0])
    mean = (density * grid).sum(0)
    assert density.sum(0).tolist() == pytest.approx([1, 1], abs=1e-3)
    assert mean.tolist() == pytest.approx(skewed.mean.tolist(), abs=1e-2)
    variance = (density * (grid - mean) ** 2).sum(0)
    assert variance.tolist() == pytest.approx(skewed.variance.tolist(), rel=1e-2)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        drawn = skewed.sample((20000,))
    assert (drawn.mean(0) - skewed.mean).abs().max() < 6 * float((variance / 20000).sqrt()[0])
    below = float((drawn[:, 0] < 0).double().mean())
    assert below == pytest.approx(float(density[grid[:, 0] < 0, 0].sum()), abs=0.02)


def test_noise_may_depend_on_features():
    clean = LinearNormal(2, uneven=1)
    latents = LATENTS | {"noise_slope": torch.tensor([0.5])}
    h = torch.tensor([[0.0, 9.0], [1.0, 9.0], [2.0, 9.0], [50.0, 9.0]])
    noise = clean(h, latents).stddev
    assert torch.allclose(noise.log(), torch.tensor([0.0, 0.5, 1.0, 1.0]) + np.log(0.3))
    assert set(clean.priors()) == {"weight", "bias", "noise", "noise_slope"}
    assert "noise_slope" not in LinearNormal(2).priors()
    with pytest.raises(DataError, match="between 0 and features"):
        LinearNormal(2, uneven=3)


def test_errors_lie_around_the_line_of_their_story():
    clean = LinearNormal(2, centre=100.0)
    errors = LinearErrors(clean, df=7.0)
    latents = LATENTS | {"shift": torch.tensor(4.0), "error_scale": torch.tensor(2.0)}
    mean = errors(torch.ones(1, 2), latents).mean
    assert float(mean) == pytest.approx(100 + 0.5 + 1 - 2 + 0.6 * 4)
    other = {"switch": BetaSwitch(), "clean": LinearNormal(2), "anomaly": errors}
    with pytest.raises(StoryError, match="same module"):
        LatentSwitch(**other)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: LinearErrors(LinearNormal(2), scale=0.0),
        lambda: LinearErrors(LinearNormal(2), separation=-1.0),
        lambda: LinearErrors(LinearNormal(2), df=0.0),
        lambda: LinearNormal(0),
        lambda: LinearNormal(2, noise=0.0),
        lambda: LinearStudentT(2, df=2.0),
        lambda: LeverageSwitch(0),
        lambda: LeverageSwitch(2, a=0.0),
        lambda: LeverageSwitch(2, most=-0.5),
        lambda: LeverageSwitch(2, most=1.5),
        lambda: linear_regression(torch.zeros(5, 1), torch.ones(5)),
        lambda: linear_regression(torch.zeros(5, 1), torch.arange(5.0), noise="cauchy"),
    ],
)
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(DataError):
        wrong()


@given(a=factors, b=offsets)
@settings(max_examples=20, deadline=None)
def test_leverage_does_not_depend_on_units_of_columns(a, b):
    h = rows()[0]
    h[0] = 30.0
    first = LeverageSwitch.of(h).leverage(h)
    moved = h * torch.tensor([a, 1.0]) + torch.tensor([b, -b])
    assert torch.allclose(LeverageSwitch.of(moved).leverage(moved), first, atol=1e-6)
    assert first[0] == 1
    assert (first.median() == 0) & (first >= 0).all() & (first <= 1).all()


@given(gamma=st.floats(0, 8), rate=st.floats(0.01, 0.49))
@settings(max_examples=15, deadline=None)
def test_usual_rows_have_the_contamination_and_unusual_ones_more(gamma, rate):
    h = torch.cat([torch.linspace(-1, 1, 50)[:, None], torch.tensor([[30.0]])])
    switch = LeverageSwitch.of(h)
    latents = {"contamination": torch.tensor(rate), "leverage_effect": torch.tensor(gamma)}
    probs = switch(h, latents).probs
    assert torch.allclose(probs[20:30], torch.tensor(rate), atol=1e-5)
    expected = torch.sigmoid(torch.logit(torch.tensor(rate)) + gamma)
    assert float(probs[-1]) == pytest.approx(float(expected), abs=1e-5)


def test_a_column_of_an_indicator_has_no_leverage():
    h = torch.zeros(30, 1)
    h[0] = 1.0
    assert (LeverageSwitch.of(h).leverage(h) == 0).all()


@given(a=factors, b=offsets, count=st.integers(5, 19))
@settings(max_examples=15, deadline=None)
def test_a_group_apart_has_leverage_in_any_unit(a, b, count):
    h = rows(n=40)[0]
    h[:count] = torch.tensor([6.0, 6.0]) + 0.3 * h[:count]
    moved = h * torch.tensor([a, 1.0]) + torch.tensor([b, -b])
    for one in (h, moved):
        assert group_apart(one).rows.tolist() == [number < count for number in range(40)]
        leverage = LeverageSwitch.of(one).leverage(one)
        assert (leverage[:count] == 1).all()
        assert (leverage[count:] == 0).double().mean() > 0.75
    assert any(torch.equal(group, torch.arange(40) < count) for group in row_groups(h))


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("draw", ["normal", "uniform"])
def test_one_cloud_has_no_group_apart(seed, draw):
    rng = np.random.default_rng(seed)
    assert group_apart(torch.as_tensor(getattr(rng, draw)(size=(80, 3)))) is None
    assert group_apart(torch.zeros(80, 3)) is None
    assert group_apart(torch.as_tensor(rng.normal(size=(5, 2)))) is None


def test_few_clean_rows_have_leverage():
    h = torch.randn(2000, 3)
    leverage = LeverageSwitch.of(h).leverage(h)
    assert 0.02 < float((leverage > 0).double().mean()) < 0.1
    assert float((leverage == 1).double().mean()) < 0.01


@given(a=factors, b=offsets)
@settings(max_examples=10, deadline=None)
def test_a_linear_story_does_not_depend_on_the_units_of_targets(a, b):
    x, y = rows(n=21)
    y[:3] += 5
    first, second = linear_regression(x, y).double(), linear_regression(x, a * y + b).double()
    latents = {
        "weight": torch.tensor([1.0, 2.0]).double(),
        "bias": torch.tensor(0.1).double(),
        "noise": torch.tensor(0.2).double(),
        "shift": torch.tensor(2.0).double(),
        "error_scale": torch.tensor(1.5).double(),
        "other_side": torch.tensor(0.2).double(),
        "noise_slope": torch.tensor([0.2, -0.1]).double(),
        "contamination": torch.tensor(0.1).double(),
        "leverage_effect": torch.tensor(1.0).double(),
    }
    scaled = {"weight": a, "bias": a, "shift": a, "noise": abs(a), "error_scale": abs(a)}
    other = {name: value * scaled.get(name, 1) for name, value in latents.items()}
    r = nf.responsibility(*first.log_joint(x, y, latents))
    assert torch.allclose(nf.responsibility(*second.log_joint(x, a * y + b, other)), r, atol=1e-5)
    for name, prior in first.priors().items():  # densities of the priors change by the Jacobian
        change = second.priors()[name].log_prob(other[name]) - prior.log_prob(latents[name])
        size = latents[name].numel() * np.log(abs(scaled.get(name, 1)))
        assert float(change.sum()) == pytest.approx(-size, abs=1e-4)


@given(weights=hn.arrays(float, 3, elements=st.floats(-5, 5)), wrong=st.integers(0, 12))
@settings(max_examples=15, deadline=None)
def test_a_line_through_most_rows_is_among_the_elemental_lines(weights, wrong):
    rng = np.random.default_rng(0)
    h = rng.normal(size=(30, 2))
    y = h @ weights[:2] + weights[2]
    h[:wrong] += 8
    y[:wrong] += 40 * rng.normal(size=wrong)
    lines = elemental_lines(torch.tensor(h), torch.tensor(y), seed=0)
    assert float((lines - torch.tensor(weights)).abs().amax(1).min()) < 1e-4


def test_elemental_lines_follow_the_seed_and_fit_tiny_tables():
    x, y = rows()
    before = torch.get_rng_state()
    assert torch.equal(elemental_lines(x, y, seed=1), elemental_lines(x, y, seed=1))
    assert torch.equal(before, torch.get_rng_state())
    assert elemental_lines(x[:2], y[:2], seed=0).isfinite().all()
    assert elemental_lines(torch.zeros(5, 2).double(), y[:5], seed=0).isfinite().all()


@pytest.mark.parametrize("mean", ["linear", "spline", "gp"])
def test_starts_of_a_story_have_all_its_latents_and_include_a_robust_line(mean):
    x, y = rows(n=61)
    y[:10] += 20
    story = linear_regression(x, y, mean=mean).double()
    starts = list(story.starts(x, y, seed=0))
    priors = story.priors()
    assert starts
    for start in starts[:20]:
        assert start.keys() <= priors.keys()
        assert all(priors[name].support.check(value).all() for name, value in start.items())
    wrong = torch.arange(61) < 10
    assert any(
        ((nf.responsibility(*story.log_joint(x, y, story.prior_means() | s)) > 0.5) == wrong).all()
        for s in starts
    )


def test_components_without_starts_begin_at_their_prior_means():
    story = LatentSwitch(switch=BetaSwitch(), clean=LinearNormal(2), anomaly=BroadNormal(0.0, 9.0))
    x, y = rows()
    starts = list(story.starts(x.float(), y.float(), seed=0))
    assert {frozenset(start) for start in starts} <= {
        frozenset({"weight", "bias", "noise"}),
        frozenset({"weight", "bias", "noise", "contamination"}),
    }
    assert BroadNormal(0.0, 9.0).starts(x, y, seed=0) == []


def test_a_given_contamination_and_anomaly_are_used():
    x, y = rows()
    anomaly = BroadNormal(0.0, 9.0)
    story = linear_regression(x, y, rate=Beta(2.0, 3.0), anomaly=anomaly)
    assert story.anomaly is anomaly
    assert float(story.priors()["contamination"].mean) == pytest.approx(0.4)
