"""`Peak`, one mode of the posterior of the global latents, before modes are compared."""

from dataclasses import dataclass

import numpy as np

__all__ = ["Peak"]


@dataclass(frozen=True, eq=False)
class Peak:
    """One mode of the posterior of the global latents.

    Attributes:
        log_evidence: Logarithm of the evidence of the mode by Laplace's method, up to a constant
            that all modes share, in nats.
        responsibility: P(z=1 | x, y) of every row at the mode, (N, *dims).
    """

    log_evidence: float
    responsibility: np.ndarray
