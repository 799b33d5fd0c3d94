"""Image files: listing those of a folder, and reading their pixels."""

from nbam_pyro.data.images.folder import ImageFiles, image_files
from nbam_pyro.data.images.pixels import is_grey, opened, pixels, plain

__all__ = ["ImageFiles", "image_files", "is_grey", "opened", "pixels", "plain"]
