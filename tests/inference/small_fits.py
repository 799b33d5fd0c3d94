"""Data, stories and steps of the small fits that several test files share."""

import numpy as np
import torch

from nbam_pyro import LatentSwitch
from nbam_pyro.inference import Joint
from nbam_pyro.models import BetaSwitch, BroadNormal, LinearNormal

FULL = Joint(epochs=400, guide_lr=0.05, spread_lr=0.05, one_cycle=True, num_draws=10, patience=400)


def line(n=60, seed=0):
    rng = np.random.default_rng(seed)
    x = np.linspace(-1, 1, n)[:, None]
    y = 1 + 2 * x[:, 0] + 0.3 * rng.normal(size=n)
    wrong = rng.permutation(n) < n // 5
    y[wrong] = rng.uniform(-20, 20, n // 5)
    return torch.as_tensor(x).float(), torch.as_tensor(y).float(), wrong


def line_story(switch=None):
    switch = switch or BetaSwitch(1, 9)
    return LatentSwitch(switch=switch, clean=LinearNormal(1), anomaly=BroadNormal(0.0, 12.0))


def labels_given_f(n=200, seed=0):
    """Logits of three classes and labels that follow them, of which a quarter are flipped."""
    rng = np.random.default_rng(seed)
    x = 6 * np.eye(3)[rng.integers(3, size=n)] + rng.normal(size=(n, 3))
    f = np.exp(x) / np.exp(x).sum(1, keepdims=True)
    true = (rng.random(n)[:, None] > f.cumsum(1)).sum(1)
    flip = rng.random(n) < 0.25
    y = np.where(flip, (true + 1) % 3, true)
    return torch.as_tensor(x).float(), torch.as_tensor(y), flip
