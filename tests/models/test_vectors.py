"""Targets with several elements: one switch for all of them, or one for each."""

import numpy as np
import pytest
import torch
from torch import nn

from nbam_pyro import LatentSwitch, Verified, fit, responsibilities
from nbam_pyro.errors import DataError, StoryError
from nbam_pyro.inference import Joint, WarmUp, predict, to_datatree
from nbam_pyro.models import BetaSwitch, BroadVector, NormalVector, OneSwitch
from nbam_pyro.verified import NOTHING

WRONG = np.arange(120) % 8 == 0


def positions(*, both):
    """Points in a plane as functions of x; in some rows one coordinate is wrong, or both are."""
    rng = np.random.default_rng(0)
    x = torch.tensor(rng.uniform(-1, 1, (120, 1)), dtype=torch.float32)
    y = torch.cat([2 * x, 30 - 10 * x], 1) + torch.tensor([0.1, 0.5]) * torch.randn(120, 2)
    y[WRONG, 0] += 1.2
    if both:
        y[WRONG, 1] += 6.0
    return x, y


def story(y, *, together):
    clean = NormalVector(
        nn.Linear(1, 2), scale=y.std(0).tolist(), centre=y.median(0).values.tolist()
    )
    anomaly = BroadVector.of(y)
    if together:
        return LatentSwitch(switch=BetaSwitch(), clean=OneSwitch(clean), anomaly=OneSwitch(anomaly))
    switch = BetaSwitch(shape=(2,))
    return LatentSwitch(switch=switch, clean=clean, anomaly=anomaly, dims=("coordinate",))


def fitted(x, y, *, together, **options):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = story(y, together=together)
    return fit(made, (x, y), steps=[Joint(epochs=150, lr=0.03)], held_out=0, **options)


def test_one_switch_judges_all_elements_of_a_target():
    torch.manual_seed(0)
    x, y = positions(both=True)
    verified = Verified.of(y[:, 0], contaminated=torch.tensor([1, 0] + 118 * [-1]))
    one = fitted(x, y, together=True, verified=verified)
    r = one.training_rows.responsibility
    assert r.shape == (120,)
    assert r[0] == 1
    assert r[1] == 0
    assert ((r > 0.5) == WRONG).mean() > 0.98
    assert predict(one, x[:3]).shape == (3, 2)
    assert responsibilities(one, x[:3], y[:3]).shape == (3,)
    tree = to_datatree(one, x, y, num_draws=20)
    assert tree["posterior"]["contamination"].dims == ("chain", "draw")


def test_a_switch_for_each_element_judges_elements():
    torch.manual_seed(0)
    x, y = positions(both=False)
    r = fitted(x, y, together=False).training_rows.responsibility
    assert r.shape == (120, 2)
    assert ((r[:, 0] > 0.5) == WRONG).mean() > 0.95
    assert (r[:, 1] > 0.5).mean() < 0.05


def test_elements_may_have_different_units():
    torch.manual_seed(0)
    x, y = positions(both=True)
    y[:, 1] *= 100
    one = fitted(x, y, together=True)
    assert not one.collapse.collapsed
    clock = 1.7e9 + torch.arange(120, dtype=torch.float64) / 60
    with pytest.raises(DataError, match=r"y\[:, 1\]"):
        fitted(x, torch.stack([y[:, 0].double(), clock], 1), together=True)


def test_a_warm_up_counts_a_target_once():
    torch.manual_seed(0)
    x, y = positions(both=True)
    verified = Verified.of(y[:, 0], contaminated=torch.tensor([1, 0] + 118 * [-1]))
    steps = [WarmUp(epochs=2), Joint(epochs=2)]
    for known in (NOTHING, verified):
        run = fit(story(y, together=True), (x, y), steps=steps, verified=known)
        assert run.training_rows.responsibility.shape == (120,)


def test_shapes_that_do_not_fit_are_named():
    x, y = positions(both=True)
    with pytest.raises(DataError, match="wrap both likelihoods in OneSwitch"):
        fit(story(y, together=True), (x, y[:, 0]))
    clean = OneSwitch(NormalVector(nn.Linear(1, 2), scale=[1.0, 1.0]))
    bare = LatentSwitch(switch=BetaSwitch(), clean=clean, anomaly=BroadVector([0.0], [9.0]))
    with pytest.raises(StoryError, match="Wrap both"):
        fit(bare, (x, y))
    short = LatentSwitch(
        switch=BetaSwitch(), clean=clean, anomaly=OneSwitch(BroadVector(3 * [0.0], 3 * [9.0]))
    )
    with pytest.raises(StoryError, match="anomaly conditional has shape"):
        fit(short, (x, y))
    narrow = LatentSwitch(
        switch=BetaSwitch(),
        clean=OneSwitch(NormalVector(nn.Linear(1, 1), scale=[1.0, 1.0])),
        anomaly=OneSwitch(BroadVector([0.0, 0.0], [9.0, 9.0])),
    )
    with pytest.raises(StoryError, match="one output for each element"):
        fit(narrow, (x, y))
    with pytest.raises(DataError, match="one of each"):
        BroadVector([0.0, 1.0], [9.0])
    with pytest.raises(DataError, match="positive"):
        NormalVector(nn.Linear(1, 1), scale=[0.0])
