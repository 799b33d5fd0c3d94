"""Stories and their components: what the data are assumed to have gone through."""

from nbam_pyro.models.anomalies import (
    BroadCounts,
    BroadNormal,
    BroadStudentT,
    ShiftedComponent,
    ShiftedNormal,
    ShiftedStudentT,
    UniformLabels,
    UniformRange,
)
from nbam_pyro.models.clean import (
    BernoulliLikelihood,
    CategoricalLikelihood,
    LaplaceLikelihood,
    LinearNormal,
    LocationScale,
    NegativeBinomialLikelihood,
    NormalLikelihood,
    PoissonLikelihood,
    StudentTLikelihood,
)
from nbam_pyro.models.component import Component
from nbam_pyro.models.label_flip import LabelFlip
from nbam_pyro.models.latent_switch import Conditionals, LatentSwitch, three_heads
from nbam_pyro.models.location import Location
from nbam_pyro.models.networks import (
    Rescale,
    ResNet18Trunk,
    WithoutGroups,
    mlp,
    resnet18,
    small_cnn,
)
from nbam_pyro.models.recipes import Recipe, Recipes
from nbam_pyro.models.regression import robust_regression
from nbam_pyro.models.standardise import Standardise
from nbam_pyro.models.story import ClosedStory, LatentLabelStory, Latents, Story, observe_verified
from nbam_pyro.models.switch_priors import (
    BetaSwitch,
    FixedSwitch,
    GroupSwitch,
    HeadSwitch,
    LinearSwitch,
)
from nbam_pyro.priors import Beta, FlipPrior

__all__ = [
    "BernoulliLikelihood",
    "Beta",
    "BetaSwitch",
    "BroadCounts",
    "BroadNormal",
    "BroadStudentT",
    "CategoricalLikelihood",
    "ClosedStory",
    "Component",
    "Conditionals",
    "FixedSwitch",
    "FlipPrior",
    "GroupSwitch",
    "HeadSwitch",
    "LabelFlip",
    "LaplaceLikelihood",
    "LatentLabelStory",
    "LatentSwitch",
    "Latents",
    "LinearNormal",
    "LinearSwitch",
    "Location",
    "LocationScale",
    "NegativeBinomialLikelihood",
    "NormalLikelihood",
    "PoissonLikelihood",
    "Recipe",
    "Recipes",
    "ResNet18Trunk",
    "Rescale",
    "ShiftedComponent",
    "ShiftedNormal",
    "ShiftedStudentT",
    "Standardise",
    "Story",
    "StudentTLikelihood",
    "UniformLabels",
    "UniformRange",
    "WithoutGroups",
    "mlp",
    "observe_verified",
    "resnet18",
    "robust_regression",
    "small_cnn",
    "three_heads",
]
