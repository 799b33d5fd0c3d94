"""The pair (a, b) of a latent switch, its log marginal and its posterior.

a = log p(z=0, y | x) is the log joint of a clean target, and b = log p(z=1, y | x) is the log joint
of a contaminated target.
"""

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
    r"""Return the log density with the switch summed out, log p(y | x) = logaddexp(a, b).

    Args:
        a: log p(z=0, y | x), the log joint probability of the target and the clean state, any
            shape.
        b: log p(z=1, y | x), the log joint probability of the target and the contaminated state,
            the same shape.

    Returns:
        The log marginal in nats, the same shape.

    Example:
        >>> log_marginal(torch.tensor(0.6).log(), torch.tensor(0.2).log()).exp()
        tensor(0.8000)
    """
    return torch.logaddexp(a, b)


def responsibility(a: Float[Tensor, "*b"], b: Float[Tensor, "*b"]) -> Float[Tensor, "*b"]:
    r"""Return the posterior probability of contamination, P(z=1 | x, y) = sigmoid(b - a).

    Args:
        a: log p(z=0, y | x), the log joint probability of the target and the clean state, any
            shape.
        b: log p(z=1, y | x), the log joint probability of the target and the contaminated state,
            the same shape.

    Returns:
        Probabilities in [0, 1], the same shape. The result is NaN where a and b are -inf: the
        target is impossible in both states, and the posterior does not exist.

    Example:
        >>> responsibility(torch.tensor(0.6).log(), torch.tensor(0.2).log())
        tensor(0.2500)
    """
    return torch.sigmoid(b - a)


def occam_penalty(
    switch_logits: Float[Tensor, "*b"], a: Float[Tensor, "*b"], b: Float[Tensor, "*b"]
) -> Float[Tensor, "*b"]:
    r"""Return the Occam penalty KL(Bernoulli(r) || Bernoulli(pi)) of each target.

    It is the cost of a responsibility r that differs from the prior probability pi. The log
    marginal is exactly log p(y | x) = (1 - r) log p_clean + r log q_anomaly - occam, where p_clean
    and q_anomaly are the clean and the anomaly likelihood.

    Args:
        switch_logits: Logit of the prior P(z=1 | x), any shape.
        a: log p(z=0, y | x), the log joint probability of the target and the clean state, the same
            shape.
        b: log p(z=1, y | x), the log joint probability of the target and the contaminated state,
            the same shape.

    Returns:
        Penalties in nats, not negative, the same shape.

    Example:
        >>> zero = torch.tensor(0.0)
        >>> occam_penalty(zero, zero, zero)  # no evidence, no penalty
        tensor(0.)
    """
    posterior = b - a
    r = torch.sigmoid(posterior)
    contaminated = F.logsigmoid(posterior) - F.logsigmoid(switch_logits)
    clean = F.logsigmoid(-posterior) - F.logsigmoid(-switch_logits)
    # A state with posterior probability 0 costs nothing; without `where`, 0 * inf would be NaN.
    return r * torch.where(r > 0, contaminated, 0.0) + (1 - r) * torch.where(r < 1, clean, 0.0)


def switch_log_joint(
    switch_logits: Float[Tensor, "*#b"],
    clean_log_prob: Float[Tensor, "*#b"],
    anomaly_log_prob: Float[Tensor, "*#b"],
) -> tuple[Tensor, Tensor]:
    r"""Return the pair (a, b) of the latent switch.

    .. math:: a = \log\sigma(-l) + \log p_\theta(y|x), \qquad b = \log\sigma(l) + \log q_\psi(y|x)

    Args:
        switch_logits: Logit l of the prior P(z=1 | x), the probability of contamination before the
            target is seen.
        clean_log_prob: Log density of the clean likelihood, log p_theta(y | x).
        anomaly_log_prob: Log density of the anomaly likelihood, log q_psi(y | x).

    Returns:
        (a, b) = (log p(z=0, y | x), log p(z=1, y | x)), broadcast to a common shape.

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
    r"""Return the pair (a, b) given verified switches, with -inf for the state that is ruled out.

    Where the switch is verified, the log marginal becomes log p(y, z | x), the responsibility is
    exactly 0 or 1, and the gradient of the state that is ruled out is 0.

    Args:
        a: log p(z=0, y | x), the log joint probability of the target and the clean state, any
            shape.
        b: log p(z=1, y | x), the log joint probability of the target and the contaminated state,
            the same shape.
        contaminated: Verified switch: 1 for contaminated, 0 for clean, -1 for unknown, the same
            shape.

    Returns:
        (a, -inf) for clean targets, (-inf, b) for contaminated ones, and (a, b) for unknown ones.

    Example:
        >>> a, b = torch.tensor([0.6, 0.6]).log(), torch.tensor([0.2, 0.2]).log()
        >>> responsibility(*observe_switch(a, b, torch.tensor([-1, 1])))
        tensor([0.2500, 1.0000])
    """
    return (
        a.masked_fill(contaminated == 1, -torch.inf),
        b.masked_fill(contaminated == 0, -torch.inf),
    )
