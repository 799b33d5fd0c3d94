"""`InducingFeatures`, a Gaussian process over coordinates as features of a linear function."""

import math
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from nbam_pyro.errors import DataError
from nbam_pyro.models.likelihoods.component import check_positive, check_whole

__all__ = ["InducingFeatures", "Kernel"]

Kernel = Literal["squared-exponential", "matern-5/2", "matern-3/2", "matern-1/2"]
"""Kernel of a Gaussian process, from the smoothest to the roughest curves."""

# Number added to the diagonal of the kernel matrix, so that its Cholesky factor exists.
_JITTER = 1e-10
# Rows above which inducing points are computed from a sample, and the default length in units of
# the standard deviation of the coordinates.
_ROWS, _LENGTH = 5000, 1.0


class InducingFeatures(nn.Module):
    r"""A Gaussian process over time, places or other coordinates, as features of a linear function.

    .. math:: \phi(s) = L^{-1} k(S, s), \qquad k(S, S) = L L^\top

    S are M *inducing points*, and k is a kernel with k(s, s) = 1. If u has a standard Normal prior,
    f(s) = phi(s) . u is approximately a draw from the Gaussian process with the kernel k. It is
    exactly such a draw at the inducing points. Far from all inducing points phi is 0. The cost of N
    rows is O(M^3 + N M^2).

    With r the distance of two places in units of the length, the kernels are exp(-r^2 / 2),
    (1 + t + t^2 / 3) exp(-t) with t = r sqrt(5), (1 + t) exp(-t) with t = r sqrt(3), and exp(-r).

    `InducingFeatures.of(s)` chooses the inducing points and a length from data. The constructor
    returns a map with points at random places; saved points can be loaded into it.

    Args:
        inputs: Number d of coordinates, such as 1 for time and 2 for places on a map.
        points: Number M of inducing points. 20 to 100 are usual. The distance of neighbouring
            points should be less than the length.
        kernel: Kernel, one of "squared-exponential", "matern-5/2", "matern-3/2" and "matern-1/2".
        length: Length over which the function changes, in the units of the coordinates; one number,
            or a list of one for each coordinate.

    Raises:
        DataError: The kernel is unknown, a number is not positive, or there is not one length for
            each coordinate.

    Source: Williams & Seeger (2001), the Nystroem approximation.

    Example:
        >>> hours = torch.arange(100.0)[:, None]
        >>> features = InducingFeatures.of(hours, points=20, length=10.0)
        >>> features(hours).shape
        torch.Size([100, 20])
    """

    places: Tensor

    def __init__(
        self,
        inputs: int,
        points: int,
        *,
        kernel: Kernel = "matern-5/2",
        length: float | list[float] | tuple[float, ...] = 1.0,
    ) -> None:
        super().__init__()
        check_whole("inputs", inputs, least=1)
        check_whole("points", points, least=1)
        if kernel not in get_args(Kernel):
            raise DataError(
                f"kernel is {kernel!r}. Give one of {', '.join(map(repr, get_args(Kernel)))}."
            )
        self.inputs = inputs
        self.points = points
        self.kernel: Kernel = kernel
        self.length = length
        lengths = self._lengths(torch.zeros(()))
        if len(lengths) != inputs:
            raise DataError(
                f"length has {len(lengths)} numbers, but there are {inputs} coordinates. Give one "
                "number, or one for each coordinate."
            )
        for one in lengths.tolist():
            check_positive("length", one)
        generator = torch.Generator().manual_seed(0)
        places = torch.randn(points, inputs, generator=generator) * lengths
        self.register_buffer("places", places)

    @classmethod
    def of(
        cls,
        s: Tensor,
        *,
        points: int = 50,
        kernel: Kernel = "matern-5/2",
        length: float | list[float] | tuple[float, ...] | None = None,
        seed: int = 0,
    ) -> "InducingFeatures":
        """Return features whose inducing points are the centres of clusters of the rows.

        If there are no more different rows than points, the rows themselves are the points, and the
        Gaussian process is exact at all rows.

        Args:
            s: Coordinates of the rows, (N, d).
            points: Largest number M of inducing points.
            kernel: Kernel, as in the constructor.
            length: Length, as in the constructor; None for the root mean square of the standard
                deviations of the coordinates. `compare_priors` tells which length predicts best.
            seed: Seed of k-means.

        Raises:
            DataError: s does not have the shape (N, d), has a value that is missing or infinite, or
                an argument is out of the range of the constructor.
        """
        if s.ndim != 2 or not s.numel() or not bool(s.isfinite().all()):
            raise DataError(
                f"s has shape {tuple(s.shape)}; give finite coordinates of at least one row, "
                "(N, d), without missing values."
            )
        check_whole("points", points, least=1)
        rows = s.detach().cpu().double()
        if length is None:
            spread = float(rows.var(0, correction=0).mean().sqrt())
            length = _LENGTH * spread if spread > 0 else 1.0
        lengths = cls(s.shape[1], 1, kernel=kernel, length=length)._lengths(rows)
        places = _centres(rows / lengths, points, seed=seed) * lengths
        made = cls(s.shape[1], len(places), kernel=kernel, length=length)
        made = made.to(s.dtype if s.is_floating_point() else torch.get_default_dtype())
        made.places.copy_(places)
        return made

    def forward(self, s: Tensor) -> Tensor:
        """Return the features of places s, (N, d), as a tensor (N, M)."""
        # In double precision, because kernel matrices are nearly singular.
        places, rows = self.places.double(), s.double()
        unit = torch.eye(self.points, dtype=torch.float64, device=places.device)
        root = torch.linalg.cholesky(self._kernel(places, places) + _JITTER * unit)
        features = torch.linalg.solve_triangular(root, self._kernel(places, rows), upper=False)
        return features.mT.to(self.places)

    def variance_left(self, s: Tensor) -> Tensor:
        """Return k(s, s) - |phi(s)|^2, the variance that the features leave out, (N,), 0 to 1.

        Args:
            s: Coordinates, (N, d).
        """
        return (1 - self(s).square().sum(-1)).clamp(0, 1)

    def _lengths(self, like: Tensor) -> Tensor:
        """Return the length of each coordinate, (d,)."""
        length = self.length
        lengths = length if isinstance(length, list | tuple) else [length] * self.inputs
        return torch.tensor(lengths, dtype=like.dtype, device=like.device)

    def _kernel(self, a: Tensor, b: Tensor) -> Tensor:
        """Return k(a, b), (N, M), for places a (N, d) and b (M, d)."""
        # Differences, and not products, because places far from 0 must keep their digits.
        scaled = (a[:, None] - b[None]) / self._lengths(a)
        if self.kernel == "squared-exponential":
            return (-scaled.square().sum(-1) / 2).exp()
        r = scaled.norm(dim=-1)
        if self.kernel == "matern-1/2":
            return (-r).exp()
        if self.kernel == "matern-3/2":
            t = math.sqrt(3) * r
            return (1 + t) * (-t).exp()
        t = math.sqrt(5) * r
        return (1 + t + t.square() / 3) * (-t).exp()


def _centres(rows: Tensor, points: int, *, seed: int) -> Tensor:
    """Return the different rows if they are few, else the centres of clusters, (M, d) float64."""
    different = torch.unique(rows, dim=0)
    if len(different) <= points:
        return different
    from sklearn.cluster import KMeans

    sample = rows[:: -(-len(rows) // _ROWS)].numpy()
    fitted = KMeans(min(points, len(sample)), n_init=1, random_state=seed).fit(sample)
    return torch.unique(torch.as_tensor(fitted.cluster_centers_), dim=0)
