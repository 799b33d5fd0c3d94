"""Data for demonstrations and benchmarks, and contamination whose truth is known."""

from nbam_pyro.data.corruption import (
    Contaminated,
    Corruption,
    Flips,
    GrossErrors,
    Shift,
    SymmetricFlips,
    contaminate,
)
from nbam_pyro.data.digits import DIGITS_FLIPS, Digits, flipped_digits
from nbam_pyro.data.vision import torchvision_data

__all__ = [
    "DIGITS_FLIPS",
    "Contaminated",
    "Corruption",
    "Digits",
    "Flips",
    "GrossErrors",
    "Shift",
    "SymmetricFlips",
    "contaminate",
    "flipped_digits",
    "torchvision_data",
]
