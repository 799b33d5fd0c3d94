"""Location and scale of clean measurements, which robust starts and collapse reports use."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

__all__ = ["Location"]


@dataclass(frozen=True)
class Location:
    """The location and scale of the clean likelihood of a story.

    Attributes:
        features: Function that returns the features h of rows x.
        clean: Clean likelihood, a `LocationScale`.
        anomaly: Anomaly likelihood, a `Component`.
    """

    features: Callable[[Tensor], Tensor]
    clean: Any
    anomaly: Any

    def residual(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the difference of y and the clean location, (N,).

        The centre is subtracted first, in the precision of y. Measurements far from 0 therefore
        keep their digits.

        Args:
            x: Rows, (N, ...).
            y: Observed measurements, (N,).
        """
        deviation, _ = self.clean.deviation_and_scale(self.features(x))
        return (y - self.clean.centre).to(deviation.dtype) - deviation

    def scale(self, x: Tensor) -> Tensor:
        """Return the clean scale of rows x, () or (N,), in the units of y."""
        scale: Tensor = self.clean.deviation_and_scale(self.features(x))[1]
        return scale

    @property
    def centre(self) -> float:
        """The centre of the clean likelihood: a number near the measurements, in the units of y."""
        centre: float = self.clean.centre
        return centre

    @property
    def unit(self) -> float:
        """The scale that the clean likelihood was created with, in the units of y."""
        unit: float = self.clean.scale
        return unit

    def start(self, *, scale: Tensor, shift: Tensor, width: Tensor) -> None:
        """Set the values that training starts from, in the units of y.

        Args:
            scale: Scale of the clean likelihood.
            shift: Distance of the anomaly likelihood from the clean location.
            width: Scale of the anomaly likelihood.
        """
        self.clean.start_at(scale)
        self.anomaly.start_from(shift=shift, width=width)

    def free_numbers(self, story: nn.Module) -> list[nn.Parameter]:
        """Return the parameters of a story that are single numbers outside the clean likelihood.

        Args:
            story: The story that this location belongs to.
        """
        clean = {id(parameter) for parameter in self.clean.parameters()}
        return [p for p in story.parameters() if not p.ndim and id(p) not in clean]
