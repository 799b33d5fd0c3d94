"""Loops with `NBAMLoss`: both ways to read responsibilities."""

import pytest
import torch

from benchmarks.label_noise.loop_starts import METHODS, Loops


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.filterwarnings("ignore::nbam_pyro.errors.InSampleWarning")
def test_a_loop_finds_wrong_labels(method):
    torch.manual_seed(0)
    truth = torch.arange(600) % 10
    x = 3 * torch.nn.functional.one_hot(truth, 12) + torch.randn(600, 12)
    wrong = torch.rand(600) < 0.2
    y = torch.where(wrong, (truth + 1) % 10, truth)
    r = METHODS[method](Loops(x, y, batch=20, epochs=4, start=2))
    assert r[wrong].mean() > r[~wrong].mean() + 0.3
