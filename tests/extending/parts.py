"""Parts of a user: a clean likelihood, a detection backbone and two steps of a recipe."""

from dataclasses import dataclass

import pyro.distributions as dist
import torch
from torch import nn

from nbam_pyro.detection import Backbone, Energies, complement
from nbam_pyro.inference import Batch, Run, Step, Task
from nbam_pyro.models import Component


class Logistic(Component):
    """Measurements with logistic noise around the output of a network: one class, one method."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.log_scale = nn.Parameter(torch.zeros(()))

    def forward(self, h, latents):
        return dist.Logistic(self.network(h).squeeze(-1), self.log_scale.exp())


class Middle(Backbone):
    """The energy of a row is its squared distance to a point that is learned."""

    def __init__(self, inputs: int, *, members: int = 1, width: float = 1.0) -> None:
        super().__init__(members)
        self.inputs, self.width = inputs, width
        self.middle = nn.Parameter(0.1 * torch.randn(members, 1, inputs))

    def energies(self, x):
        distance = ((x - self.middle) / self.width).square().mean(-1)
        return Energies(distance, complement(distance))


@dataclass(frozen=True, kw_only=True)
class Shrink(Step):
    """Train the networks on squared weights alone for some epochs."""

    epochs: int = 1
    lr: float = 1e-3

    def __call__(self, run: Run) -> None:
        parameters = list(run.story.parameters())

        def loss(batch: Batch) -> torch.Tensor:
            return sum(p.square().sum() for p in parameters)

        task = Task([run.story], loss=loss, groups=[{"params": parameters, "lr": self.lr}])
        run.train("shrink", task, epochs=self.epochs, select=False)


def halve(run: Run) -> None:
    """A plain function is a step, too: it halves every weight."""
    with torch.no_grad():
        for parameter in run.story.parameters():
            parameter.mul_(0.5)
