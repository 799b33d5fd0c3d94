"""Where clean measurements lie: what robust starts and collapse reports need of a story."""

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
        """Return y less the clean location, (N,), without rounding it to the level of y.

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
        """The number that measurements are compared with, in the units of y."""
        centre: float = self.clean.centre
        return centre

    @property
    def unit(self) -> float:
        """The scale that the clean likelihood was made with, in the units of y."""
        unit: float = self.clean.scale
        return unit

    def start(self, *, scale: Tensor, shift: Tensor, width: Tensor) -> None:
        """Set where training starts, in the units of y.

        Args:
            scale: Scale of the clean likelihood.
            shift: Distance of the anomaly likelihood from the clean location.
            width: Scale of the anomaly likelihood.
        """
        self.clean.start_at(scale)
        self.anomaly.start_from(shift=shift, width=width)

    def free_numbers(self, story: nn.Module) -> list[nn.Parameter]:
        """Return the single numbers among a story's parameters that are not the clean likelihood's.

        Args:
            story: The story that the location belongs to.
        """
        clean = {id(parameter) for parameter in self.clean.parameters()}
        return [p for p in story.parameters() if not p.ndim and id(p) not in clean]
