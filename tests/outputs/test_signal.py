import numpy as np
import pyro
import pytest
import torch
from pyro.infer import MCMC, NUTS

from nbam_pyro.errors import DataError
from nbam_pyro.models import MarkovSwitch
from nbam_pyro.outputs import draw_paths, from_responsibilities, from_series, from_signal
from nbam_pyro.outputs.series.normals import _Model, normal_draws
from nbam_pyro.outputs.series.posterior import chain_posterior
from nbam_pyro.outputs.series.rows import SeriesRows
from tests.outputs.test_series import densities, simulated


def plain_rows(count):
    return SeriesRows.of(np.zeros(count), np.zeros(count), series=None, order=None, verified=None)


def test_learns_share_dwell_and_likelihoods():
    z, y = simulated(1500, shift=2.5)
    report = from_signal(100 + 3 * y)
    assert report.verdict.level == "identified"
    low, high = report.dwell_interval
    assert low < 8 < high
    assert report.contamination == pytest.approx(z.mean(), abs=0.03)
    mean = {name: float(one.mean()) for name, one in report.posterior.items()}
    assert mean["clean_mean"] == pytest.approx(100, abs=0.5)
    assert mean["clean_scale"] == pytest.approx(3, abs=0.3)
    assert mean["shift"] == pytest.approx(7.5, abs=0.7)
    assert abs(draw_paths(report, 200).mean(0) - report.rows["responsibility"]).mean() < 0.03


def test_units_and_places_do_not_matter():
    _, y = simulated(400)
    report, other = from_signal(y), from_signal(-1e6 + 1e3 * y)
    assert np.allclose(report.rows["responsibility"], other.rows["responsibility"], atol=1e-3)


def test_errors_may_be_lower_or_broader():
    rng = np.random.default_rng(0)
    z = np.arange(1000) % 50 >= 40
    for y in (rng.normal(-4 * z), rng.normal(size=1000) * np.where(z, 6, 1)):
        report = from_signal(y)
        assert ((report.rows["responsibility"] > 0.5) == z).mean() > 0.93


def test_missing_and_verified_measurements_and_several_series():
    z, y = simulated(600, shift=3.0)
    y[50:60] = np.nan
    codes = np.where(np.arange(600) < 20, z, -1)
    report = from_signal(y, verified=codes, series=np.arange(600) // 200)
    r = report.rows["responsibility"]
    assert (r[:20] == z[:20]).all()
    assert r.notna().all()


@pytest.mark.parametrize(
    ("y", "message"),
    [([1.0] * 30, "1 different"), ([*range(20), -np.inf], "infinite in row 20"), ([], "at least")],
)
def test_mistakes_are_named(y, message):
    with pytest.raises(DataError, match=message):
        from_signal(np.array(y))


def test_responsibilities_and_their_prior_give_back_the_likelihoods():
    _, y = simulated(300)
    e0, e1 = densities(y)
    prior = np.linspace(0.05, 0.4, 300)
    r = 1 / (1 + np.exp(e0 - e1) * (1 - prior) / prior)
    found, best = from_responsibilities(r, prior), from_series(e0, e1)
    assert np.allclose(found.rows["responsibility"], best.rows["responsibility"], atol=1e-6)
    with pytest.raises(DataError, match="in row 1"):
        from_responsibilities([0.5, 1.5], 0.1)
    with pytest.raises(DataError, match="prior"):
        from_responsibilities([0.5, 0.5], 1.0)


def agree(found, chain):
    """Check that two samples have the same mean, up to the error of a short chain."""
    assert abs(found.mean() - chain.mean()) < 0.4 * chain.std()


def test_the_grid_agrees_with_markov_chains_on_a_pyro_program():
    _, y = simulated(60, shift=2.5)
    switch = MarkovSwitch()
    e = torch.tensor(np.stack(densities(y, 2.5), -1).reshape(2, 30, 2))

    def program():
        latents = {name: pyro.sample(name, prior) for name, prior in switch.priors().items()}
        with pyro.plate("series", 2):
            pyro.factor("density", switch.log_partition(e, latents))

    pyro.set_rng_seed(0)
    chains = MCMC(NUTS(program), num_samples=150, warmup_steps=60, disable_progbar=True)
    chains.run()
    drawn = chains.get_samples()
    e0, e1 = e.reshape(60, 2).numpy().T
    rows = SeriesRows.of(
        e0, e1, series=np.repeat([0, 1], 30), order=np.arange(60) % 30, verified=None
    )
    found = chain_posterior(rows, switch, draws=2000, seed=0)
    agree(np.log(found.contamination), drawn["contamination"].log().numpy())
    agree(np.log(found.dwell - 1), (drawn["dwell"] - 1).log().numpy())


def test_weighted_draws_agree_with_markov_chains():
    _, y = simulated(80, shift=3.0)
    rows, switch = plain_rows(80), MarkovSwitch()
    model = _Model(y, rows, switch, independent=False, equal=True)
    pyro.set_rng_seed(0)
    kernel = NUTS(potential_fn=lambda site: -model.log_posterior(site["theta"]))
    start = {"theta": model.mode()}
    chains = MCMC(
        kernel, num_samples=150, warmup_steps=60, initial_params=start, disable_progbar=True
    )
    chains.run()
    share, dwell, mean, scale, shift, _ = model.named(chains.get_samples()["theta"])
    found = normal_draws(
        y, rows, switch, draws=4000, independent=False, equal=True, rng=np.random.default_rng(0)
    )
    agree(np.log(found.contamination), share.log().numpy())
    agree(np.log(found.dwell - 1), (dwell - 1).log().numpy())
    agree(found.clean_mean, mean.numpy())
    agree(np.log(found.clean_scale), scale.log().numpy())
    agree(found.shift, shift.numpy())


@pytest.mark.parametrize("kind", ["noise", "wave"])
def test_neighbours_that_are_alike_without_bursts_cannot_tell(kind):
    rng = np.random.default_rng(0)
    noise = rng.normal(size=500)
    y = 2 * np.sin(np.arange(500) / 30) + noise
    if kind == "noise":
        y = noise.copy()
        for t in range(1, len(y)):
            y[t] += 0.7 * y[t - 1]
    report = from_signal(y)
    assert report.verdict.level == "cannot tell"
    assert "more alike than bursts explain" in str(report.verdict)
