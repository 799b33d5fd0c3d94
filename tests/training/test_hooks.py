"""`StepHook`: it replaces training batches, and may train a network with its own optimiser."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset

from nbam_pyro.training.hooks import StepHook
from nbam_pyro.training.lightning import Options, Task, train
from nbam_pyro.training.rows import Batch, Rows


class Shifted(StepHook):
    """Adds one to the rows, fits a constant to them, and moves them up the loss."""

    def __init__(self):
        self.middle = nn.Linear(1, 1, bias=False)
        self.modules = (self.middle,)
        self.optimiser = torch.optim.SGD(self.middle.parameters(), lr=0.1)

    def __call__(self, batch, loss):
        x = batch.x + 1
        self.optimiser.zero_grad()
        (self.middle.weight - x.mean()).square().sum().backward()
        self.optimiser.step()
        x.requires_grad_()
        (slope,) = torch.autograd.grad(loss(batch._replace(x=x)), x)
        return batch._replace(x=(x + slope.sign()).detach())


@pytest.mark.parametrize("held_out", [0, 4])
def test_a_hook_changes_training_batches_and_trains_its_own_network(held_out):
    torch.manual_seed(0)
    x, y = torch.ones(12, 1), torch.zeros(12, 1)
    net, hook, seen = nn.Linear(1, 1, bias=False), Shifted(), []
    nn.init.constant_(net.weight, 0.5)
    before = abs(float(hook.middle.weight.detach()) - 2)

    def loss(batch: Batch) -> torch.Tensor:
        if net.training:
            seen.append(float(batch.x.detach().mean()))
        return (net(batch.x) * batch.x).mean()

    parameters = list(net.parameters())
    task = Task([net], loss=loss, groups=[{"params": parameters, "lr": 0.0}], hook=hook)
    rows, index = Rows(TensorDataset(x, y), y, torch.ones(12)), np.arange(12)
    options = Options(batch_size=12)
    train(task, rows, index[held_out:], index[:held_out], epochs=2, options=options, label="")
    assert seen == [2.0, 3.0] * 2  # the hook computes the loss at 2 and moves to 3
    assert float(net.weight.detach()) == 0.5
    assert abs(float(hook.middle.weight.detach()) - 2) < before
