"""Fits of lines with outliers: LatentSwitch, BetaSwitch, broad and uniform anomalies."""

import numpy as np
import pytest
import torch
from torch import nn

from nbam_pyro import LatentSwitch, fit, responsibilities
from nbam_pyro.inference import Joint, guide_draws, predict
from nbam_pyro.models import BetaSwitch, BroadNormal, NormalLikelihood, UniformRange
from tests.cases import BayesianLine

OUTLIERS = [(3.0, 10.0), (7.0, -5.0), (9.0, 15.0)]


def line_with_outliers(seed):
    rng = np.random.default_rng(seed)
    x = rng.uniform(0, 10, 50)
    y = 2 * x + 1 + 0.5 * rng.normal(size=50)
    x, y = np.append(x, [o[0] for o in OUTLIERS]), np.append(y, [o[1] for o in OUTLIERS])
    return torch.tensor(x, dtype=torch.float32)[:, None], torch.tensor(y, dtype=torch.float32)


@pytest.mark.parametrize("seed", range(20))
def test_line_toy(seed):
    x, y = line_with_outliers(seed)
    torch.manual_seed(seed)
    story = LatentSwitch(
        switch=BetaSwitch(),
        clean=NormalLikelihood(nn.Linear(1, 1), scale=y.std().item()),
        anomaly=BroadNormal.of(y),
    )
    steps = [Joint(epochs=300, lr=0.05, weight_decay=0.0)]
    fitted = fit(story, (x, y), steps=steps, held_out=0, batch_size=64, seed=seed)
    flags = responsibilities(fitted, x, y) > 0.5
    assert flags[-3:].all()
    assert flags[:-3].sum() <= 1
    assert not fitted.collapse.collapsed
    assert story.clean.head.weight.item() == pytest.approx(2.0, abs=0.15)
    assert predict(fitted, x).shape == (53,)


def robust_line_draw(seed):
    """Return whether one fit finds the outliers and the slope of a simulated line."""
    rng = np.random.default_rng(seed)
    x = torch.linspace(0, 25, 25)
    y = x + 1 + 2 * torch.tensor(rng.normal(size=25), dtype=torch.float32)
    y[[10, 15]] += 100
    centred = (x - x.mean())[:, None]  # slope and intercept become independent
    story = LatentSwitch(
        switch=BetaSwitch(),
        clean=BayesianLine(),
        anomaly=UniformRange(y.min().item(), y.max().item()),
    )
    steps = [Joint(epochs=500, guide_lr=0.05, spread_lr=0.05)]
    fitted = fit(story, (centred, y), steps=steps, held_out=0, seed=seed)
    r = responsibilities(fitted, centred, y)
    slope = guide_draws(fitted.guide, 500)["slope"]
    outlier = np.isin(np.arange(25), [10, 15])
    flagged = (r[outlier] > 0.99).all() and (r[~outlier] < 0.5).all()
    return bool(flagged and (slope.mean() - 1).abs() <= 3 * slope.std())


def test_robust_line():
    assert sum(robust_line_draw(seed) for seed in range(10)) >= 9
