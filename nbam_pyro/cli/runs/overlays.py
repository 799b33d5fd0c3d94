"""Pictures of images with their anomaly maps."""

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure

from nbam_pyro.data.frozen.preparation import Preparation
from nbam_pyro.data.frozen.rows import Images, image_rows
from nbam_pyro.detection import enlarged_maps
from nbam_pyro.errors import printable

__all__ = ["short_name", "write_overlays"]

# Largest number of pictures.
_MOST = 50
# Opacity of scores above the threshold.
_OPAQUE = 0.7
_COLOURS = "autumn_r"


def write_overlays(
    folder: Path,
    images: Images,
    maps: np.ndarray,
    *,
    names: Sequence[str],
    order: np.ndarray,
    size: int,
    usual: float,
    threshold: float,
) -> list[str]:
    """Write a picture of each of the first images: the image, and its map over it.

    All pictures have the same colours: scores up to the usual score are transparent, scores at the
    threshold are orange, and those twice as far above the usual score are red.

    Args:
        folder: Folder that exists.
        images: N images.
        maps: Scores of cells, (N, h, w).
        names: Names of the images.
        order: Indices of the images, the most suspicious first.
        size: Height and width in pixels that the network gets.
        usual: Median score of the training images.
        threshold: Score above which an image has an anomaly.

    Returns:
        File name of each image's picture, N texts; an empty text without a picture.
    """
    rows, preparation = image_rows(images), Preparation(size=size)
    scores = maps.max((1, 2))
    width = 2 * (threshold - usual) if threshold > usual else 1.0
    written = [""] * len(names)
    for rank, row in enumerate(order[:_MOST].tolist(), 1):
        pixels = preparation(rows.read(row)[1]).numpy().transpose(1, 2, 0)
        image = np.repeat(pixels, 3, 2) if pixels.shape[2] == 1 else pixels[..., :3]
        heat = enlarged_maps(maps[row : row + 1], (size, size))[0]
        share = ((heat - usual) / width).clip(0, 1)
        path = folder / f"{rank:03d}.png"
        title = f"{short_name(names[row])}\nscore {scores[row]:.3g}, threshold {threshold:.3g}"
        figure = _figure(image, share, title)
        with warnings.catch_warnings():  # the font may lack letters of a name
            warnings.simplefilter("ignore")
            figure.savefig(path)
        written[row] = path.name
    return written


def short_name(name: str, *, letters: int = 70) -> str:
    """Return a name as a title: without control characters, and without its beginning if too long.

    Args:
        name: Name of an image or of a folder.
        letters: Largest number of letters.
    """
    title = printable(name)
    return title if len(title) <= letters else f"…{title[1 - letters :]}"


def _figure(image: np.ndarray, share: np.ndarray, title: str) -> Figure:
    opacity = _OPAQUE * (2 * share[..., None]).clip(0, 1)
    over = (1 - opacity) * image + opacity * colormaps[_COLOURS](share)[..., :3]
    figure = Figure(figsize=(6.4, 3.7), layout="constrained")
    for ax, picture in zip(figure.subplots(1, 2), (image, over), strict=True):
        ax.imshow(picture.clip(0, 1))  # rounding may exceed 1
        ax.set_axis_off()
    figure.suptitle(title, fontsize="medium", parse_math=False)
    return figure
