"""Consensus labels and the accuracy of annotators, from several labels per item."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from nbam_pyro.checks.arguments import as_number
from nbam_pyro.outputs.annotations.agreement import agreement_check, copies, pairs_of
from nbam_pyro.outputs.annotations.fitting import Predictor, estimate
from nbam_pyro.outputs.annotations.reading import Annotated
from nbam_pyro.outputs.annotations.report import AnnotationReport
from nbam_pyro.outputs.annotations.sampling import draw
from nbam_pyro.outputs.annotations.tables import (
    annotation_table,
    annotator_table,
    confusion_dataset,
    item_table,
    share_draws,
)
from nbam_pyro.outputs.annotations.verdict import annotation_verdict
from nbam_pyro.outputs.intervals import check_probability

__all__ = ["from_annotations"]


def from_annotations(
    annotations: Any,
    pred_probs: Any = None,
    *,
    verified: Any = None,
    classes: Sequence[Any] | None = None,
    probability: float = 0.9,
    seed: int = 0,
) -> AnnotationReport:
    r"""Estimate true labels, wrong annotations and the accuracy of annotators.

    Each item i has an unknown true label c_i, and annotator j gives it the label y_ij:

    .. math::
        c_i \sim f(x_i), \qquad y_{ij} \sim C_j[c_i, :], \qquad
        C_j[c] \sim \mathrm{Dirichlet}(\kappa\, \bar C_j[c]).

    f are the frequencies of the classes, or a classifier's probabilities, raised to an estimated
    power. :math:`\bar C_j` is what annotators share, with the skill of annotator j
    (`nbam_pyro.models.Annotators`). Annotators with few labels are therefore judged by the others
    as well. Who labels which item may be arbitrary, if it does not depend on the true label.

    The estimate starts at majority votes and alternates between true labels and confusion matrices.
    A Gibbs sampler, which starts at the estimate, draws all unknown numbers for the intervals.

    Args:
        annotations: A table with the columns item, annotator and label, one row per annotation
            (long); a table with one row per item and one column per annotator, in which missing
            annotations are empty (wide); or an array (A, 3) of items, annotators and labels. Tables
            of pandas, polars or pyarrow.
        pred_probs: Probabilities of the true label by a classifier, (N, K), out of sample. A data
            frame has the items as its index and the classes as columns. With an array, items are
            row numbers and labels are column numbers. None without a classifier.
        verified: Verified true labels, a dictionary or a series indexed by items; None if none is
            verified.
        classes: Names of all classes; None for the columns of `pred_probs` or the labels that
            occur, sorted.
        probability: Posterior probability that each interval contains, in (0, 1).
        seed: Seed of the draws.

    Returns:
        An `AnnotationReport`.

    Raises:
        DataError: A column is missing, an annotator labelled an item twice, an item or a label is
            unknown, or probabilities are not valid.

    Source: Dawid & Skene (1979); Raykar et al. (2010); Kim & Ghahramani (2012).

    Example:
        >>> rng = np.random.default_rng(0)
        >>> truth = rng.integers(0, 2, 100)
        >>> skill = {"ann": 0.9, "bob": 0.8, "cy": 0.8, "dee": 0.5}
        >>> table = pd.DataFrame(
        ...     {a: np.where(rng.random(100) < s, truth, 1 - truth) for a, s in skill.items()}
        ... )
        >>> report = from_annotations(table)
        >>> report.annotators["accuracy"].idxmin()
        'dee'
        >>> bool((report.items["consensus"] == truth).mean() > 0.85)
        True
    """
    probability = as_number(probability, "probability")
    check_probability(probability)
    data = Annotated.of(annotations, pred_probs, verified=verified, classes=classes)
    triples = data.triples
    predictor = Predictor(
        log_p=data.log_p, true_label=data.true_label, annotated=triples.received > 0
    )
    found = estimate(triples, predictor)
    draws = draw(triples, found, seed=seed)
    pairs = pairs_of(triples)
    check = agreement_check(triples, pairs, draws, seed=seed)
    copied = _copy_table(data, copies(triples, pairs, found))
    accuracy = share_draws(data, draws)
    wrong = 1 - accuracy @ triples.given / triples.given.sum()
    return AnnotationReport(
        annotations=annotation_table(data, found),
        items=item_table(data, found),
        annotators=annotator_table(data, found, draws, probability=probability, seed=seed),
        copies=copied,
        confusion=confusion_dataset(data, found, draws, probability=probability),
        agreement=check,
        probabilities=pd.DataFrame(
            found.posterior, index=data.items.rename("item"), columns=data.classes
        ),
        posterior=xr.Dataset(
            {
                "contamination": ("draw", wrong),
                "accuracy": (("draw", "annotator"), accuracy),
                "kappa": ("draw", draws.kappa),
                "true_label": (("draw", "item"), draws.true_label),
            },
            coords={"annotator": data.annotators.to_numpy(), "item": data.items.to_numpy()},
        ),
        verdict=annotation_verdict(
            data,
            found,
            draws,
            shares=wrong,
            check=check,
            copied=len(copied),
            probability=probability,
        ),
        probability=probability,
    )


def _copy_table(data: Annotated, found: np.ndarray) -> pd.DataFrame:
    first, second, items, mistakes, expected = found.T
    return pd.DataFrame(
        {
            "first": data.annotators.take(first.astype(int)),
            "second": data.annotators.take(second.astype(int)),
            "items": items.astype(int),
            "mistakes": mistakes,
            "expected": expected,
        }
    )
