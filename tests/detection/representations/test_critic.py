"""The penalty on mutual information, and the network that estimates it."""

from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks.detection.nurd_data import EXACT_A, auroc_of_max_logit, max_logits, synthetic_a
from benchmarks.detection.nurd_methods import fitted
from nbam_pyro.detection.representations import Independence, perceptron
from nbam_pyro.detection.representations.background import Background
from nbam_pyro.detection.representations.critic import CriticHook
from nbam_pyro.detection.representations.nuisance import Classes, Nuisance
from nbam_pyro.training.rows import Batch


def trained(r, y, u, *, steps=150):
    """A hook whose critic has seen all rows as one batch, and this batch."""
    torch.manual_seed(0)
    known = Background(
        classes=Classes.of(y), nuisance=Nuisance.of(u, len(y)), weights=np.ones(len(y))
    )
    hook = CriticHook(Independence(warm_up=steps, lr=1e-2), nn.Identity(), r.shape[1], known)
    batch = Batch(torch.as_tensor(r).float(), torch.arange(len(r)), torch.ones(len(r)))
    assert hook(batch, lambda _: torch.zeros(())) is batch
    return hook, batch


def test_the_critic_sees_dependence_and_only_that():
    rng = np.random.default_rng(0)
    y, u, noise = rng.integers(0, 2, 1500), rng.normal(size=1500), rng.normal(size=1500)
    found = {}
    for name, r in (("dependent", u + 0.5 * noise), ("independent", noise)):
        hook, batch = trained(r[:, None], y, u)
        found[name] = float(hook.penalty(*batch[:3]).detach()), hook.accuracy(*batch[:3])
    # The mutual information of u and u + 0.5 e is log(5) / 2 = 0.80 nats.
    assert found["dependent"][0] == pytest.approx(0.80, abs=0.25)
    assert found["dependent"][1] > 0.7
    assert found["independent"][0] < 0.1
    assert found["independent"][1] < 0.6 < found["dependent"][1]


def test_the_penalty_does_not_depend_on_the_size_of_the_representation():
    rng = np.random.default_rng(0)
    y, u = rng.integers(0, 2, 500), rng.normal(size=500)
    hook, batch = trained((u + rng.normal(size=500))[:, None], y, u, steps=50)
    values = [hook.penalty(scale * batch.x + 7, batch.y, batch.weights) for scale in (1, 1000)]
    assert float(values[0].detach()) == pytest.approx(float(values[1].detach()), rel=1e-3)
    r = batch.x.clone().requires_grad_()
    hook.penalty(r, batch.y, batch.weights).backward()
    assert float(abs((r.grad * (r - r.mean(0))).detach().sum())) < 1e-4  # no gain from scaling


@pytest.mark.parametrize("method", ["erm", "nurd", "erased"])
def test_published_data_with_a_reversed_nuisance(method):
    rng = np.random.default_rng(0)
    train, (x, y, _) = synthetic_a(3000, 0.5, rng), synthetic_a(20_000, -0.9, rng)
    encoder = partial(perceptron, widths=[1 if method == "nurd" else 2])
    epochs = 50 if method == "nurd" else 5
    detector = fitted(method, encoder, train, epochs=epochs, lr=1e-2, random_state=0)
    accuracy = (detector.classify(x) == y).mean()
    if method == "erm":
        assert accuracy < 0.42
        assert detector.probe.linear > 0.9
    else:
        assert accuracy > (0.55 if method == "nurd" else 0.60)
        assert accuracy < EXACT_A + 0.02
        assert detector.probe.linear < (0.4 if method == "nurd" else 0.1)


@pytest.mark.parametrize(
    ("mu", "row"),
    [
        (1.5, (0.7529, 0.7395, 0.6749, 0.6296, 0.5476)),
        (3, (0.9667, 0.9650, 0.9548, 0.9448, 0.9105)),
    ],
)
def test_max_logit_loses_power_with_the_use_of_a_nuisance(mu, row):
    rng = np.random.default_rng(0)
    for rho, exact in zip((0.5, 0.7, 0.9, 0.95, 0.99), row, strict=True):
        assert auroc_of_max_logit(mu, rho) == pytest.approx(exact, abs=1e-3)
        normal, odd = max_logits(20_000, mu, rho, rng)
        below = np.searchsorted(np.sort(normal), odd).mean() / len(normal)
        assert below == pytest.approx(exact, abs=0.01)
