"""Data files: reading them, and turning them into arrays in the same way ever after."""

from nbam_pyro.files.arrays import ArrayShape
from nbam_pyro.files.columns import Columns
from nbam_pyro.files.encoding import Encoding, encoding_of
from nbam_pyro.files.identifiers import Choice, chosen
from nbam_pyro.files.images import ImageShape
from nbam_pyro.files.reading import read
from nbam_pyro.files.source import Encoded, Source

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
