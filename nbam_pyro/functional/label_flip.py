r"""The latent true label c, summed out: c ~ f(x), z ~ Bernoulli(pi_c), y = c or y ~ T_c.

f(x) = p(c | x) is the predictor of the true label, pi_c is the rate at which labels of class c are
flipped, and T_c holds the probabilities of the classes that a flipped label can get.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from nbam_pyro.functional.switch import observe_switch

__all__ = ["label_flip_log_joint", "label_flip_log_posterior", "label_flip_switch_logits"]


def label_flip_log_joint(
    log_f: Float[Tensor, "n k"],
    labels: Int[Tensor, " n"],
    rate_logits: Float[Tensor, " k"],
    log_flip: Float[Tensor, "k k"],
    deviation: Float[Tensor, " n"] | None = None,
    *,
    row_flip: Float[Tensor, "n k"] | None = None,
    contaminated: Int[Tensor, " n"] | None = None,
    true_label: Int[Tensor, " n"] | None = None,
) -> tuple[Tensor, Tensor]:
    r"""Return the pair (a, b) of the latent true label, with the true label c summed out.

    .. math::
        a = \log f_y + \log(1 - \pi_y), \qquad
        b = \log \sum_c f_c\, \pi_c\, T_{cy}, \qquad \pi_c = \sigma(\alpha_c + g(x))

    f_c is the predicted probability of the true class c, and pi_c is the contamination rate of
    class c. a belongs to a right label (z = 0), and b to a wrong label (z = 1). Where the true
    label is verified to be c*, only its own term remains. If c* = y, the pair is (a, -inf);
    otherwise it is (-inf, log(f_c* pi_c* T_c*y)). Where the switch is verified, only a or only b
    remains (see `observe_switch`).

    Time and memory are O(N K + K^2), since only the columns T[:, y] are gathered.

    Args:
        log_f: Logarithm of the predictor, log p(c | x), (N, K), normalised.
        labels: Observed labels y, (N,).
        rate_logits: Logits alpha_c of the contamination rate of each true class c, (K,).
        log_flip: Logarithm of the flip matrix T, (K, K), with -inf on the diagonal.
        deviation: Number g(x) that is added to the logit of each row's contamination rate, (N,);
            None to add nothing.
        row_flip: Log probability of the observed label of each row if it is wrong, given each true
            class, (N, K), with -inf where the class is the observed label. It replaces log T if
            flips differ between rows. None to use log T.
        contaminated: Verified switch: 1 for contaminated, 0 for clean, -1 for unknown, (N,); None
            where no switch is verified.
        true_label: Verified true labels, -1 where unknown, (N,); None where no true label is
            verified.

    Returns:
        (a, b) = (log p(z=0, y | x), log p(z=1, y | x)), two tensors of shape (N,).

    Example:
        >>> from nbam_pyro.functional import responsibility
        >>> log_f = torch.tensor([[0.9, 0.1]]).log()
        >>> log_flip = torch.tensor([[0.0, 1.0], [1.0, 0.0]]).log()
        >>> story = log_f, torch.tensor([1]), torch.zeros(2), log_flip
        >>> responsibility(*label_flip_log_joint(*story))
        tensor([0.9000])
        >>> responsibility(*label_flip_log_joint(*story, true_label=torch.tensor([1])))
        tensor([0.])
    """
    a = _clean_term(log_f, labels, rate_logits, deviation)
    terms = _contaminated_terms(
        log_f, labels, rate_logits, log_flip, deviation=deviation, row_flip=row_flip
    )
    b = torch.logsumexp(terms, -1)
    if true_label is not None:
        known = true_label >= 0
        own = terms.gather(-1, true_label.clamp_min(0)[:, None])[:, 0]
        a, b = observe_switch(
            a, torch.where(known, own, b), torch.where(known, (true_label != labels).long(), -1)
        )
    return (a, b) if contaminated is None else observe_switch(a, b, contaminated)


def label_flip_log_posterior(
    log_f: Float[Tensor, "n k"],
    labels: Int[Tensor, " n"],
    rate_logits: Float[Tensor, " k"],
    log_flip: Float[Tensor, "k k"],
    deviation: Float[Tensor, " n"] | None = None,
    *,
    row_flip: Float[Tensor, "n k"] | None = None,
    contaminated: Int[Tensor, " n"] | None = None,
    true_label: Int[Tensor, " n"] | None = None,
) -> Float[Tensor, "n k"]:
    """Return the log posterior of the true label, log p(c | x, y), normalised over classes.

    The diagonal of T is 0, so 1 - p(c=y | x, y) is the responsibility, the probability that the
    label is wrong. Where the true label is verified, or the label is verified as clean, all
    probability lies on one class. Where the label is verified as contaminated, class y has
    probability 0.

    Args:
        log_f: Logarithm of the predictor, log p(c | x), (N, K), normalised.
        labels: Observed labels y, (N,).
        rate_logits: Logits alpha_c of the contamination rate of each true class c, (K,).
        log_flip: Logarithm of the flip matrix T, (K, K), with -inf on the diagonal.
        deviation: Number g(x) that is added to the logit of each row's contamination rate, (N,);
            None to add nothing.
        row_flip: Log probability of the observed label of each row if it is wrong, given each true
            class, (N, K), with -inf where the class is the observed label. It replaces log T if
            flips differ between rows. None to use log T.
        contaminated: Verified switch: 1 for contaminated, 0 for clean, -1 for unknown, (N,); None
            where no switch is verified.
        true_label: Verified true labels, -1 where unknown, (N,); None where no true label is
            verified.

    Returns:
        Log probabilities, (N, K). A row is NaN if its observed label is impossible for every true
        label; its posterior then does not exist.

    Example:
        >>> log_f = torch.tensor([[0.9, 0.1]]).log()
        >>> log_flip = torch.tensor([[0.0, 1.0], [1.0, 0.0]]).log()
        >>> story = log_f, torch.tensor([1]), torch.zeros(2), log_flip
        >>> label_flip_log_posterior(*story).exp()
        tensor([[0.9000, 0.1000]])
        >>> label_flip_log_posterior(*story, contaminated=torch.tensor([1])).exp()
        tensor([[1., 0.]])
    """
    terms = _contaminated_terms(
        log_f, labels, rate_logits, log_flip, deviation=deviation, row_flip=row_flip
    )
    clean = _clean_term(log_f, labels, rate_logits, deviation)
    if contaminated is not None:
        clean = clean.masked_fill(contaminated == 1, -torch.inf)
        terms = terms.masked_fill((contaminated == 0)[:, None], -torch.inf)
    posterior = terms.scatter(-1, labels[:, None], clean[:, None]).log_softmax(-1)
    if true_label is None:
        return posterior
    known = (true_label >= 0)[:, None]
    sure = F.one_hot(true_label.clamp_min(0), log_f.shape[-1]).to(log_f).log()
    return torch.where(known, sure, posterior)


def _clean_term(log_f: Tensor, labels: Tensor, alpha: Tensor, deviation: Tensor | None) -> Tensor:
    """Return log f_y + log(1 - pi_y), (N,)."""
    own = alpha[labels] if deviation is None else alpha[labels] + deviation
    return log_f.gather(-1, labels[:, None])[:, 0] + F.logsigmoid(-own)


def _contaminated_terms(
    log_f: Tensor,
    labels: Tensor,
    alpha: Tensor,
    log_flip: Tensor,
    *,
    deviation: Tensor | None,
    row_flip: Tensor | None,
) -> Tensor:
    """Return log(f_c pi_c T_cy) for every true label c, (N, K)."""
    if deviation is None and row_flip is None:
        # Adding the rates to the (K, K) matrix saves an (N, K) addition.
        return log_f + (F.logsigmoid(alpha)[:, None] + log_flip).mT[labels]
    rates = alpha if deviation is None else alpha + deviation[:, None]
    return log_f + F.logsigmoid(rates) + (log_flip.mT[labels] if row_flip is None else row_flip)


def label_flip_switch_logits(
    log_f: Float[Tensor, "n k"],
    rate_logits: Float[Tensor, " k"],
    deviation: Float[Tensor, " n"] | None = None,
) -> Float[Tensor, " n"]:
    """Return the logit of the prior P(z=1 | x) = sum_c f_c pi_c, before y is observed.

    Args:
        log_f: Logarithm of the predictor, log p(c | x), (N, K), normalised.
        rate_logits: Logits alpha_c of the contamination rate of each true class c, (K,).
        deviation: Number g(x) that is added to the logit of each row's contamination rate, (N,);
            None to add nothing.

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
