"""The report of labels, made from the explanations of labels and predicted probabilities."""

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from nbam_pyro.outputs.contamination_report import ContaminationReport
from nbam_pyro.outputs.label_draws import label_draws
from nbam_pyro.outputs.label_readings import Readings
from nbam_pyro.outputs.label_tables import LabelTables
from nbam_pyro.outputs.label_verdict import label_verdict
from nbam_pyro.outputs.note import report_note
from nbam_pyro.outputs.predicted import Predicted

__all__ = ["label_report"]


def label_report(
    readings: Readings, *, class_prior: float | None, given: bool, probability: float
) -> ContaminationReport:
    """Return the report.

    Args:
        readings: Explanations and their weights.
        class_prior: Pseudo-count of each class, or None.
        given: Whether the sharpness was given.
        probability: Probability of the intervals.
    """
    data = readings.data
    posterior, flagged = readings.class_posterior()
    rows = _rows(data, posterior)
    draws = label_draws(readings, probability=probability)
    matrix = readings.matrix().clamp(0, 1)
    # A rare explanation can move a mean out of the interval.
    low = np.minimum(draws.low, matrix.numpy())
    high = np.maximum(draws.high, matrix.numpy())
    rates = pd.DataFrame(
        {
            "class": data.classes,
            "rate": 1 - matrix.diagonal().numpy(),
            "low": 1 - high.diagonal(),
            "high": 1 - low.diagonal(),
        }
    )
    tables = LabelTables(
        rates=rates,
        transition_matrix=_frame(matrix.numpy(), data.classes),
        transition_low=_frame(low, data.classes),
        transition_high=_frame(high, data.classes),
        flip_matrix=_frame(_flips(matrix).numpy(), data.classes),
        sharpness=pd.DataFrame(
            {
                "sharpness": readings.sharpness,
                "weight": readings.weight,
                "contamination": [one.share for one in readings.transitions],
                "log_marginal": [one.log_marginal for one in readings.transitions],
                "flagged": flagged,
            }
        ),
        all_right=readings.all_right,
        class_prior=class_prior,
    )
    return ContaminationReport(
        kind="labels",
        rows=rows,
        posterior=draws.posterior,
        prior=draws.prior,
        verdict=label_verdict(
            readings,
            draws.posterior["contamination"].values,
            given=given,
            class_prior=class_prior,
            probability=probability,
        ),
        note=report_note(
            data,
            sharpness=float(readings.sharpness[0]) if given else None,
            probability=probability,
            class_prior=class_prior,
        ),
        probability=probability,
        labels=tables,
    )


def _rows(data: Predicted, posterior: Float[Tensor, "n k"]) -> pd.DataFrame:
    best, suggested = posterior.max(-1)
    own = posterior.gather(1, data.labels[:, None])[:, 0]
    return pd.DataFrame(
        {
            "label": data.classes.take(data.labels.numpy()),
            "predicted_label": data.classes.take(data.log_p.argmax(-1).numpy()),
            "responsibility": (1 - own).clamp(0, 1).numpy(),
            "suggested_label": data.classes.take(suggested.numpy()),
            "suggested_probability": best.clamp(0, 1).numpy(),
        },
        index=data.index,
    )


def _flips(matrix: Float[Tensor, "k k"]) -> Float[Tensor, "k k"]:
    """Return T = p(observed | true, wrong) of a matrix M."""
    flips = matrix - torch.diag(matrix.diagonal())
    return flips / flips.sum(-1, keepdim=True)


def _frame(matrix: np.ndarray, classes: pd.Index) -> pd.DataFrame:
    return pd.DataFrame(matrix, index=classes.rename("true"), columns=classes.rename("observed"))
