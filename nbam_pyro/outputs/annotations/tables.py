"""Tables of a report on annotations: annotations, items and annotators."""

import numpy as np
import pandas as pd
import xarray as xr

from nbam_pyro.outputs.annotations.fitting import Estimate
from nbam_pyro.outputs.annotations.reading import Annotated
from nbam_pyro.outputs.annotations.sampling import Draws

__all__ = ["annotation_table", "annotator_table", "confusion_dataset", "item_table", "share_draws"]

# Annotators guess if their balanced accuracy is at most this far on the way from chance to 1.
_GUESS = 0.1
# Items whose next label is valued for annotators, the most valuable ones.
_ASKED = 200


def annotation_table(data: Annotated, found: Estimate) -> pd.DataFrame:
    """Return the annotations with the probability that each one is wrong, "responsibility".

    Args:
        data: Annotations.
        found: Estimated true labels.
    """
    own = found.posterior[data.triples.item, data.triples.label]
    return data.table.assign(responsibility=(1 - own).clip(0, 1))


def item_table(data: Annotated, found: Estimate) -> pd.DataFrame:
    """Return one row per item: consensus, probability, annotations, agreement, gain.

    The gain is the expected increase of the probability of the consensus by one more label from an
    annotator of mean accuracy.

    Args:
        data: Annotations.
        found: Estimated true labels and confusion matrices.
    """
    q, votes = found.posterior, data.triples.votes
    best = q.argmax(-1)
    number = data.triples.received
    mean = found.confusion.mean(0)
    return pd.DataFrame(
        {
            "consensus": data.classes.take(best),
            "probability": q.max(-1),
            "annotations": number,
            "agreement": votes[np.arange(len(q)), best] / np.where(number > 0, number, np.nan),
            "gain": _gain(q, mean),
        },
        index=data.items.rename("item"),
    )


def annotator_table(
    data: Annotated, found: Estimate, draws: Draws, *, probability: float, seed: int
) -> pd.DataFrame:
    """Return one row per annotator: accuracy with interval, guesses, gain.

    Args:
        data: Annotations.
        found: Estimated true labels and confusion matrices.
        draws: Draws of the unknown numbers.
        probability: Posterior probability that each interval contains.
        seed: Seed of the fractions that are added to draws of counts.
    """
    triples = data.triples
    given = triples.given
    right = found.posterior[triples.item, triples.label]
    share = np.bincount(triples.annotator, right, minlength=len(given)) / given
    # A share has few values. A fraction of a count makes its quantiles continuous (mid-quantiles).
    rng = np.random.default_rng(seed)
    drawn = share_draws(data, draws)
    smooth = (drawn + (rng.random(drawn.shape) - 0.5) / given).clip(0, 1)
    tail = (1 - probability) / 2
    low, high = np.quantile(smooth, [tail, 1 - tail], axis=0)
    k = triples.classes
    balanced = np.trace(draws.confusion, axis1=2, axis2=3) / k
    guess = (balanced < 1 / k + _GUESS * (1 - 1 / k)).mean(0)
    asked = np.argsort(found.posterior.max(-1), kind="stable")[:_ASKED]
    gain = [_gain(found.posterior[asked], one).mean() for one in found.confusion]
    return pd.DataFrame(
        {
            "annotations": given,
            "accuracy": share,
            "low": np.minimum(low, share),
            "high": np.maximum(high, share),
            "guesses": guess,
            "gain": gain,
        },
        index=data.annotators.rename("annotator"),
    )


def share_draws(data: Annotated, draws: Draws) -> np.ndarray:
    """Return draws of the share of right annotations of each annotator, (S, J).

    Args:
        data: Annotations.
        draws: Draws of the true labels.
    """
    return np.stack([data.triples.share_right(c) for c in draws.true_label])


def confusion_dataset(
    data: Annotated, found: Estimate, draws: Draws, *, probability: float
) -> xr.Dataset:
    """Return confusion matrices: "mean", "low" and "high" by annotator, true label and label.

    Args:
        data: Annotations.
        found: Estimated confusion matrices.
        draws: Draws of the unknown numbers.
        probability: Posterior probability that each interval contains.
    """
    tail = (1 - probability) / 2
    low, high = np.quantile(draws.confusion, [tail, 1 - tail], axis=0)
    mean = found.confusion
    dims = ["annotator", "true_label", "label"]
    parts = {"mean": mean, "low": np.minimum(low, mean), "high": np.maximum(high, mean)}
    classes = data.classes.to_numpy()
    return xr.Dataset(
        {name: (dims, values) for name, values in parts.items()},
        coords={
            "annotator": data.annotators.to_numpy(),
            "true_label": classes,
            "label": classes,
        },
    )


def _gain(q: np.ndarray, confusion: np.ndarray) -> np.ndarray:
    """Return the expected increase of the largest probability by one more label, (N,)."""
    joint = q[:, :, None] * confusion
    return (joint.max(1).sum(-1) - q.max(-1)).clip(0)
