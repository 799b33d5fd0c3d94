"""Gaussian processes on the logit of a rate: the features, the switch prior, and its posterior."""

import math

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro.infer import MCMC, NUTS

from nbam_pyro import LatentSwitch, fit, load, save
from nbam_pyro.errors import DataError
from nbam_pyro.inference import Explore, guide_draws, responsibilities
from nbam_pyro.models import (
    BetaSwitch,
    BroadNormal,
    Component,
    GaussianProcessSwitch,
    InducingFeatures,
    LinearSwitch,
)

KERNELS = ["squared-exponential", "matern-5/2", "matern-3/2", "matern-1/2"]


def places(n, d=2, seed=0):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed)).double()


def kernel_by_hand(kernel, a, b):
    r = float((a - b).norm())
    if kernel == "squared-exponential":
        return math.exp(-(r**2) / 2)
    nu = float(kernel.removeprefix("matern-").split("/")[0]) / 2
    t = r * math.sqrt(2 * nu)
    more = {0.5: 1.0, 1.5: 1 + t, 2.5: 1 + t + t**2 / 3}
    return more[nu] * math.exp(-t)


@pytest.mark.parametrize("kernel", KERNELS)
def test_with_a_point_at_each_row_the_process_is_exact(kernel):
    s = places(30)
    features = InducingFeatures.of(s, points=30, kernel=kernel, length=[0.7, 2.0])
    phi = features(s)
    scaled = s / torch.tensor([0.7, 2.0])
    dense = torch.tensor([[kernel_by_hand(kernel, a, b) for b in scaled] for a in scaled])
    assert torch.allclose(phi @ phi.mT, dense.double(), atol=1e-6 if "squared" in kernel else 1e-8)
    assert features.variance_left(s).max() < 1e-6


def test_fewer_points_leave_variance_out_and_never_add_any():
    s = places(300)
    few, more = (InducingFeatures.of(s, points=m, length=0.7) for m in (10, 80))
    assert few(s).shape == (300, 10)
    assert few.variance_left(s).mean() > 2 * more.variance_left(s).mean()
    assert (few(s).square().sum(1) <= 1 + 1e-6).all()
    far = torch.full((1, 2), 1e3).double()
    assert few(far).abs().max() < 1e-6
    assert few.variance_left(far) == 1


def test_the_units_of_coordinates_do_not_matter():
    s = places(40)
    near = InducingFeatures.of(s, points=10, length=0.5)
    clock = 1e6 + 3600 * s
    far = InducingFeatures.of(clock, points=10, length=1800.0)
    assert torch.allclose(near(s), far(clock), atol=1e-5)


def test_equal_rows_are_one_point():
    s = torch.ones(20, 3)
    features = InducingFeatures.of(s)
    assert features.points == 1
    assert torch.allclose(features(s), torch.ones(20, 1), atol=1e-5)


def test_what_cannot_be_a_process_is_refused():
    with pytest.raises(DataError, match="kernel is 'rbf'"):
        InducingFeatures(1, 3, kernel="rbf")
    with pytest.raises(DataError, match="one for each coordinate"):
        InducingFeatures(2, 3, length=[1.0])
    with pytest.raises(DataError, match="length is"):
        InducingFeatures(2, 3, length=-1.0)
    with pytest.raises(DataError, match="finite coordinates"):
        InducingFeatures.of(torch.tensor([[math.nan]]))
    with pytest.raises(DataError, match="points is"):
        InducingFeatures.of(torch.zeros(3, 1), points=0)


class Known(Component):
    """Clean targets around 0 with a known scale."""

    def forward(self, h, latents):
        return dist.Normal(torch.zeros_like(h[:, 0]), 1.0)


def bursts(n=50, seed=0):
    """A series whose targets are contaminated more often in its second half."""
    generator = torch.Generator().manual_seed(seed)
    time = torch.linspace(0, 10, n)[:, None].double()
    rate = torch.where(time[:, 0] > 5, 0.7, 0.05)
    wrong = torch.rand(n, generator=generator) < rate
    y = torch.randn(n, generator=generator).double()
    return time, torch.where(wrong, 8 * y, y)


def story(switch):
    return LatentSwitch(switch=switch, clean=Known(), anomaly=BroadNormal(0.0, 8.0)).double()


