"""Do annotators agree as often as the model predicts, and who repeats the mistakes of whom?"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from scipy.stats import poisson

from nbam_pyro.outputs.annotations.fitting import Estimate
from nbam_pyro.outputs.annotations.sampling import Draws
from nbam_pyro.outputs.annotations.triples import Triples

__all__ = ["Pairs", "agreement_check", "copies", "pairs_of"]

# Draws that are compared with the data, and how extreme the data may be among them.
_REPLICATED, _EXTREME = 60, 0.025
# A pair repeats mistakes if chance gives as many in fewer than this share of all tables.
_CHANCE = 0.01


@dataclass(frozen=True, eq=False, kw_only=True)
class Pairs:
    """Pairs of annotations of the same item.

    Attributes:
        first: Index of the first annotation of each pair, (P,).
        second: Index of the second annotation of each pair, (P,).
    """

    first: Int[np.ndarray, " p"]
    second: Int[np.ndarray, " p"]


def pairs_of(data: Triples) -> Pairs:
    """Return all pairs of annotations of the same item.

    Args:
        data: Annotations.
    """
    order = np.lexsort((data.annotator, data.item))
    item = data.item[order]
    most = int(np.bincount(data.item).max())
    starts = [(np.flatnonzero(item[step:] == item[:-step]), step) for step in range(1, most)]
    first = np.concatenate([at for at, _ in starts] or [np.zeros(0, int)])
    second = np.concatenate([at + step for at, step in starts] or [np.zeros(0, int)])
    return Pairs(first=order[first], second=order[second])


def agreement_check(data: Triples, pairs: Pairs, draws: Draws, *, seed: int) -> pd.DataFrame:
    """Compare the agreement of annotators with that of labels that the model generates.

    Labels are generated from draws of confusion matrices and true labels. Two numbers are compared:
    the share of pairs of annotations that agree, and the variance of the number of wrong labels of
    an item, relative to that of independent annotators. If it is larger than predicted, some items
    are difficult for all annotators. The second number depends on the draw (a realised
    discrepancy); observed is its mean.

    Args:
        data: Annotations.
        pairs: Pairs of annotations of the same item.
        draws: Draws of the unknown numbers.
        seed: Seed of generated labels.

    Returns:
        A table with one row per number: statistic, observed, low and high (95 % of the generated
        values), agrees (False if the data are more extreme than 95 % of the generated labels).

    Source: Gelman, Meng & Stern (1996) for realised discrepancies.
    """
    rng = np.random.default_rng(seed)
    every = np.linspace(0, len(draws.kappa) - 1, min(_REPLICATED, len(draws.kappa))).astype(int)
    seen, generated = [], []
    for s in every:
        c, p = (
            draws.true_label[s],
            draws.confusion[s][data.annotator, draws.true_label[s][data.item]],
        )
        seen.append(_statistics(data, pairs, data.label, c, p))
        generated.append(_statistics(data, pairs, _labels(p, rng), c, p))
    observed, replicated = np.array(seen), np.array(generated)
    low, high = np.quantile(replicated, [_EXTREME, 1 - _EXTREME], axis=0)
    above = (observed > replicated).mean(0)
    return pd.DataFrame(
        {
            "statistic": ["agreement", "relative variance of wrong labels"],
            "observed": observed.mean(0),
            "low": low,
            "high": high,
            "agrees": (above >= _EXTREME) & (above <= 1 - _EXTREME),
        }
    )


def _labels(p: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    below = p.cumsum(-1)[:, :-1] < rng.random((len(p), 1))
    return below.sum(-1)


def _statistics(
    data: Triples, pairs: Pairs, label: np.ndarray, c: np.ndarray, p: np.ndarray
) -> np.ndarray:
    """Return the share of pairs that agree, and the relative variance of wrong labels."""
    agree = label[pairs.first] == label[pairs.second]
    true = c[data.item]
    error = 1 - p[np.arange(len(p)), true]
    excess = np.bincount(data.item, (label != true) - error, minlength=data.items)
    variance = np.bincount(data.item, error * (1 - error), minlength=data.items)
    return np.array([agree.mean() if len(agree) else 0.0, (excess**2).sum() / variance.sum()])


def copies(data: Triples, pairs: Pairs, found: Estimate) -> Float[np.ndarray, "q 5"]:
    """Return pairs of annotators that give the same wrong label more often than chance explains.

    The expected number takes both annotators as independent given the true label. The probability
    of the observed number is that of a Poisson distribution, times the number of pairs.

    Args:
        data: Annotations.
        pairs: Pairs of annotations of the same item.
        found: Estimated true labels and confusion matrices.

    Returns:
        One row per pair: first annotator, second annotator, common items, observed and expected
        number of common mistakes, the most surprising pair first.
    """
    j, k = data.annotator[pairs.first], data.annotator[pairs.second]
    item, y = data.item[pairs.first], data.label[pairs.first]
    q = found.posterior[item]
    same = y == data.label[pairs.second]
    wrong = same * (1 - q[np.arange(len(q)), y])
    off = found.confusion * (1 - np.eye(data.classes))
    expected = np.zeros(len(q))
    for c in range(data.classes):
        expected += q[:, c] * (off[j, c] * off[k, c]).sum(-1)
    key, at = np.unique(j * data.annotators + k, return_inverse=True)
    number, seen, mean = (np.bincount(at, weights) for weights in (None, wrong, expected))
    p = poisson.sf(np.floor(seen) - 1, np.maximum(mean, 1e-12))
    chosen = np.flatnonzero((p * max(len(key), 1) < _CHANCE) & (seen >= 3))
    chosen = chosen[np.argsort(p[chosen], kind="stable")]
    columns = [key // data.annotators, key % data.annotators, number, seen, mean]
    return np.stack([column[chosen] for column in columns], 1)
