"""What a story may choose among as its default recipe; inference offers it, stories choose."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

__all__ = ["Recipe", "Recipes"]

Recipe = Sequence[Callable[[Any], None]]
"""The steps of a fit in their order: each takes the `Run` and changes it."""


class Recipes(Protocol):
    """The recipes of the library, which `Story.default_steps` chooses from.

    Each method returns a list of steps that is in proportion to the epochs and step size that the
    caller of `fit` or `default_steps` asked for.
    """

    def joint(self) -> Recipe:
        """Returns one joint fit of networks and guide, which serves every story."""

    def labels(self, num_classes: int) -> Recipe:
        """Returns the recipe for a latent true label whose network is trained.

        Args:
            num_classes: Number of classes, K.
        """

    def measurements(self, *, one_sided: bool) -> Recipe:
        """Returns the recipe for measurements around a clean location.

        Args:
            one_sided: Whether the anomaly likelihood may lie on one side of the clean location, so
                that attempts which suppose errors upwards and downwards are worth their time.
        """
