"""`Latents`, the values of a story's global latents by site name."""

from collections.abc import Mapping

from torch import Tensor

__all__ = ["Latents"]

Latents = Mapping[str, Tensor]
"""Values of global latents, the random numbers that all rows share, by site name.

Each value has the shape of its prior."""
