"""Global latents of a story: values by site name."""

from collections.abc import Mapping

from torch import Tensor

__all__ = ["Latents"]

Latents = Mapping[str, Tensor]
"""Values of global latents by site name, each in the shape of its prior."""
