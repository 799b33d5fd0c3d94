"""`fit` takes a story and data and returns a `Fit`."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from numbers import Real
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from pyro.infer.autoguide import AutoNormal
from torch import nn

from nbam_pyro.checks.spacing import check_spacing
from nbam_pyro.errors import DataError, StoryError
from nbam_pyro.inference.posterior.fit_result import Fit
from nbam_pyro.inference.steps.run import Run
from nbam_pyro.models import Story
from nbam_pyro.models.likelihoods.component import check_whole
from nbam_pyro.training.contexts import deterministic_algorithms, evaluating, seeded
from nbam_pyro.training.devices import check_trainer
from nbam_pyro.training.folds import together
from nbam_pyro.training.held_out import held_out_rows
from nbam_pyro.training.journal import Journal
from nbam_pyro.training.parallel import check_n_jobs, processes
from nbam_pyro.training.row_kind import RowKind
from nbam_pyro.training.rows import Rows
from nbam_pyro.training.sources import Data, as_rows
from nbam_pyro.training.tensors import precision_of
from nbam_pyro.verified import NOTHING, Verified

__all__ = ["fit"]

# How to compute the networks of a story in half precision.
_MIXED = (
    "Call story.float(), and fit with trainer={'precision': 'bf16-mixed'}: networks then compute "
    "in half precision, and likelihoods in single precision."
)
# How to mend a story in single precision that would lose digits of the measurements.
_CENTRE = (
    "give the clean likelihood a centre near the measurements (centre=), as robust_regression "
    "does, or call story.double()."
)


def fit(
    story: Story,
    data: Data,
    *,
    epochs: int | None = None,
    steps: Sequence[Callable[[Run], None]] | None = None,
    objective: Literal["closed", "elbo"] | None = None,
    guide: Callable[..., nn.Module] = AutoNormal,
    weights: np.ndarray | torch.Tensor | None = None,
    verified: Verified = NOTHING,
    groups: Any = None,
    held_out: float | np.ndarray | None = None,
    batch_size: int | None = None,
    seed: int = 0,
    deterministic: bool = False,
    n_jobs: int | None = None,
    progress: bool = False,
    progress_folder: str | Path | None = None,
    trainer: Mapping[str, Any] | None = None,
) -> Fit:
    r"""Fit a story to data by stochastic variational inference, with the switch summed out exactly.

    The switch z of a row is 1 if its target is contaminated and 0 if it is clean. The
    responsibility of a row is P(z=1 | x, y), the probability that its target is wrong. The fit
    maximises the evidence lower bound (ELBO) of the global latents (contamination rates, flip
    matrix, ...) together with the networks. The networks are point estimates.

    No clean target is needed. Some *noisy* rows are held out from training (held-out rows), and
    epochs and restarts are selected by the log marginal log p(y | x) of these rows.

    Args:
        story: Story to fit. It is fitted in place and in its own precision, and it is in evaluation
            mode afterwards. If the story is in evaluation mode, `fit` first puts it in training
            mode.
        data: Rows (x, y) as a pair of arrays or tensors, as a torch `Dataset` of such pairs, or as
            a `DataLoader` or a `LightningDataModule` of such a data set.
        epochs: Epochs of one plain training run of the network. The epochs of all steps of the
            default recipe are in proportion to this number. With None the recipe uses its own
            default, and first finds out how many training steps the network needs (`Pace`).
        steps: Steps of the fit in their order. None for the default recipe of the story
            (`default_steps`). Call `default_steps` to choose the step size and the weight decay of
            that recipe.
        objective: Objective of the fit. "closed" is the closed form of the story. "elbo" is Pyro's
            ELBO by enumeration, which works for every story. Both have the same value. None for
            "closed" if the story has a closed form, and "elbo" otherwise.
        guide: Family of the posterior of the global latents: one of Pyro's autoguides, or a
            callable with the same signature, `guide(model, init_loc_fn=...)`.
        weights: Number of times that each row counts in the likelihood, (N,). None means that each
            row counts once. With weights, the estimated rates are rates among the weighted rows.
        verified: Verified switches or true labels of some rows, such as `Verified.of(y,
            true_label=...)`. The fit uses them as observed values, in training rows and in held-out
            rows. The choice of the rows to verify may depend on their x and y, but not on the
            results of verification. By default nothing is verified.
        groups: Identifier of the group of each row, a text or a number, (N,), such as the patient
            that several rows come from. Rows of one group never lie in different folds, and are
            held out together or not at all. Rows of a table that are exactly equal are not divided
            either, unless fewer than half of the rows differ. None for no groups.
        held_out: Share of the rows to hold out, or a boolean array (N,) that is True for held-out
            rows. With 0 no row is held out, and the last epoch is kept. With None, the validation
            rows of a data module are held out, or a share of 1/6 of other data. If there are few
            rows, the default recipe for labels also trains on the held-out rows in its later steps,
            except if they are given as a boolean array or by a data module.
        batch_size: Number of rows of a training step. None for the batch size of a loader, or 64
            for other data.
        seed: Seed for held-out rows, folds, batches and draws of the guide. Torch's global random
            state is not changed.
        deterministic: Whether torch uses only algorithms that give the same bits in every run
            (`torch.use_deterministic_algorithms`, which is restored afterwards). On a GPU these are
            other algorithms, and torch raises an error for an operation that has none.
        n_jobs: Number of processes for independent parts of the fit: copies and starts of
            `CrossFit`, copies of `Distil` and attempts of `Restarts`. None for one, or the number
            that `joblib.parallel_config` sets; -1 for all processors. The result does not depend on
            it if torch uses one thread, or with `deterministic`. Otherwise workers share the
            threads of this process, and sums may be rounded differently. Several processes may
            share one GPU if its memory is large enough.
        progress: Whether progress bars are shown. With several processes, the parallel parts have
            none.
        progress_folder: Folder that keeps the progress of the fit. A fit that was interrupted
            continues after its last finished epoch if it is called again with the same arguments
            and the same folder, and ends with the same result. Several fits may share the folder.
            It stays; remove it when the fit has ended. With None, nothing is kept.
        trainer: Further arguments of `lightning.pytorch.Trainer` (accelerator, devices, precision,
            callbacks, ...). By default a GPU is used if there is one. With several devices, every
            process of Lightning trains on an equal part of each batch of at most `batch_size` rows,
            and returns the same fit.

    Returns:
        The fit. A `CannotTellWarning` is given if the data do not identify the contamination. It
        is a `CollapseWarning` if the responsibilities mean nothing.

    Raises:
        DataError: The data have missing values, too few rows, or targets that the story cannot
            produce; `groups` is not one value per row; or the verified values contradict the
            targets or each other; or `n_jobs` is 0 or no whole number, or the fit cannot be sent to
            other processes.
        FolderError: `progress_folder` cannot be written.
        StoryError: The story, the steps and the objective are not compatible; the story or the
            trainer has half precision throughout; the trainer has several devices and a strategy
            other than `DistributedDataParallel`, or together with `n_jobs` or `progress_folder`, or
            with fewer than two rows of a batch for each; weights are given and the objective is not
            the closed form; or verified rows are given and the story cannot take them as observed.

    Example:
        >>> from nbam_pyro.models import BetaSwitch, BroadNormal, LatentSwitch, NormalLikelihood
        >>> from nbam_pyro.inference import Joint
        >>> x = torch.linspace(-1, 1, 40)[:, None]
        >>> y = 2 * x[:, 0]
        >>> y[7] = 9.0
        >>> story = LatentSwitch(
        ...     switch=BetaSwitch(),
        ...     clean=NormalLikelihood(nn.Linear(1, 1)),
        ...     anomaly=BroadNormal.of(y),
        ... )
        >>> line = fit(story, (x, y), steps=[Joint(epochs=60, lr=0.05)], held_out=0)
        >>> line.training_rows.responsibility.argmax()
        np.int64(7)
    """
    from nbam_pyro.inference.posterior.network_readings import readings_of
    from nbam_pyro.inference.posterior.training_rows import score_training_rows
    from nbam_pyro.inference.recipes import default_steps
    from nbam_pyro.inference.reports import with_reports
    from nbam_pyro.training.lightning import Options

    check_epochs(epochs, steps)
    if batch_size is not None:
        check_whole("batch_size", batch_size, least=1)
    check_whole("seed", seed, least=0)
    check_n_jobs(n_jobs)
    closed = story.closed_form is not None if objective is None else objective == "closed"
    if weights is not None and not closed:
        raise StoryError(
            "weights need the closed form of the story: Pyro's enumeration counts every row once. "
            "Leave weights out, or fit a story that has a closed form."
        )
    with (
        torch.inference_mode(False),
        torch.enable_grad(),
        seeded(seed, devices=True),
        deterministic_algorithms(deterministic),
    ):
        _check_trainable(story)
        if str((trainer or {}).get("precision")) in ("16-true", "bf16-true"):
            raise StoryError(f"Lightning would convert likelihoods to half precision. {_MIXED}")
        rows = as_rows(data, weights, verified, dtype=precision_of(story))
        size = int(batch_size or rows.batch_size or 64)
        check_trainer(
            trainer or {},
            n_jobs=processes(n_jobs),
            progress_folder=progress_folder,
            batch_size=size,
        )
        rows = replace(rows, groups=together(rows.table, groups, count=len(rows)))
        _check_precision(story, rows)
        if story.centre == 0:
            rows = rows.with_targets_in(precision_of(story))
        if not story.training:  # an earlier fit leaves it in evaluation mode
            story.train()
        _check_targets(story, rows)
        is_held_out = held_out_rows(rows, held_out, seed=seed)
        if steps is None:
            steps = default_steps(story, epochs=epochs)
        data_used = [rows.contents, is_held_out, batch_size]
        job = [story, steps, closed, guide, data_used, seed, deterministic, n_jobs]
        run = Run(
            story=story,
            rows=rows,
            training_index=np.flatnonzero(~is_held_out),
            held_out_index=np.flatnonzero(is_held_out),
            drawn=isinstance(held_out, Real) or (held_out is None and rows.held_out is None),
            closed=closed,
            options=Options(
                batch_size=size,
                progress=progress,
                journal=Journal.of(progress_folder, job, trainer),
                trainer=trainer or {},
            ),
            seed=seed,
            family=guide,
            n_jobs=n_jobs,
        )
        for step in steps:
            step(run)
        posterior = run.guide_or_new()
        _check_numbers(story, posterior)
        story.eval()
        posterior.eval()
        readings = readings_of(run)
        few = rows.first(2)
        result = Fit(
            story=story,
            guide=posterior,
            history=pd.DataFrame(run.history),
            held_out=np.isin(np.arange(len(rows)), run.held_out_index),
            kind=RowKind.of(few.x, few.y),
            training_rows=score_training_rows(
                story,
                posterior,
                rows,
                run.cross_fitted,
                None if readings is None else readings.trust,
            ),
        )
        result, warning = with_reports(result, run, readings)
    if warning is not None:
        warnings.warn(warning, stacklevel=2)
    return result


def check_epochs(epochs: int | None, steps: Sequence[Callable[[Run], None]] | None) -> None:
    """Raise a `DataError` if epochs are no positive number, or if steps are given as well.

    Args:
        epochs: Epochs of one plain training run; None for the default.
        steps: Steps of the fit; None for the default recipe.
    """
    if epochs is not None and steps is not None:
        raise DataError(
            "Both epochs and steps are given. epochs is an option of the default recipe: give the "
            "steps their own epochs, or leave steps out."
        )
    if epochs is not None:
        check_whole("epochs", epochs, least=1)


def _check_numbers(*modules: nn.Module) -> None:
    """Raise a `DataError` if a fitted parameter is not finite."""
    if not all(p.isfinite().all() for module in modules for p in module.parameters()):
        raise DataError(
            "The fit diverged: its parameters are not finite. Rescale features and targets to "
            "values of moderate size, or choose a smaller step size (lr)."
        )


def _check_trainable(story: Story) -> None:
    """Raise a `StoryError` if the parameters of a story cannot be trained precisely enough."""
    if any(p.is_floating_point() and p.element_size() < 4 for p in story.parameters()):
        raise StoryError(
            f"The story has parameters in half precision, which is too coarse for likelihoods. "
            f"{_MIXED}"
        )
    if any(p.is_inference() for p in story.parameters()):
        raise StoryError(
            "The story was created inside torch.inference_mode, so its networks cannot be trained. "
            "Create the story outside of torch.inference_mode."
        )


def _check_targets(story: Story, rows: Rows) -> None:
    """Raise an error if the story cannot produce the targets or the verified values."""
    if type(story).check_targets is not Story.check_targets:  # rows may be slow to read
        with torch.no_grad(), evaluating(story):
            for x, y, *_ in rows.loader(np.arange(len(rows)), 1024):
                story.check_targets(x, y)
    story.check_verified(rows.y, rows.verified)


def _check_precision(story: Story, rows: Rows) -> None:
    """Raise an error if a story in single precision would lose digits of the measurements."""
    if rows.y.dtype == torch.float64 and precision_of(story) == torch.float32:
        values = rows.y.reshape(len(rows), -1).numpy() - story.centre
        names = ["y"] if values.shape[1] == 1 else [f"y[:, {i}]" for i in range(values.shape[1])]
        check_spacing(values, names, kind=np.float32, mend=_CENTRE)
