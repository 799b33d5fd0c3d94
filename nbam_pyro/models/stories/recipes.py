"""The recipes that a story can choose as its default steps.

`nbam_pyro.inference` implements them, and `Story.default_steps` chooses one.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

__all__ = ["Recipe", "Recipes"]

Recipe = Sequence[Callable[[Any], None]]
"""The steps of a fit in their order. Each step takes the `Run` and changes it."""


class Recipes(Protocol):
    """The recipes of the library, from which `Story.default_steps` chooses.

    Each method returns a list of steps. Their epochs and step sizes are computed from the arguments
    `epochs` and `lr` of `fit` or `default_steps`.
    """

    def joint(self) -> Recipe:
        """Return one joint fit of networks and guide, which works for every story."""

    def modes(self) -> Recipe:
        """Return the recipe for a story whose numbers all have a prior: all posterior modes."""

    def labels(self, num_classes: int) -> Recipe:
        """Return the recipe for a story with a latent true label and a network to train.

        Args:
            num_classes: Number of classes, K.
        """

    def measurements(self, *, one_sided: bool) -> Recipe:
        """Return the recipe for measurements around a clean location.

        Args:
            one_sided: Whether most contaminated targets may lie on one side of the clean location.
                The recipe then also tries starts with errors upwards and with errors downwards.
        """
