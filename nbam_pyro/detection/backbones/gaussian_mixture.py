"""A backbone whose energies are negative log densities: a mixture of Gaussians."""

import math

import torch
from torch import Tensor, nn

from nbam_pyro.detection.backbones.base import Backbone, Energies


class GaussianMixture(Backbone):
    r"""A mixture of Gaussians for normal rows, and one broad Gaussian for anomalies.

    .. math::
        E_n(x) = -\log \sum_c w_c N(x; \mu_c, L_c L_c^\top), \qquad
        E_a(x) = -\log N(x; m, s^2 \Sigma)

    Here E_n is the clean energy of a row x, and E_a its anomaly energy. Gaussian c of the mixture
    has the weight w_c, the mean mu_c and the Cholesky factor L_c of its covariance. The mean m and
    the diagonal covariance Sigma come from the median and the quartiles of the rows. Both energies
    are negative log densities. Therefore `Exact` can be used and the rate of anomalies can be
    learned.

    Args:
        inputs: Number D of features of a row.
        members: Number S of models that are trained at once.
        components: Number C of Gaussians in the mixture.
        breadth: Factor s by which the broad Gaussian is wider than the scatter of the rows.

    Source: likelihoods with a switch, arXiv 2211.15448.

    Example:
        >>> backbone, x = GaussianMixture(2), torch.randn(1, 40, 2)
        >>> backbone.start(x)
        >>> backbone.energies(x).clean.shape
        torch.Size([1, 40])
    """

    normalised = True
    middle: Tensor
    scale: Tensor

    def __init__(
        self, inputs: int, *, members: int = 1, components: int = 4, breadth: float = 3.0
    ) -> None:
        super().__init__(members)
        self.inputs, self.components, self.breadth = inputs, components, breadth
        self.weight = nn.Parameter(torch.zeros(members, components))
        self.mean = nn.Parameter(torch.zeros(members, components, inputs))
        eye = torch.eye(inputs).expand(members, components, inputs, inputs)
        # The inverse of L, so that the likelihood needs no solve; its diagonal is in logarithms.
        self.precision = nn.Parameter(torch.zeros_like(eye))
        self.register_buffer("middle", torch.zeros(members, 1, inputs))
        self.register_buffer("scale", torch.ones(members, 1, inputs))

    @torch.no_grad()
    def start(self, x: Tensor) -> None:
        quarter, middle, upper = x.quantile(x.new_tensor([0.25, 0.5, 0.75]), dim=1, keepdim=True)
        spread = (upper - quarter) / 1.349
        self.middle.copy_(middle)
        # Quartiles are equal where half the values of a feature are.
        self.scale.copy_(torch.where(spread > 0, spread, x.std(1, keepdim=True)).clamp_min(1e-3))
        members, components = self.weight.shape
        order = torch.rand(members, x.shape[1], device=x.device).argsort(
            1
        )  # each member has its own
        first = order[:, torch.arange(components) % x.shape[1], None].expand(-1, -1, x.shape[2])
        self.mean.copy_((x.gather(1, first) - self.middle) / self.scale)

    def energies(self, x: Tensor) -> Energies:
        u = (x - self.middle) / self.scale
        log_volume = self.scale.log().sum(-1)
        log_diagonal = self.precision.diagonal(dim1=-2, dim2=-1)
        factor = self.precision.tril(-1) + log_diagonal.exp().diag_embed()
        white = (u[:, None] - self.mean[:, :, None]) @ factor.transpose(-1, -2)  # (S, C, N, D)
        parts = _log_normal(white) + log_diagonal.sum(-1)[..., None]
        clean = (parts + self.weight.log_softmax(-1)[..., None]).logsumexp(1)
        broad = _log_normal(u / self.breadth) - u.shape[-1] * math.log(self.breadth)
        return Energies(log_volume - clean, log_volume - broad)


def _log_normal(white: Tensor) -> Tensor:
    return -0.5 * (white.square().sum(-1) + white.shape[-1] * math.log(2 * math.pi))
