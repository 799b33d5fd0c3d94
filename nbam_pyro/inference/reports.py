"""The reports of a fit: whether it has collapsed, what the data identify, and the verdict."""

import dataclasses
from collections.abc import Callable

import numpy as np
import torch

from nbam_pyro.errors import (
    CannotTellWarning,
    CollapseWarning,
    ExchangedWarning,
    NothingLearnedWarning,
    VanishedWarning,
)
from nbam_pyro.inference.diagnostics.collapse import CollapseReport, collapse_report
from nbam_pyro.inference.diagnostics.held_out_verdict import held_out_verdict
from nbam_pyro.inference.diagnostics.identify import identify
from nbam_pyro.inference.diagnostics.label_evidence import LabelEvidence
from nbam_pyro.inference.diagnostics.neighbours import label_excess
from nbam_pyro.inference.diagnostics.verdicts import verdict_of
from nbam_pyro.inference.posterior.fit_result import Fit
from nbam_pyro.inference.posterior.matrix_estimates import matrix_draws
from nbam_pyro.inference.posterior.network_readings import NetworkReadings
from nbam_pyro.inference.posterior.other_difficulty import other_share
from nbam_pyro.inference.posterior.row_posteriors import predict, responsibilities
from nbam_pyro.inference.steps.run import Run
from nbam_pyro.models import LatentLabelStory, Story
from nbam_pyro.outputs.verdict import Verdict
from nbam_pyro.outputs.wording.sentences import sentence, verified_clause
from nbam_pyro.training.contexts import evaluating
from nbam_pyro.training.rows import Rows

# The reasons are left out, because only the caller knows the names of the classes.
_CANNOT_TELL = (
    "The data do not identify the contamination, so do not act on the responsibilities. Print the "
    "verdict (`verdict` of a fit, `verdict_` of an estimator): it states the reasons, and what "
    "would decide."
)


def with_reports(
    fit: Fit, run: Run, readings: NetworkReadings | None
) -> tuple[Fit, CannotTellWarning | None]:
    """Return the fit with its reports, and a warning if the data cannot tell (otherwise None).

    Args:
        fit: Fit without reports, which trusts the predictions of its network.
        run: Run of the steps that made the fit.
        readings: How far the predictions out of fold can be trusted; None without them.
    """
    collapse = _collapse(fit, run)
    evidence = _label_evidence(fit, run, collapse, readings)
    most = fit.training_rows.share.high
    verdict = verdict_of(
        collapse,
        evidence,
        run.peaks,
        most=most,
        widening=run.widening,
        held_out=_held_out(run),
    )
    if len(run.rows.verified) and not collapse.collapsed:
        chosen = verified_clause(len(run.rows.looked_at), len(run.rows))
        verdict = dataclasses.replace(verdict, assumed=sentence(verdict.assumed, chosen))
    fit = dataclasses.replace(
        fit,
        collapse=collapse,
        label_evidence=evidence,
        trust=None if readings is None else readings.trust,
    ).judged(verdict)
    if collapse.collapsed:
        return fit, _collapse_warning(run.story, collapse)
    return fit, CannotTellWarning(_CANNOT_TELL) if verdict.level == "cannot tell" else None


def _label_evidence(
    fit: Fit, run: Run, collapse: CollapseReport, readings: NetworkReadings | None
) -> LabelEvidence | None:
    """Return the evidence on a latent true label; None if the story has none."""
    labels, true_label = run.story.latent_label, fit.training_rows.true_label
    if labels is None or true_label is None:
        return None
    matrices = matrix_draws(fit)
    return identify(
        fit.training_rows.responsibility,
        true_label,
        matrices,
        share=None if readings is None else fit.training_rows.share,
        all_right=0.0 if readings is None else readings.trust.all_right,
        labels=run.rows.y.numpy(),
        collapse=collapse,
        echoed=_echoed(fit, run, labels, matrices),
        evidence=run.cross_fitted,
        attempts=run.attempts,
        undecided=run.undecided,
        open_error=labels.clean_error is not None and labels.clean_error.open,
        hesitant=0.0 if readings is None else readings.trust.hesitant,
        other_share=_other_share(run, labels, readings),
    )


def _other_share(
    run: Run, story: LatentLabelStory, readings: NetworkReadings | None
) -> float | None:
    """Return the factor of the share at the other difficulty; None without predictions."""
    if readings is None or run.cross_fitted is None:
        return None
    return other_share(readings, run.cross_fitted, story.prior)


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
        gain=run.gain,
    )


def _held_out(run: Run) -> Callable[[], Verdict] | None:
    """Return a function that judges the residuals of held-out rows; None without a location."""
    location = run.story.location
    if location is None or run.story.dims or not run.story.predicts:
        return None

    def judge() -> Verdict:
        parts = [np.zeros((3, 0))]  # no row may be held out
        with torch.no_grad(), evaluating(run.story):
            for x, y, *_ in run.rows.loader(run.held_out_index, 1024):
                mean = y.double() - location.residual(x, y).double()
                parts.append(np.stack([y, mean, location.scale(x).expand(len(y))]))
        return held_out_verdict(*np.concatenate(parts, 1))

    return judge


def _echoed(fit: Fit, run: Run, story: LatentLabelStory, matrices: np.ndarray) -> float | None:
    """Return `LabelEvidence.echoed`; None without a table or predictions out of fold."""
    rows, evidence = run.rows, run.cross_fitted
    if rows.table is None or rows.y.ndim > 1 or evidence is None or story.deviates:
        return None
    predicted = evidence.log_probs.exp().numpy() @ matrices.mean(0)
    flagged = fit.training_rows.responsibility > 0.5
    return label_excess(rows.table.numpy(), rows.y.numpy(), flagged, predicted)


def _verified_accuracy(result: Fit, rows: Rows) -> float | None:
    """Return the share of verified switches that the fit infers correctly from x and y alone."""
    if not len(rows.verified):
        return None
    index = rows.looked_at
    r = [responsibilities(result, x, y) for x, y, *_ in rows.loader(index, 1024)]
    y = result.story.per_switch(rows.y[index])
    return rows.verified[index].accuracy(torch.as_tensor(np.concatenate(r)), y)


def _comparable(result: Fit, x: torch.Tensor, y: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Return predictions and targets of some rows in the form that a collapse report compares."""
    story = result.story
    with torch.no_grad(), evaluating(story):
        return story.comparable(x, predict(result, x), y.numpy())


def _collapse_warning(story: Story, report: CollapseReport) -> CollapseWarning:
    """Return the warning for a fit that has collapsed: what is wrong and what to do."""
    if report.learned_nothing:
        return NothingLearnedWarning(
            f"The fit has {report}. Its responsibilities mean nothing. Use more rows, features "
            "with more information about the labels, more epochs, or another network."
        )
    kind = VanishedWarning if report.vanished else ExchangedWarning
    return kind(
        f"The fit has {report}. Its responsibilities mean nothing. Either the targets are correct "
        "and only hard to predict, or the story does not identify its switch. "
        f"{story.collapse_advice}"
    )
