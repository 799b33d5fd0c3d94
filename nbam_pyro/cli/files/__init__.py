"""Data files: reading them, and encoding their features in the same way in training and later."""

from nbam_pyro.cli.files.arrays import ArrayShape
from nbam_pyro.cli.files.columns import Columns
from nbam_pyro.cli.files.encoding import Encoding, encoding_of
from nbam_pyro.cli.files.frozen import FrozenEncoding
from nbam_pyro.cli.files.identifiers import Choice, chosen
from nbam_pyro.cli.files.images import ImageShape
from nbam_pyro.cli.files.reading import blocks, read
from nbam_pyro.cli.files.source import Encoded, NetworkFeatures, Source
from nbam_pyro.cli.files.used_network import UsedNetwork

__all__ = [
    "ArrayShape",
    "Choice",
    "Columns",
    "Encoded",
    "Encoding",
    "FrozenEncoding",
    "ImageShape",
    "NetworkFeatures",
    "Source",
    "UsedNetwork",
    "blocks",
    "chosen",
    "encoding_of",
    "read",
]
