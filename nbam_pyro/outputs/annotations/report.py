"""`AnnotationReport`, the result of `from_annotations`."""

from dataclasses import dataclass

import pandas as pd
import xarray as xr

from nbam_pyro.outputs.share import Share
from nbam_pyro.outputs.verdict import Verdict
from nbam_pyro.outputs.wording.sentences import percent

__all__ = ["AnnotationReport"]

_SHOWN = 10
_FLAGGED = 0.5


@dataclass(frozen=True, eq=False, kw_only=True)
class AnnotationReport:
    """Consensus labels of items, and how often each annotator is right.

    `from_annotations` returns it. `print` shows it rounded.

    Attributes:
        annotations: Table with one row per annotation: item, annotator, label, responsibility (the
            probability that the annotation is wrong).
        items: Table with one row per item: consensus, probability (of the consensus), annotations
            (their number), agreement (share of the annotations that equal the consensus), gain
            (expected increase of the probability by one more label). Ask for labels of the items
            with the largest gain.
        annotators: Table with one row per annotator: annotations (their number), accuracy (share
            of right ones among them), low and high (its interval), guesses (probability that the
            annotator guesses: that labels hardly depend on the true class), gain (mean gain of a
            label by this annotator, over the most uncertain items).
        copies: Table of pairs of annotators that give the same wrong labels more often than
            independent annotators would: first, second, items (both labelled them), mistakes
            (common ones), expected.
        confusion: Confusion matrices p(label | true label): "mean", "low" and "high", by annotator.
        agreement: Table of the check whether annotators agree as the model predicts: statistic,
            observed, low, high, agrees.
        probabilities: Probabilities of the true label, one row per item and one column per class.
        posterior: Draws, with the dimension "draw": "contamination" (share of wrong annotations),
            "accuracy" of each annotator, "kappa", and "true_label" of each item, as a number of a
            column of `probabilities`.
        verdict: Verdict on whether the data identify which annotations are wrong.
        probability: Probability that each interval contains.
    """

    annotations: pd.DataFrame
    items: pd.DataFrame
    annotators: pd.DataFrame
    copies: pd.DataFrame
    confusion: xr.Dataset
    agreement: pd.DataFrame
    probabilities: pd.DataFrame
    posterior: xr.Dataset
    verdict: Verdict
    probability: float

    @property
    def wrong_share(self) -> Share:
        """Share of wrong annotations: the mean responsibility, with a central interval."""
        tail = (1 - self.probability) / 2
        low, high = self.posterior["contamination"].quantile([tail, 1 - tail]).values
        mean = float(self.annotations["responsibility"].mean())
        return Share(mean, min(float(low), mean), max(float(high), mean), self.probability)

    def __str__(self) -> str:
        share = self.wrong_share
        mean, low, high = map(percent, (share.mean, share.low, share.high))
        worst = self.annotators.sort_values("accuracy", kind="stable").head(_SHOWN)
        flagged = int((self.annotations["responsibility"] > _FLAGGED).sum())
        copied = [f"Pairs that repeat mistakes:\n{self.copies.head(_SHOWN)}"]
        return "\n".join(
            [
                f"{len(self.annotations):,} annotations of {len(self.items):,} items by "
                f"{len(self.annotators):,} annotators. Wrong annotations: "
                f"{mean} ({self.probability:.0%} interval {low} to {high}); "
                f"{flagged:,} have a responsibility above {_FLAGGED:g}.",
                f"Least accurate annotators:\n{worst.to_string(float_format='{:.3g}'.format)}",
                *(copied if len(self.copies) else []),
                *self.verdict.lines(),
            ]
        )

    def to_datatree(self) -> xr.DataTree:
        """Return an ArviZ tree: "posterior", with annotators by name, and the tables as data."""
        return xr.DataTree.from_dict(
            {
                "posterior": self.posterior.expand_dims("chain"),
                "confusion": self.confusion,
                "constant_data/annotations": self.annotations.rename_axis("annotation").to_xarray(),
                "constant_data/items": self.items.to_xarray(),
                "constant_data/annotators": self.annotators.to_xarray(),
            }
        )
