"""The encoding of images as features of a frozen network."""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from nbam_pyro.cli.files.messages import problem
from nbam_pyro.cli.files.source import Encoded, Features, NetworkFeatures
from nbam_pyro.cli.files.used_network import UsedNetwork

__all__ = ["FrozenEncoding"]


@dataclass(frozen=True)
class FrozenEncoding:
    """Features of images by one network.

    Attributes:
        network: The network, and its preparation of images.
        columns: Number of features.
    """

    network: UsedNetwork
    columns: int
    kind: Literal["frozen"] = field(default="frozen", repr=False)

    def computed(self, x: Features) -> np.ndarray:
        """Return features, (N, D), or grids of features, (N, h, w, D), of this network.

        Args:
            x: Features that this network has computed.

        Raises:
            DataError: They are features of another network, or data of another kind.
        """
        if not isinstance(x, NetworkFeatures):
            raise problem(
                f"Training used features of the network '{self.network.name}'. Give images, and "
                "the same network (--features)."
            )
        self.network.check(x.network.name, x.network.digest)
        return x.values

    def encode(self, x: Features) -> Encoded:
        """Return features, (N, D) float32, read from the cache.

        Args:
            x: Features that this network has computed.

        Raises:
            DataError: They are features of another network, or data of another kind.
        """
        values = self.computed(x)
        if values.shape[1:] != (self.columns,):
            raise problem(
                f"The network gives {values.shape[1]} features, but gave {self.columns} in "
                "training. Fit again."
            )
        return Encoded(np.array(values))
