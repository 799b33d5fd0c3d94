"""Data, networks and short recipes that several tests of inference use."""

import numpy as np
import pytest
from torch import nn

from nbam_pyro.inference import Anchors, CrossFit, Joint, Spread, Vertices, WarmUp
from tests.rows import FEATURES

SHORT = [
    CrossFit(
        folds=2,
        warm_up=WarmUp(epochs=15, lr=1e-2),
        starts=[Anchors(), Vertices()],
        epochs=5,
        rounds=1,
        lr=1e-2,
    ),
    Joint(epochs=6, lr=1e-2, guide_lr=0.0, spread_lr=0.0),
    Spread(epochs=2),
]


# A fit of an epoch or two, without anchors, has no reason to be sound.
untrained = pytest.mark.filterwarnings("ignore::nbam_pyro.errors.CannotTellWarning")


def blobs(n=240, rate=0.3, seed=0):
    """Three well separated classes; some of class 0 are labelled 1."""
    rng = np.random.default_rng(seed)
    truth = np.arange(n) % 3
    centres = 4 * np.eye(3, FEATURES)
    x = (centres[truth] + rng.normal(size=(n, FEATURES))).astype(np.float32)
    y = np.where((truth == 0) & (rng.random(n) < rate), 1, truth)
    return x, y, truth


def network():
    return nn.Sequential(nn.Linear(FEATURES, 16), nn.ReLU(), nn.Linear(16, 3))
