r"""The mathematics of the latent switch, in torch alone.

Everything here is a pure function in log space. The *pair* of a datum is

.. math:: a = \log p(z=0, y \mid x), \qquad b = \log p(z=1, y \mid x),

where z = 1 means contaminated; the log marginal is logaddexp(a, b) and the responsibility
sigmoid(b - a) (NBAM, arXiv 2606.16524).
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

__all__ = [
    "label_flip_log_joint",
    "label_flip_log_posterior",
    "label_flip_switch_logits",
    "log_marginal",
    "observed_log_probs",
    "occam_penalty",
    "off_diagonal",
    "responsibility",
    "switch_log_joint",
    "transition_matrix",
    "zero_diagonal",
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
        Probabilities in [0, 1], the same shape.

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
    # 0 * inf is 0 here: a state without posterior mass costs nothing.
    return torch.where(r > 0, r * contaminated, 0.0) + torch.where(r < 1, (1 - r) * clean, 0.0)


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


def zero_diagonal(rows: Float[Tensor, "k k_minus_1"], fill: float = 0.0) -> Float[Tensor, "k k"]:
    """Spread K rows over the K-1 other classes into a (K, K) matrix.

    Args:
        rows: (K, K-1), row c lists the classes 0, ..., K-1 without c.
        fill: what stands on the diagonal, 0 for probabilities, -inf for their logarithms.

    Returns:
        The (K, K) matrix.

    Example:
        >>> zero_diagonal(torch.tensor([[1.0], [2.0]]))
        tensor([[0., 1.],
                [2., 0.]])
    """
    k = rows.shape[0]
    # In row-major order a square matrix is: diagonal, K others, diagonal, K others, ..., diagonal.
    spread = F.pad(rows.reshape(k - 1, k), (1, 0), value=fill)
    return F.pad(spread.flatten(), (0, 1), value=fill).view(k, k)


def off_diagonal(matrix: Float[Tensor, "k k"]) -> Float[Tensor, "k k_minus_1"]:
    """Rows of a (K, K) matrix without their diagonal entry, the inverse of `zero_diagonal`.

    Args:
        matrix: (K, K).

    Returns:
        (K, K-1), row c lists the classes 0, ..., K-1 without c.

    Example:
        >>> off_diagonal(torch.tensor([[0.0, 1.0], [2.0, 0.0]]))
        tensor([[1.],
                [2.]])
    """
    k = matrix.shape[0]
    return matrix.flatten()[1:].view(k - 1, k + 1)[:, :-1].reshape(k, k - 1)


def label_flip_log_joint(
    log_f: Float[Tensor, "n k"],
    labels: Int[Tensor, " n"],
    rate_logits: Float[Tensor, " k"],
    log_flip: Float[Tensor, "k k"],
    deviation: Float[Tensor, " n"] | None = None,
) -> tuple[Tensor, Tensor]:
    r"""The pair (a, b) of the latent true label, with the true label c summed out.

    .. math::
        a = \log f_y + \log(1 - \pi_y), \qquad
        b = \log \sum_c f_c\, \pi_c\, T_{cy}, \qquad \pi_c = \sigma(\alpha_c + g(x))

    Time and memory are O(N K + K^2): only the columns T[:, y] are gathered.

    Args:
        log_f: log p(c | x), (N, K), normalised.
        labels: observed labels y, (N,).
        rate_logits: alpha_c, (K,).
        log_flip: log T, (K, K), -inf on the diagonal.
        deviation: g(x), (N,), or None for none.

    Returns:
        (a, b), each (N,).

    Example:
        >>> log_f = torch.tensor([[0.9, 0.1]]).log()
        >>> log_flip = torch.tensor([[0.0, 1.0], [1.0, 0.0]]).log()
        >>> a, b = label_flip_log_joint(log_f, torch.tensor([1]), torch.zeros(2), log_flip)
        >>> responsibility(a, b)
        tensor([0.9000])
    """
    terms = _contaminated_terms(log_f, labels, rate_logits, log_flip, deviation)
    return _clean_term(log_f, labels, rate_logits, deviation), torch.logsumexp(terms, -1)


def label_flip_log_posterior(
    log_f: Float[Tensor, "n k"],
    labels: Int[Tensor, " n"],
    rate_logits: Float[Tensor, " k"],
    log_flip: Float[Tensor, "k k"],
    deviation: Float[Tensor, " n"] | None = None,
) -> Float[Tensor, "n k"]:
    """Log posterior of the true label, log p(c | x, y).

    Takes the arguments of `label_flip_log_joint`; returns (N, K), normalised over classes.
    Because T has a zero diagonal, 1 - p(c=y | x, y) is the responsibility.

    Example:
        >>> log_f = torch.tensor([[0.9, 0.1]]).log()
        >>> log_flip = torch.tensor([[0.0, 1.0], [1.0, 0.0]]).log()
        >>> label_flip_log_posterior(log_f, torch.tensor([1]), torch.zeros(2), log_flip).exp()
        tensor([[0.9000, 0.1000]])
    """
    terms = _contaminated_terms(log_f, labels, rate_logits, log_flip, deviation)
    clean = _clean_term(log_f, labels, rate_logits, deviation)
    return terms.scatter(-1, labels[:, None], clean[:, None]).log_softmax(-1)


def _clean_term(log_f: Tensor, labels: Tensor, alpha: Tensor, deviation: Tensor | None) -> Tensor:
    own = alpha[labels] if deviation is None else alpha[labels] + deviation
    return log_f.gather(-1, labels[:, None])[:, 0] + F.logsigmoid(-own)


def _contaminated_terms(
    log_f: Tensor, labels: Tensor, alpha: Tensor, log_flip: Tensor, deviation: Tensor | None
) -> Tensor:
    if deviation is None:  # the rates join the matrix: one (N, K) addition less
        return log_f + (F.logsigmoid(alpha)[:, None] + log_flip).mT[labels]
    return log_f + F.logsigmoid(alpha + deviation[:, None]) + log_flip.mT[labels]


def label_flip_switch_logits(
    log_f: Float[Tensor, "n k"],
    rate_logits: Float[Tensor, " k"],
    deviation: Float[Tensor, " n"] | None = None,
) -> Float[Tensor, " n"]:
    """Logit of the prior P(z=1 | x) = sum_c f_c pi_c of the latent-true-label story.

    Args:
        log_f: log p(c | x), (N, K), normalised.
        rate_logits: alpha_c, (K,).
        deviation: g(x), (N,), or None for none.

    Returns:
        Logits, (N,).

    Example:
        >>> log_f = torch.tensor([[0.5, 0.5]]).log()
        >>> label_flip_switch_logits(log_f, torch.tensor([0.2, 0.4]).logit()).sigmoid()
        tensor([0.3000])
    """
    alpha = rate_logits if deviation is None else rate_logits + deviation[:, None]
    contaminated = torch.logsumexp(log_f + F.logsigmoid(alpha), -1)
    return contaminated - torch.logsumexp(log_f + F.logsigmoid(-alpha), -1)


def transition_matrix(
    rate: Float[Tensor, " k"], flip: Float[Tensor, "k k"]
) -> Float[Tensor, "k k"]:
    """Transition matrix M_c = (1 - rate_c) e_c + rate_c T_c = p(observed | true).

    Args:
        rate: contamination rate of each true class, (K,).
        flip: T, (K, K), zero diagonal.

    Returns:
        M, (K, K), rows sum to one.

    Example:
        >>> transition_matrix(torch.tensor([0.1, 0.4]), torch.tensor([[0.0, 1.0], [1.0, 0.0]]))
        tensor([[0.9000, 0.1000],
                [0.4000, 0.6000]])
    """
    return torch.diag(1 - rate) + rate[:, None] * flip


def observed_log_probs(
    log_f: Float[Tensor, "n k"], transition: Float[Tensor, "k k"]
) -> Float[Tensor, "n k"]:
    """Log probability of every *observed* label, log sum_c f_c M_cy.

    Args:
        log_f: log p(c | x), (N, K), normalised.
        transition: M, (K, K).

    Returns:
        log p(y | x) over all y, (N, K).

    Example:
        >>> m = torch.tensor([[0.9, 0.1], [0.4, 0.6]])
        >>> observed_log_probs(torch.tensor([[1.0, 0.0]]).log(), m).exp()
        tensor([[0.9000, 0.1000]])
    """
    return (log_f.exp() @ transition).log()
