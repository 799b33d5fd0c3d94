"""The encoding of images: one size and one colour mode, grey or RGB, for all images."""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from nbam_pyro.cli.files.messages import counted, problem
from nbam_pyro.cli.files.source import Encoded, Features, wrong_kind
from nbam_pyro.data.images import is_grey, opened, pixels

__all__ = ["ImageShape"]

SMALLEST, LARGEST, USUAL = 8, 64, 32


@dataclass(frozen=True)
class ImageShape:
    """The size and the number of channels that every image is converted to.

    Attributes:
        height: Height in pixels.
        width: Width in pixels.
        channels: 1 for grey, 3 for RGB.
    """

    height: int
    width: int
    channels: int
    kind: Literal["images"] = field(default="images", repr=False)

    def __post_init__(self) -> None:
        if min(self.height, self.width) < 1 or self.channels not in (1, 3):
            raise problem(
                f"{self} is not a valid shape: height and width must be positive, and channels "
                "must be 1 or 3."
            )

    @classmethod
    def of(cls, x: Features) -> "ImageShape":
        """Choose a shape for the images of a training set.

        The shape has one grey channel if all images are grey, otherwise three RGB channels. If all
        images have the same size and their sides have at most 64 pixels, they keep this size,
        except that a side of less than 8 pixels becomes 8. Otherwise all images are scaled to 32 x
        32.

        Args:
            x: Paths of the images.

        Raises:
            DataError: There are no images, or one of them cannot be read.
        """
        if not isinstance(x, list):
            raise wrong_kind(x, expected="images")
        if not x:
            raise problem("There are no images. Add some.")
        sizes, greys = set(), set()
        for path in x:
            with opened(path) as image:
                sizes.add(image.size)
                greys.add(is_grey(image))
        width, height = sizes.pop()
        if sizes or max(width, height) > LARGEST:
            width, height = USUAL, USUAL
        return cls(max(height, SMALLEST), max(width, SMALLEST), 1 if all(greys) else 3)

    def encode(self, x: Features) -> Encoded:
        """Read images as pixels, (N, C, H, W) float32 in [0, 1].

        Args:
            x: Paths of the images.

        Raises:
            DataError: An image cannot be read.
        """
        if not isinstance(x, list):
            raise wrong_kind(x, expected="images")
        values = np.empty((len(x), self.channels, self.height, self.width), dtype=np.float32)
        scaled = faded = 0
        for row, path in enumerate(x):
            with opened(path) as image:
                scaled += image.size != (self.width, self.height)
                faded += self.channels == 1 and not is_grey(image)
                values[row] = pixels(
                    image, height=self.height, width=self.width, channels=self.channels
                )
        notes = []
        if scaled:
            many = counted(scaled, "image", were=("was", "were"))
            notes.append(f"{many} scaled to {self.height} x {self.width} pixels")
        if faded:
            many = counted(faded, "image", were=("was", "were"))
            notes.append(
                f"{many} converted from colour to grey, because all training images were grey"
            )
        return Encoded(values, notes)
