"""Simulated predictions and labels for the tests of outputs."""

import numpy as np
import torch

from nbam_pyro import functional as nf

MATRIX = torch.tensor([[0.9, 0.1, 0.0], [0.06, 0.8, 0.14], [0.2, 0.1, 0.7]])


def evidence(n, k, seed, *, sharpness=3.0, matrix=None):
    """Predictions, true labels and observed labels that agree with each other."""
    generator = torch.Generator().manual_seed(seed)
    log_f = (sharpness * torch.randn(n, k, generator=generator).double()).log_softmax(-1)
    true = torch.multinomial(log_f.exp(), 1, generator=generator)[:, 0]
    if matrix is None:
        matrix = 0.8 * torch.eye(k) + 0.2 * torch.eye(k).roll(1, 1)
    return log_f, true, torch.multinomial(matrix[true], 1, generator=generator)[:, 0]


def log_prior(rate_logits, flip_logits, prior):
    a, b = prior.rate
    rate = a * rate_logits.sigmoid().log() + b * (-rate_logits).sigmoid().log()
    return rate.sum() + prior.flip * flip_logits.log_softmax(-1).sum()


def objective(log_f, labels, rate_logits, flip_logits, prior, weights=1.0):
    log_flip = nf.zero_diagonal(flip_logits.log_softmax(-1), fill=-torch.inf)
    pair = nf.label_flip_log_joint(log_f, labels, rate_logits, log_flip)
    return (weights * nf.log_marginal(*pair)).sum() + log_prior(rate_logits, flip_logits, prior)


def logits_of(transition):
    flips = nf.off_diagonal(transition.flip).log()
    return transition.rate.logit(), flips


ONE_WAY = torch.tensor([[1.0, 0.0, 0.0], [0.4, 0.6, 0.0], [0.0, 0.0, 1.0]])


def balanced(n, seed):
    """Predictions tilted to the first of three even classes, true labels, and observed ones."""
    generator = torch.Generator().manual_seed(seed)
    true = torch.arange(n) % 3
    x = 1.5 * torch.eye(3)[true] + torch.randn(n, 3, generator=generator)
    log_f = (1.5 * x + torch.tensor([2.0, 0.0, 0.0])).log_softmax(-1)
    return log_f, true, torch.multinomial(ONE_WAY[true], 1, generator=generator)[:, 0]


def simulated(n=600, k=3, seed=0, *, scale=4.0, rate=0.2):
    """Labels of which some are wrong, probabilities of the observed label, and true labels."""
    rng = np.random.default_rng(seed)
    f = np.exp(scale * rng.normal(size=(n, k)))
    f /= f.sum(1, keepdims=True)
    true = (f.cumsum(1) > rng.random((n, 1))).argmax(1)
    observed = np.where(rng.random(n) < rate, (true + 1) % k, true)
    matrix = (1 - rate) * np.eye(k) + rate * np.roll(np.eye(k), 1, axis=1)
    return observed, f @ matrix, true


def figures(report):
    return report.rows["responsibility"].to_numpy()
