"""What a fit says about itself: whether it has collapsed, and what it can tell."""

import dataclasses

import numpy as np
import torch

from nbam_pyro.inference.diagnostics.collapse import (
    CollapseReport,
    collapse_report,
    verified_accuracy,
)
from nbam_pyro.inference.diagnostics.identify import identify
from nbam_pyro.inference.diagnostics.neighbours import echoed
from nbam_pyro.inference.posterior.fit_result import Fit
from nbam_pyro.inference.posterior.matrix_estimates import matrix_draws
from nbam_pyro.inference.posterior.row_posteriors import predict, responsibilities
from nbam_pyro.inference.steps.run import Run
from nbam_pyro.models import LatentLabelStory, Story
from nbam_pyro.models.priors.pseudo_counts import FlipPrior
from nbam_pyro.training.contexts import evaluating
from nbam_pyro.training.rows import Rows

# So many standard errors are as good as any more.
_SURE = 1e6


def with_reports(fit: Fit, run: Run) -> tuple[Fit, str | None]:
    """The fit with its reports, and advice where it has collapsed."""
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
    """Whether rows around flagged ones have their labels more often than the fit predicts."""
    rows, evidence = run.rows, run.cross_fitted
    if rows.table is None or rows.y.ndim > 1 or evidence is None or story.deviates:
        return None
    predicted = evidence.log_probs.exp().numpy() @ matrices.mean(0)
    flagged = fit.training_rows.responsibility > 0.5
    return echoed(rows.table.numpy(), rows.y.numpy(), flagged, predicted)


def _gain(run: Run) -> float | None:
    """How clearly labels are predicted out of fold, in standard errors; None without folds."""
    gains = [one.beyond_frequencies() for one in run.attempts]
    return float(np.clip(max(gains), -_SURE, _SURE)) if gains else None


def _verified_accuracy(result: Fit, rows: Rows) -> float | None:
    """Whether the fit would have judged the verified rows right without being told."""
    if not len(rows.verified):
        return None
    index = rows.looked_at
    r = [responsibilities(result, x, y) for x, y, *_ in rows.loader(index, 1024)]
    return verified_accuracy(np.concatenate(r), rows.verified.switch(rows.y)[index].numpy())


def _comparable(result: Fit, x: torch.Tensor, y: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Predictions and targets as a collapse report compares them."""
    story = result.story
    with torch.no_grad(), evaluating(story):
        return story.comparable(x, predict(result, x), y.numpy())


def _advice(story: Story, report: CollapseReport) -> str:
    if report.learned_nothing:
        return (
            f"The fit has {report}. Its flags mean nothing: give it more rows, features that say "
            "more about the labels, more epochs, or another network."
        )
    return (
        f"The fit has {report}: its flags mean nothing. Either the targets are right and merely "
        f"hard to predict, or the story does not identify its switch. {story.collapse_advice}"
    )
