"""Stories and their components: what the data are assumed to have gone through."""

from nbam_pyro.models.component import Component
from nbam_pyro.models.label_flip import LabelFlip
from nbam_pyro.models.latent_switch import Conditionals, LatentSwitch, three_heads
from nbam_pyro.models.likelihoods import (
    BroadNormal,
    CategoricalLikelihood,
    NormalLikelihood,
    UniformLabels,
    UniformRange,
)
from nbam_pyro.models.networks import mlp, resnet18, small_cnn
from nbam_pyro.models.story import ClosedStory, Latents, Story
from nbam_pyro.models.switch_priors import BetaSwitch, FixedSwitch, HeadSwitch

__all__ = [
    "BetaSwitch",
    "BroadNormal",
    "CategoricalLikelihood",
    "ClosedStory",
    "Component",
    "Conditionals",
    "FixedSwitch",
    "HeadSwitch",
    "LabelFlip",
    "LatentSwitch",
    "Latents",
    "NormalLikelihood",
    "Story",
    "UniformLabels",
    "UniformRange",
    "mlp",
    "resnet18",
    "small_cnn",
    "three_heads",
]
