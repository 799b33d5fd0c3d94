"""The network that computed features, and its preparation of images."""

from dataclasses import dataclass

from nbam_pyro.cli.files.messages import problem

__all__ = ["LARGEST", "UsedNetwork"]

LARGEST = 4096
"""Largest height and width in pixels that a network gets."""


@dataclass(frozen=True, kw_only=True)
class UsedNetwork:
    """Description of a frozen network, by which the same network is known again.

    Attributes:
        name: Name of the architecture or file, for people.
        digest: Hash of its weights and architecture, or of its file.
        layer: Name of the layer that was removed; None if none was.
        size: Height and width that the network gets, in pixels.
        mean: Mean of each channel, for pixels in [0, 1].
        std: Standard deviation of each channel.
    """

    name: str
    digest: str
    layer: str | None
    size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __post_init__(self) -> None:
        if not 1 <= self.size <= LARGEST:
            raise problem(f"The size of images is {self.size}. Give 1 to {LARGEST} pixels.")

    def check(self, name: str, digest: str) -> None:
        """Raise an error for another network.

        Args:
            name: Name of the network.
            digest: Hash of its weights and architecture.

        Raises:
            DataError: The hash is not that of this network.
        """
        if digest != self.digest:
            raise problem(
                f"'{name}' is not the network of the training, '{self.name}': its weights, "
                f"architecture or file differ (hash {digest[:12]}, in training "
                f"{self.digest[:12]}). Give the network of the training, or fit again."
            )
