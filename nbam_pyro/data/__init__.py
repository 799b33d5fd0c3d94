"""Data sets, rows of large files, and artificial contamination with known truth."""

from nbam_pyro.data.arrow import arrow_rows
from nbam_pyro.data.corruption import Contaminated, Corruption, contaminate
from nbam_pyro.data.digits import Digits, flipped_digits
from nbam_pyro.data.flips import (
    CIFAR10_FLIPS,
    DIGITS_FLIPS,
    FASHION_MNIST_FLIPS,
    Flips,
    PairFlips,
    SymmetricFlips,
)
from nbam_pyro.data.frozen import image_features
from nbam_pyro.data.groups import with_groups
from nbam_pyro.data.instance import InstanceFlips
from nbam_pyro.data.local import Local, half_space
from nbam_pyro.data.measurements import GrossErrors, Shift
from nbam_pyro.data.vision import torchvision_data

__all__ = [
    "CIFAR10_FLIPS",
    "DIGITS_FLIPS",
    "FASHION_MNIST_FLIPS",
    "Contaminated",
    "Corruption",
    "Digits",
    "Flips",
    "GrossErrors",
    "InstanceFlips",
    "Local",
    "PairFlips",
    "Shift",
    "SymmetricFlips",
    "arrow_rows",
    "contaminate",
    "flipped_digits",
    "half_space",
    "image_features",
    "torchvision_data",
    "with_groups",
]
