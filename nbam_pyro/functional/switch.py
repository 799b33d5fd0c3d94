"""The pair of one latent switch, its log marginal and its posterior."""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

__all__ = [
    "log_marginal",
    "observe_switch",
    "occam_penalty",
    "responsibility",
    "switch_log_joint",
]


def log_marginal(a: Float[Tensor, "*b"], b: Float[Tensor, "*b"]) -> Float[Tensor, "*b"]:
    r"""Log density of a datum with the switch summed out, log p(y | x) = logaddexp(a, b).

    Args:
        a: log p(z=0, y | x), any shape.
        b: log p(z=1, y | x), the same shape.

    Returns:
        The log marginal in nats, the same shape.

    Example:
        >>> log_marginal(torch.tensor(0.6).log(), torch.tensor(0.2).log()).exp()
        tensor(0.8000)
    """
    return torch.logaddexp(a, b)


def responsibility(a: Float[Tensor, "*b"], b: Float[Tensor, "*b"]) -> Float[Tensor, "*b"]:
    r"""Posterior probability of contamination, P(z=1 | x, y) = sigmoid(b - a).

    Args:
        a: log p(z=0, y | x), any shape.
        b: log p(z=1, y | x), the same shape.

    Returns:
        Probabilities in [0, 1], the same shape; NaN where both are -inf: neither state can have
        produced such a datum, so that there is no posterior.

    Example:
        >>> responsibility(torch.tensor(0.6).log(), torch.tensor(0.2).log())
        tensor(0.2500)
    """
    return torch.sigmoid(b - a)


def occam_penalty(
    switch_logits: Float[Tensor, "*b"], a: Float[Tensor, "*b"], b: Float[Tensor, "*b"]
) -> Float[Tensor, "*b"]:
    r"""What flagging costs: KL(Bernoulli(r) || Bernoulli(pi)) of each datum.

    Exactly, log p(y | x) = (1 - r) log p_clean + r log q_anomaly - occam.

    Args:
        switch_logits: logit of the prior P(z=1 | x).
        a: log p(z=0, y | x).
        b: log p(z=1, y | x).

    Returns:
        Non-negative penalties in nats, the shape of the arguments.

    Example:
        >>> zero = torch.tensor(0.0)
        >>> occam_penalty(zero, zero, zero)  # the data say nothing, flagging costs nothing
        tensor(0.)
    """
    posterior = b - a
    r = torch.sigmoid(posterior)
    contaminated = F.logsigmoid(posterior) - F.logsigmoid(switch_logits)
    clean = F.logsigmoid(-posterior) - F.logsigmoid(-switch_logits)
    # 0 * inf is 0 here, in the gradient too: a state without posterior mass costs nothing.
    return r * torch.where(r > 0, contaminated, 0.0) + (1 - r) * torch.where(r < 1, clean, 0.0)


def switch_log_joint(
    switch_logits: Float[Tensor, "*#b"],
    clean_log_prob: Float[Tensor, "*#b"],
    anomaly_log_prob: Float[Tensor, "*#b"],
) -> tuple[Tensor, Tensor]:
    r"""The pair (a, b) of the latent switch.

    .. math:: a = \log\sigma(-l) + \log p_\theta(y|x), \qquad b = \log\sigma(l) + \log q_\psi(y|x)

    Args:
        switch_logits: l, the logit of the prior P(z=1 | x).
        clean_log_prob: log p_theta(y | x).
        anomaly_log_prob: log q_psi(y | x).

    Returns:
        (a, b), broadcast to a common shape.

    Example:
        >>> a, b = switch_log_joint(torch.tensor(0.0), torch.tensor(-1.0), torch.tensor(-1.0))
        >>> log_marginal(a, b)
        tensor(-1.)
    """
    a = F.logsigmoid(-switch_logits) + clean_log_prob
    b = F.logsigmoid(switch_logits) + anomaly_log_prob
    return a, b


def observe_switch(
    a: Float[Tensor, "*b"], b: Float[Tensor, "*b"], contaminated: Int[Tensor, "*b"]
) -> tuple[Tensor, Tensor]:
    r"""The pair (a, b) where the switch of some data is verified: only that state is left.

    The log marginal of such a datum is log p(y, z | x), its responsibility exactly 0 or 1, and the
    gradient of the state that is ruled out is 0.

    Args:
        a: log p(z=0, y | x), any shape.
        b: log p(z=1, y | x), the same shape.
        contaminated: 1 where verified as contaminated, 0 as clean, -1 where unknown, that shape.

    Returns:
        (a, -inf) for clean data, (-inf, b) for contaminated ones, (a, b) for the others.

    Example:
        >>> a, b = torch.tensor([0.6, 0.6]).log(), torch.tensor([0.2, 0.2]).log()
        >>> responsibility(*observe_switch(a, b, torch.tensor([-1, 1])))
        tensor([0.2500, 1.0000])
    """
    return (
        a.masked_fill(contaminated == 1, -torch.inf),
        b.masked_fill(contaminated == 0, -torch.inf),
    )
