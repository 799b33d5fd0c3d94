"""The default story for measurements, put together from components."""

import torch
from torch import Tensor, nn

from nbam_pyro.checks.spacing import check_spacing
from nbam_pyro.errors import DataError
from nbam_pyro.models.likelihoods.clean_measurements import NormalLikelihood
from nbam_pyro.models.likelihoods.component import Component
from nbam_pyro.models.likelihoods.shifted import ShiftedStudentT
from nbam_pyro.models.networks import Rescale
from nbam_pyro.models.priors.switch import BetaSwitch
from nbam_pyro.models.stories.latent_switch import LatentSwitch


def robust_regression(
    network: nn.Module,
    y: Tensor,
    *,
    switch: Component | None = None,
    anomaly: Component | None = None,
) -> LatentSwitch:
    r"""Measurements of which some are wrong: a clean Normal and a shifted, heavy-tailed anomaly.

    .. math::
        \pi \sim \mathrm{Beta}(1, 4), \qquad z_i \sim \mathrm{Bernoulli}(\pi) \\
        y_i \mid z_i = 0 \sim N(f(x_i), \sigma), \qquad
        y_i \mid z_i = 1 \sim \mathrm{StudentT}_3(f(x_i) + \delta, S)

    The network's first output is put in the units of y by their median and their median absolute
    deviation, which wrong measurements hardly move. Where the network has a second output, sigma
    depends on x.

    Args:
        network: x -> (N, 1), or (N, 2) for a scale that depends on the input.
        y: observed targets, (N,).
        switch: prior of the switch; None for the `BetaSwitch` above.
        anomaly: another anomaly likelihood; None for the one above.

    Raises:
        DataError: all targets have the same value, scatter by more than 1e12 or less than 1e-12,
            or lie so far from 0 that double precision has lost their last digits.

    Example:
        >>> story = robust_regression(nn.Linear(2, 1), torch.arange(9.0))
        >>> story.clean(torch.zeros(3, 2), {}).mean.shape
        torch.Size([3])
    """
    y = torch.as_tensor(y).double()
    check_spacing(y.numpy(), ["y"])
    loc = y.median()  # one of the values, so that differences from it are exact
    scale = 1.4826 * (y - loc).abs().median()
    if not scale > 0:
        scale = y.std()
    if not scale > 0:
        raise DataError(f"All targets are {float(loc):g}; a regression needs targets that differ.")
    if not 1e-12 < scale < 1e12:
        raise DataError(
            f"The targets scatter by about {float(scale):.3g}; give them in units in which that is "
            "neither so large nor so small."
        )
    head = nn.Sequential(network, Rescale(0.0, float(scale)))
    clean = NormalLikelihood(head, scale=float(scale), centre=float(loc))
    return LatentSwitch(
        switch=switch or BetaSwitch(1.0, 4.0),
        clean=clean,
        anomaly=anomaly or ShiftedStudentT(clean, scale=float(scale)),
    )
