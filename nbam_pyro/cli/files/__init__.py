"""Data files: reading them, and encoding their features in the same way in training and later."""

from nbam_pyro.cli.files.arrays import ArrayShape
from nbam_pyro.cli.files.columns import Columns
from nbam_pyro.cli.files.encoding import Encoding, encoding_of
from nbam_pyro.cli.files.identifiers import Choice, chosen
from nbam_pyro.cli.files.images import ImageShape
from nbam_pyro.cli.files.reading import read
from nbam_pyro.cli.files.source import Encoded, Source

__all__ = [
    "ArrayShape",
    "Choice",
    "Columns",
    "Encoded",
    "Encoding",
    "ImageShape",
    "Source",
    "chosen",
    "encoding_of",
    "read",
]
