"""Features of images by a frozen network, kept on disk."""

from nbam_pyro.data.frozen.features import image_features
from nbam_pyro.data.frozen.network import Precision, network_digest
from nbam_pyro.data.frozen.rows import Images

__all__ = ["Images", "Precision", "image_features", "network_digest"]
