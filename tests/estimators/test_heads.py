"""The head of a classifier: given, or chosen by the data."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import make_moons

from nbam_pyro import NBAMClassifier
from nbam_pyro.errors import DataError
from nbam_pyro.inference import Joint, WarmUp
from nbam_pyro.models import mlp


def line(n=160, seed=0):
    """Two classes with a straight border, and labels of which a tenth is flipped."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 3))
    true = (x[:, 0] + x[:, 1] > 0).astype(int)
    x[:, 0] += 1.5 * (2 * true - 1)
    return x, np.where(rng.random(n) < 0.1, 1 - true, true), true


def moons(n=200, seed=0):
    x, true = make_moons(n, noise=0.1, random_state=seed)
    flipped = np.random.default_rng(seed).random(n) < 0.1
    return x, np.where(flipped, 1 - true, true), true


def test_a_straight_border_gets_a_line():
    x, y, true = line()
    model = NBAMClassifier(head="auto", random_state=0).fit(x, y)
    assert model.head_.choice == "linear"
    assert list(model.head_.scores.index) == ["linear", "spline", "network"]
    assert (model.predict(x) == true).mean() > 0.95
    assert clone(model).head == "auto"


def test_moons_get_no_line():
    x, y, true = moons()
    model = NBAMClassifier(head="auto", random_state=0).fit(x, y)
    assert model.head_.choice != "linear"
    assert (model.predict(x) == true).mean() > 0.95


@pytest.mark.parametrize("head", ["linear", "spline"])
def test_a_head_may_be_given(head):
    x, y, true = line()
    model = NBAMClassifier(head=head, random_state=0).fit(x, y)
    assert model.head_.choice == head
    assert model.head_.scores.empty
    assert (model.predict(x) == true).mean() > 0.95


def test_heads_that_do_not_fit_are_named():
    x, y, _ = line(40)
    for options, says in (
        ({"head": "tree"}, "'linear', 'spline' or 'network'"),
        ({"head": "linear", "network": mlp}, "network= is given"),
        ({"head": "auto", "steps": [WarmUp(epochs=1), Joint(epochs=1)]}, "Add a CrossFit step"),
    ):
        with pytest.raises(DataError, match=says):
            NBAMClassifier(**options).fit(x, y)
    with pytest.raises(DataError, match="X has images"):
        NBAMClassifier(head="auto").fit(np.zeros((40, 1, 8, 8)) + x[:, :1, None, None], y)
