"""The reports of a fit: whether it has collapsed, and what the data identify."""

import dataclasses

import numpy as np
import torch

from nbam_pyro.inference.diagnostics.collapse import CollapseReport, collapse_report
from nbam_pyro.inference.diagnostics.identify import identify
from nbam_pyro.inference.diagnostics.neighbours import label_excess
from nbam_pyro.inference.posterior.fit_result import Fit
from nbam_pyro.inference.posterior.matrix_estimates import matrix_draws
from nbam_pyro.inference.posterior.row_posteriors import predict, responsibilities
from nbam_pyro.inference.steps.run import Run
from nbam_pyro.models import LatentLabelStory, Story
from nbam_pyro.models.priors.pseudo_counts import FlipPrior
from nbam_pyro.training.contexts import evaluating
from nbam_pyro.training.rows import Rows

# Gains are clipped to this many standard errors, so that they are finite in saved reports.
_LARGEST_GAIN = 1e6


def with_reports(fit: Fit, run: Run) -> tuple[Fit, str | None]:
    """Return the fit with its reports, and a warning text if it has collapsed (otherwise None).

    Args:
        fit: Fit without reports.
        run: Run of the steps that made the fit.
    """
    collapse = _collapse(fit, run)
    fit = dataclasses.replace(fit, collapse=collapse)
    labels = run.story.latent_label
    if labels is not None:
        matrices = matrix_draws(fit)
        report = identify(
            fit.training_rows.responsibility,
            fit.training_rows.occupancy(),
            matrices,
            collapse=collapse,
            echoed=_echoed(fit, run, labels, matrices),
            prior=labels.prior or FlipPrior(),
            evidence=run.cross_fitted,
            attempts=run.attempts,
            undecided=run.undecided,
        )
        fit = dataclasses.replace(fit, identifiability=report)
    return fit, _advice(run.story, collapse) if collapse.collapsed else None


def _collapse(result: Fit, run: Run) -> CollapseReport:
    """Return the collapse report for the held-out rows, or for the training rows if none is."""
    index = run.held_out_index if len(run.held_out_index) else run.training_index
    r, predicted, y = [], [], []
    for x_batch, y_batch, *_ in run.rows.loader(index, 1024):
        r.append(responsibilities(result, x_batch, y_batch))
        if run.story.predicts:
            expected, observed = _comparable(result, x_batch, y_batch)
            predicted.append(expected)
            y.append(observed)
    return collapse_report(
        np.concatenate(r),
        np.concatenate(predicted) if predicted else None,
        np.concatenate(y) if predicted else None,
        verified_accuracy=_verified_accuracy(result, run.rows),
        gain=_gain(run),
    )


def _echoed(fit: Fit, run: Run, story: LatentLabelStory, matrices: np.ndarray) -> float | None:
    """Return `Identifiability.echoed`; None without a table or predictions out of fold."""
    rows, evidence = run.rows, run.cross_fitted
    if rows.table is None or rows.y.ndim > 1 or evidence is None or story.deviates:
        return None
    predicted = evidence.log_probs.exp().numpy() @ matrices.mean(0)
    flagged = fit.training_rows.responsibility > 0.5
    return label_excess(rows.table.numpy(), rows.y.numpy(), flagged, predicted)


def _gain(run: Run) -> float | None:
    """Return `CollapseReport.gain` of the best attempt; None if there were no attempts."""
    gains = [attempt.gain_over_frequencies() for attempt in run.attempts]
    return float(np.clip(max(gains), -_LARGEST_GAIN, _LARGEST_GAIN)) if gains else None


def _verified_accuracy(result: Fit, rows: Rows) -> float | None:
    """Return the share of verified switches that the fit infers correctly from x and y alone."""
    if not len(rows.verified):
        return None
    index = rows.looked_at
    r = [responsibilities(result, x, y) for x, y, *_ in rows.loader(index, 1024)]
    return rows.verified[index].accuracy(torch.as_tensor(np.concatenate(r)), rows.y[index])


def _comparable(result: Fit, x: torch.Tensor, y: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Return predictions and targets of some rows in the form that a collapse report compares."""
    story = result.story
    with torch.no_grad(), evaluating(story):
        return story.comparable(x, predict(result, x), y.numpy())


def _advice(story: Story, report: CollapseReport) -> str:
    """Return the text of the `CollapseWarning` for a report: what is wrong and what to do."""
    if report.learned_nothing:
        return (
            f"The fit has {report}. Its responsibilities mean nothing. Use more rows, features "
            "with more information about the labels, more epochs, or another network."
        )
    return (
        f"The fit has {report}. Its responsibilities mean nothing. Either the targets are correct "
        "and only hard to predict, or the story does not identify its switch. "
        f"{story.collapse_advice}"
    )
