from .erasure import Erased as Erased
from .erasure import Erasure as Erasure
from .nuisance import Classes as Classes
from .nuisance import Nuisance as Nuisance
from .probe import Probe as Probe
from .probe import probe as probe
from .weights import NuisanceWeights as NuisanceWeights
from .weights import nuisance_weights as nuisance_weights
