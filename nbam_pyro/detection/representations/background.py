"""What is known of training rows besides their features: class, nuisance and weight."""

from dataclasses import dataclass

import numpy as np

from nbam_pyro.detection.representations.nuisance import Classes, Nuisance

__all__ = ["Background"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Background:
    """Classes, nuisances and weights of rows.

    Attributes:
        classes: Classes of the rows.
        nuisance: Nuisance of the rows.
        weights: Weights of the rows, (N,).
    """

    classes: Classes
    nuisance: Nuisance
    weights: np.ndarray

    @property
    def codes(self) -> np.ndarray:
        """Position of the class of each row in the names of the classes, (N,)."""
        return self.classes.codes

    @property
    def labels(self) -> np.ndarray:
        """Name of the class of each row, (N,)."""
        return self.classes.names[self.classes.codes]

    def __getitem__(self, rows: np.ndarray) -> "Background":
        classes = Classes(self.classes.names, self.classes.codes[rows])
        return Background(classes=classes, nuisance=self.nuisance[rows], weights=self.weights[rows])