@pytest.mark.filterwarnings("ignore::nbam_pyro.errors.NBAMWarning")
def test_a_scale_near_0_and_a_constant_place_are_one_rate():
    time, y = bursts()
    one = fit(story(BetaSwitch(1, 9)), (time, y), steps=[Explore()], held_out=0)
    flat = GaussianProcessSwitch.of(time, scale=1e-4)
    steady = fit(story(flat), (time, y), steps=[Explore()], held_out=0)
    line = fit(story(LinearSwitch(1, scale=1e-4)), (time, y), steps=[Explore()], held_out=0)
    r, expected = (responsibilities(each, time, y, num_draws=1000) for each in (steady, line))
    assert abs(r - expected).max() < 0.02
    assert abs(r - responsibilities(one, time, y, num_draws=1000)).max() < 0.1  # other prior
    still = torch.zeros_like(time)
    switch = GaussianProcessSwitch.of(still, scale=2.0).double()
    latents = {"intercept": torch.tensor(-1.0).double(), "slope": torch.tensor([0.5]).double()}
    rates = switch(still, latents).mean
    assert torch.allclose(rates, rates[:1].expand(50))


@pytest.mark.filterwarnings("ignore::nbam_pyro.errors.NBAMWarning")
def test_the_posterior_is_that_of_the_dense_process():
    """Fitted features with a point at each row, beside NUTS of the dense Gaussian process."""
    time, y = bursts()
    switch = GaussianProcessSwitch.of(time, points=50, length=2.0, scale=2.0)
    fitted = fit(story(switch), (time, y), steps=[Explore()], held_out=0)
    draws = guide_draws(fitted.guide, 2000)
    found = draws["intercept"][:, None] + draws["slope"].double() @ switch.features(time).mT
    root = torch.linalg.cholesky(
        4 * torch.exp(-0.0 * time) * 0 + 4 * dense_matern(time, 2.0) + 1e-9 * torch.eye(50)
    )

    def model():
        intercept = pyro.sample("intercept", dist.Normal(torch.tensor(0.1).logit(), 1.5))
        f = pyro.sample("f", dist.MultivariateNormal(torch.zeros(50).double(), scale_tril=root))
        pair = story(BetaSwitch()).conditionals(time, {"contamination": torch.tensor(0.1)})
        a = pair.clean.log_prob(y) + torch.nn.functional.logsigmoid(-(intercept + f))
        b = pair.anomaly.log_prob(y) + torch.nn.functional.logsigmoid(intercept + f)
        pyro.factor("y", torch.logaddexp(a, b).sum())

    pyro.set_rng_seed(0)
    chain = MCMC(NUTS(model), num_samples=400, warmup_steps=200, disable_progbar=True)
    chain.run()
    exact = chain.get_samples()
    dense = exact["intercept"][:, None] + exact["f"]
    shift = (found.mean(0) - dense.mean(0)) / dense.std(0)
    assert shift.abs().max() < 0.25
    assert ((found.std(0) / dense.std(0)).log().abs() < 0.25).all()


def dense_matern(s, length):
    r = math.sqrt(5) * (s - s.mT).abs() / length
    return (1 + r + r**2 / 3) * (-r).exp()


@pytest.mark.filterwarnings("ignore::nbam_pyro.errors.NBAMWarning")
def test_a_fit_is_saved_with_its_points(tmp_path):
    time, y = bursts()
    x = torch.cat([torch.ones_like(time), time], 1)
    switch = GaussianProcessSwitch.of(time, points=8, length=2.0, scale=2.0, appended=True)
    fitted = fit(story(switch), (x, y), steps=[Explore()], held_out=0)
    save(fitted, tmp_path / "run")
    again = load(tmp_path / "run", allow=["tests.models.test_gaussian_process.Known"])
    assert torch.equal(again.story.switch.features.places, switch.features.places)
    before, after = (responsibilities(one, x, y) for one in (fitted, again))
    assert abs(before - after).max() < 1e-6


def test_coordinates_need_columns():
    time, y = bursts()
    switch = GaussianProcessSwitch.of(time, points=8, appended=True)
    with pytest.raises(DataError, match="coordinates of each row"):
        fit(story(switch), (time, y), steps=[Explore()])
