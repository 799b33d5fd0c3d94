"""Methods of the benchmark `nurd`: what is done about the nuisance, by name."""

import warnings
from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from nbam_pyro.detection import Blind
from nbam_pyro.detection.representations import Erasure, Independence, Representation
from nbam_pyro.errors import NuisanceWarning

__all__ = ["METHODS", "fitted"]

METHODS: Mapping[str, Mapping[str, Any]] = {
    "erm": {"removal": None, "weighted": False},
    "weights": {"removal": None},
    "nurd": {"removal": Independence(), "batch_size": 1000},
    "erased": {"removal": Erasure()},
}


def fitted(
    method: str, encoder: Callable[[int], nn.Module], data: tuple[Any, Any, Any], **settings: Any
) -> Representation:
    """Fit a detector without a warning that the nuisance can still be read; its probe is reported.

    Args:
        method: Name of the method.
        encoder: Function that makes the network.
        data: Rows, classes and nuisances.
        settings: Further settings of the detector. Those of the method have priority.
    """
    x, y, nuisance = data
    given = {"assignment": Blind(), **settings, **METHODS[method]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NuisanceWarning)
        return Representation(encoder, **given).fit(x, y, nuisance=nuisance)
