"""A story of a user: a label is right, drawn at random, or turned into another class."""

import pyro
import pyro.distributions as dist
import torch
from torch import nn

from nbam_pyro import NOTHING, Story
from nbam_pyro.models import observe_verified


class ThreeStates(Story):
    """Labels from a network (kind 0), at random (kind 1) or against the network (kind 2)."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x, y=None, *, num_data=None, verified=NOTHING):
        shares = pyro.sample("shares", dist.Dirichlet(torch.tensor([8.0, 1.0, 1.0])))
        logits = self.network(x)
        with self.plates(x, logits.shape[:1], num_data=num_data):
            kind = pyro.sample("kind", dist.Categorical(shares), infer={"enumerate": "parallel"})
            observe_verified("kind", kind > 0, verified.contaminated)
            sign = torch.tensor([1.0, 0.0, -1.0])[kind].unsqueeze(-1)
            return pyro.sample("label", dist.Categorical(logits=sign * logits), obs=y)

    def contaminated(self, states):
        return states["kind"] > 0

    def clean_predictor(self, x, latents):
        return dist.Categorical(logits=self.network(x))
