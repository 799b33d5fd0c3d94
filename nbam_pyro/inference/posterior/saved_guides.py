"""Guides in saved fits: their names, and guides without values to load tensors into."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from pyro.infer import autoguide
from torch import Tensor, nn

from nbam_pyro.errors import StoryError
from nbam_pyro.inference.variational.guides import make_guide
from nbam_pyro.inference.variational.modes_guide import ModesGuide
from nbam_pyro.inference.variational.space import Space
from nbam_pyro.models import Story

__all__ = ["blank_guide", "guide_name"]

_MODES = "nbam_pyro.inference.ModesGuide"


def guide_name(family: type) -> str:
    """Return the public name of a guide of Pyro or of the library, or the path of any other guide.

    Args:
        family: Class of the guide.
    """
    if family is ModesGuide:
        return _MODES
    name = family.__qualname__
    if getattr(autoguide, name, None) is family:
        return f"{autoguide.__name__}.{name}"
    return f"{family.__module__}.{name}"


def blank_guide(
    name: str,
    story: Story,
    x: Tensor,
    y: Tensor,
    *,
    tensors: Mapping[str, Tensor],
    family: Callable[..., nn.Module] | None,
) -> nn.Module:
    """Return a guide whose tensors have the shapes of saved ones.

    Args:
        name: Name of the guide, as `guide_name` returns it.
        story: Story of the guide.
        x: A few rows to run the story once, (N, ...).
        y: Targets of these rows, (N, *dims).
        tensors: Saved tensors of the guide by name.
        family: Family of the guide that the caller gives; None to find it by its name.

    Raises:
        StoryError: The family is not given, and no guide of Pyro has this name.
    """
    if family is None and name == _MODES:
        return ModesGuide(
            Space.of(story, x, y),
            **{part: torch.zeros_like(value) for part, value in tensors.items()},
        )
    return make_guide(story, x, y, family=family or _family(name))


def _family(path: str) -> Callable[..., nn.Module]:
    """Return the guide family with a name, if Pyro has such a family."""
    module, _, name = path.rpartition(".")
    family: Any = getattr(autoguide, name, None)
    guides = module == autoguide.__name__ and isinstance(family, type)
    if not (guides and issubclass(family, autoguide.AutoGuide)):
        raise StoryError(
            f"The guide {path!r} is not a guide of Pyro, so it cannot be loaded by its name. Pass "
            "guide=, the family that was passed to fit."
        )
    found: Callable[..., nn.Module] = family
    return found
