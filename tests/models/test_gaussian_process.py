"""Gaussian processes on the logit of a rate: the features, the switch prior, and its posterior."""

import math

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
from matplotlib.figure import Figure
from pyro.infer import MCMC, NUTS
from pyro.infer.autoguide import AutoMultivariateNormal
from torch.nn.functional import logsigmoid

from nbam_pyro import LabelFlip, LatentSwitch, fit, load, plots, save
from nbam_pyro.errors import DataError
from nbam_pyro.inference import Joint, RateMap, guide_draws, rate_map
from nbam_pyro.models import (
    BetaSwitch,
    BroadNormal,
    Component,
    GaussianProcessSwitch,
    InducingFeatures,
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


def process(s, points=50, **options):
    """A prior whose inducing points are the rows, if there are at most `points`."""
    return GaussianProcessSwitch.of(s, points=points, length=2.0, scale=2.0, **options)


def test_a_scale_of_0_is_one_rate():
    time, y = bursts()
    flat = GaussianProcessSwitch.of(time, scale=1e-6).double()
    draw = {name: prior.sample() for name, prior in flat.priors().items()}
    one = {"contamination": draw["intercept"].sigmoid()}
    pairs = zip(
        story(flat).log_joint(time, y, draw),
        story(BetaSwitch()).log_joint(time, y, one),
        strict=True,
    )
    for found, expected in pairs:
        assert torch.allclose(found, expected, atol=1e-4)


def test_at_one_place_there_is_one_rate():
    still = torch.zeros(50, 1).double()
    switch = process(still)
    latents = {"intercept": torch.tensor(-1.0).double(), "slope": torch.tensor([0.5]).double()}
    rates = switch(still, latents).mean
    assert torch.allclose(rates, torch.tensor(-0.5).double().sigmoid(), atol=1e-6)


def test_the_density_is_that_of_the_dense_process():
    """With a point at each row, f = phi w has the density of N(0, K), whatever w is."""
    time, _ = bursts()
    switch = process(time).double()
    prior = switch.priors()["slope"]
    dense = dist.MultivariateNormal(torch.zeros(50).double(), 4 * dense_matern(time, 2.0))
    phi = switch.features(time)
    volume = torch.linalg.slogdet(phi).logabsdet
    for _ in range(3):
        w = prior.sample()
        assert torch.allclose(prior.log_prob(w), dense.log_prob(phi @ w) + volume, atol=1e-4)


def dense_matern(s, length):
    r = math.sqrt(5) * (s - s.mT).abs() / length
    return (1 + r + r**2 / 3) * (-r).exp()


def fitted(made, x, y, epochs=400):
    steps = [Joint(epochs=epochs, guide_lr=0.01, spread_lr=0.01, one_cycle=True)]
    return fit(
        made, (x, y), steps=steps, held_out=0, batch_size=len(y), guide=AutoMultivariateNormal
    )


def test_a_fit_finds_the_posterior_of_the_dense_process():
    """A guide of the features with a point at each row, beside NUTS of the dense process."""
    time, y = bursts()
    switch = process(time)
    draws = guide_draws(fitted(story(switch), time, y, epochs=1000).guide, 2000)
    f = draws["slope"].double() @ switch.features(time).mT
    found = draws["intercept"].double()[:, None] + f
    root = torch.linalg.cholesky(4 * dense_matern(time, 2.0) + 1e-9 * torch.eye(50))
    clean, wrong = (dist.Normal(torch.zeros_like(y), scale).log_prob(y) for scale in (1.0, 8.0))

    def dense():
        centre = torch.tensor(0.1).double().logit()
        intercept = pyro.sample("intercept", dist.Normal(centre, 1.5))
        unit = pyro.sample("unit", dist.Normal(torch.zeros_like(y), 1.0).to_event(1))
        logits = intercept + root @ unit
        a, b = clean + logsigmoid(-logits), wrong + logsigmoid(logits)
        pyro.factor("y", torch.logaddexp(a, b).sum())

    with torch.random.fork_rng():
        pyro.set_rng_seed(0)
        chain = MCMC(NUTS(dense), num_samples=400, warmup_steps=200, disable_progbar=True)
        chain.run()
    exact = chain.get_samples()
    expected = exact["intercept"][:, None] + exact["unit"] @ root.mT
    shift = (found.mean(0) - expected.mean(0)) / expected.std(0)
    assert shift.abs().max() < 0.2


@pytest.mark.filterwarnings("ignore::nbam_pyro.errors.NBAMWarning")
def test_a_map_shows_where_rows_are_contaminated_and_where_nothing_is_known(tmp_path):
    time, y = bursts(200)
    x = torch.cat([torch.ones_like(time), time], 1)
    made = story(process(time, points=20, appended=True))
    found = fitted(made, x, y)
    rates = rate_map(found, torch.tensor([1.0, 9.0, 500.0]))
    assert rates.high[0] < rates.low[1]
    assert rates.high[2] - rates.low[2] > 0.5  # far from all rows
    assert ((rates.low <= rates.mean) & (rates.mean <= rates.high)).all()
    known = Known.__module__ + ".Known"
    save(found, tmp_path / "run")
    again = load(tmp_path / "run", allow=[known])
    assert torch.equal(again.story.switch.features.places, made.switch.features.places)
    same = rate_map(again, torch.tensor([1.0, 9.0, 500.0]))
    assert abs(same.mean - rates.mean).max() < 1e-6
    plots.rate_map(rates, ax=Figure().subplots())
    with pytest.raises(DataError, match="expected finite numbers of shape"):
        rate_map(found, torch.zeros(3, 2))
    with pytest.raises(DataError, match="no classes"):
        rate_map(found, time, true_label=0)
    with pytest.raises(DataError, match="strictly between"):
        rate_map(found, time, probability=1.0)


def test_coordinates_need_columns():
    time, y = bursts()
    switch = GaussianProcessSwitch.of(time, points=8, appended=True)
    with pytest.raises(DataError, match="coordinates of each row"):
        fit(story(switch), (time, y), steps=[Joint(epochs=1)])
    with pytest.raises(DataError, match="locality is 0"):
        LabelFlip(torch.nn.Linear(1, 3), 3, over=switch.features)


@pytest.mark.parametrize("columns", [1, 2])
def test_pictures_of_maps(columns):
    n = 9
    rate = np.linspace(0.1, 0.5, n)
    rates = RateMap(np.zeros((n, columns)), rate, rate - 0.1, rate + 0.1, 0.9)
    assert plots.rate_map(rates, ax=Figure().subplots()).get_title()
    with pytest.raises(DataError, match="3 coordinates"):
        plots.rate_map(RateMap(np.zeros((n, 3)), rate, rate, rate, 0.9), ax=Figure().subplots())
