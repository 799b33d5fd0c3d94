"""Options of `nbam detect` that choose a detector."""

from collections.abc import Callable
from enum import StrEnum
from typing import Any, Literal

from nbam_pyro.detection import (
    AutoEncoder,
    Backbone,
    Cobra,
    DeepSVDD,
    InternalContrast,
    NeuralTransformations,
)
from nbam_pyro.errors import DataError

__all__ = ["BackboneName", "parse_backbone", "parse_share"]


class BackboneName(StrEnum):
    """Names of backbones on the command line."""

    NTL = "ntl"
    ICL = "icl"
    SVDD = "svdd"
    AE = "ae"
    COBRA = "cobra"

    @property
    def backbone(self) -> Callable[..., Backbone]:
        """Class of the backbone with this name."""
        match self:
            case BackboneName.NTL:
                return NeuralTransformations
            case BackboneName.ICL:
                return InternalContrast
            case BackboneName.SVDD:
                return DeepSVDD
            case BackboneName.AE:
                return AutoEncoder
            case BackboneName.COBRA:
                return Cobra

    @property
    def of_images(self) -> bool:
        """Whether the backbone takes images. The others take tables."""
        return self is BackboneName.COBRA

    @property
    def settings(self) -> dict[str, Any]:
        """Settings of `AnomalyDetector` that suit the backbone."""
        if self.of_images:
            return {"epochs": 30, "members": 1, "lr": 3e-3, "batch_size": 64}
        return {"epochs": 100}


def parse_backbone(text: str) -> BackboneName:
    """Return the backbone with a name.

    Args:
        text: Name of a backbone: "ntl", "icl", "svdd", "ae" or "cobra".

    Raises:
        DataError: No backbone has this name.

    Example:
        >>> parse_backbone("ntl")
        <BackboneName.NTL: 'ntl'>
    """
    try:
        return BackboneName(text)
    except ValueError as error:
        raise DataError(f"--backbone is {text!r}. Give {', '.join(BackboneName)}.") from error


def parse_share(text: str) -> float | Literal["auto"]:
    """Read a share of anomalies.

    Args:
        text: A number such as "0.1", or "auto".

    Raises:
        DataError: The text is neither a number nor "auto".

    Example:
        >>> parse_share("0.1")
        0.1
    """
    if text == "auto":
        return "auto"
    try:
        return float(text)
    except ValueError as error:
        raise DataError(
            f"--contamination is {text!r}; give a share of anomalies such as 0.1, or auto."
        ) from error
