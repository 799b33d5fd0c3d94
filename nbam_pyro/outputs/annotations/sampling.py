"""Draws of true labels and confusion matrices: a Gibbs sampler that starts at an estimate."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from nbam_pyro.outputs.annotations.fitting import Estimate
from nbam_pyro.outputs.annotations.triples import Triples

__all__ = ["Draws", "draw"]

_DRAWS, _BURN_IN = 200, 60
# What annotators share changes slowly, and its update takes most of the time.
_PAUSE = 3
_TINY = 1e-300


@dataclass(frozen=True, eq=False, kw_only=True)
class Draws:
    """Draws of the unknown numbers.

    Attributes:
        true_label: True labels, (S, N).
        confusion: Confusion matrices, (S, J, K, K), single precision.
        kappa: Concentrations, (S,).
    """

    true_label: Int[np.ndarray, "s n"]
    confusion: Float[np.ndarray, "s j k k"]
    kappa: Float[np.ndarray, " s"]


def draw(data: Triples, start: Estimate, *, seed: int) -> Draws:
    """Draw true labels, confusion matrices and what annotators share, one given the others.

    Args:
        data: Annotations.
        start: Estimate at which the sampler starts.
        seed: Seed of the draws.
    """
    rng = np.random.default_rng(seed)
    shared, predictor = start.shared, start.predictor
    classes = np.eye(data.classes)
    c = _categorical(start.posterior, rng)
    labels, matrices, kappas = [], [], []
    for sweep in range(_BURN_IN + _DRAWS):
        counts = data.counts(c)
        if not sweep % _PAUSE:
            shared = shared.updated(counts, rng)
        confusion = np.maximum(rng.standard_gamma(counts + shared.counts), _TINY)
        confusion /= confusion.sum(-1, keepdims=True)
        log_f = predictor.log_f(classes[c], rng)
        log_joint = log_f + data.evidence(np.log(np.maximum(confusion, _TINY)))
        c = _categorical(predictor.posterior(log_joint), rng)
        if sweep >= _BURN_IN:
            labels.append(c.astype(np.int32))
            matrices.append(confusion.astype(np.float32))
            kappas.append(shared.kappa)
    return Draws(true_label=np.stack(labels), confusion=np.stack(matrices), kappa=np.array(kappas))


def _categorical(p: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    below = p.cumsum(-1)[:, :-1] < rng.random((len(p), 1))
    return below.sum(-1)
