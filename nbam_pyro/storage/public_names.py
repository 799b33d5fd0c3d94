"""Public names of classes, by which saved files refer to them."""

import importlib

__all__ = ["PUBLIC_PACKAGES", "is_value", "public_path"]

# Packages whose public classes may be built without permission.
PUBLIC_PACKAGES = (
    "nbam_pyro.models",
    "nbam_pyro.detection",
    "nbam_pyro.detection.representations",
    "torch.nn",
)
# Classes that are not modules but are described by their arguments, too, with their subclasses.
_VALUES = {
    "nbam_pyro.models.FlipPrior",
    "nbam_pyro.models.CleanError",
    "nbam_pyro.detection.Assignment",
    "nbam_pyro.detection.Kind",
    "nbam_pyro.detection.representations.Erasure",
    "nbam_pyro.detection.representations.Independence",
}


def is_value(kind: type) -> bool:
    """Return whether a class is not a module but is described by its arguments.

    Args:
        kind: Class.
    """
    return any(public_path(base) in _VALUES for base in kind.__mro__)


def public_path(kind: type) -> str:
    """Return the public name of a class of this library or of torch, otherwise its import path.

    Args:
        kind: Class.

    Example:
        >>> from torch import nn
        >>> public_path(nn.Linear), public_path(dict)
        ('torch.nn.Linear', 'builtins.dict')
    """
    name = kind.__qualname__
    for package in PUBLIC_PACKAGES:
        inside = kind.__module__.startswith(f"{package.partition('.')[0]}.")
        if inside and getattr(importlib.import_module(package), name, None) is kind:
            return f"{package}.{name}"
    return f"{kind.__module__}.{name}"
