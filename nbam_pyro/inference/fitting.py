"""`fit`: a story and data in, a `Fit` out."""

import dataclasses
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from pyro.infer.autoguide import AutoNormal
from sklearn.model_selection import train_test_split
from torch import nn

from nbam_pyro.errors import CollapseWarning, DataError, StoryError
from nbam_pyro.inference.diagnostics import CollapseReport, agreement, collapse_report
from nbam_pyro.inference.guides import evaluating
from nbam_pyro.inference.posterior import predict, responsibilities
from nbam_pyro.inference.recipes import default_steps
from nbam_pyro.inference.result import Fit
from nbam_pyro.inference.row_kind import RowKind
from nbam_pyro.inference.rows import Data, Rows, as_rows
from nbam_pyro.inference.run import Run
from nbam_pyro.inference.training import Options
from nbam_pyro.models import BernoulliLikelihood, ClosedStory, LatentSwitch, LocationScale, Story
from nbam_pyro.verified import Verified

__all__ = ["fit"]


def fit(
    story: Story,
    data: Data,
    *,
    steps: Sequence[Callable[[Run], None]] | None = None,
    objective: Literal["closed", "elbo"] | None = None,
    guide: Callable[..., nn.Module] = AutoNormal,
    weights: np.ndarray | torch.Tensor | None = None,
    verified: Verified | None = None,
    held_out: float | np.ndarray | None = None,
    batch_size: int | None = None,
    seed: int = 0,
    progress: bool = False,
    folder: str | Path | None = None,
    trainer: Mapping[str, Any] | None = None,
) -> Fit:
    r"""Fit a story by stochastic variational inference, the switch summed out exactly.

    Maximises the evidence lower bound of the global latents together with the networks, which are
    point estimates. No clean label is needed anywhere: epochs and restarts are selected by the
    log marginal of *noisy* rows that are held out.

    Args:
        story: fitted in place.
        data: (x, y) as arrays or tensors, a torch `Dataset` of such pairs, or a `DataLoader` or
            `LightningDataModule` of one.
        steps: what to do in which order; None for the recipe of the story (`default_steps`).
        objective: "closed" for the closed form, "elbo" for Pyro's enumerated objective, which any
            story allows; both have the same value. None for "closed" where the story has one.
        guide: posterior family of the global latents, one of Pyro's autoguides or what is called
            like them, `guide(model, init_loc_fn=...)`.
        weights: how many times each row counts in the likelihood, (N,); None for once. They change
            what is estimated: rates become rates among the weighted rows.
        verified: what is verified of the rows, such as `Verified.of(y, true_label=...)`; it is
            observed in training and held-out rows alike. Which rows were verified may depend on
            what was seen of them, x and y, but not on what was found. None for nothing.
        held_out: share of rows to hold out, or a boolean array that says which; 0 for none, and
            then the last epoch is kept. None for the validation rows of a data module, or 1/6.
        batch_size: rows of a training step; None for that of a loader, or 64.
        seed: of everything random; torch's global random state is left as it was.
        progress: show progress bars.
        folder: where temporary checkpoints may lie during the fit; None for the system's
            temporary folder.
        trainer: further arguments of `lightning.pytorch.Trainer` (accelerator, devices,
            precision, callbacks, ...); by default a GPU is used where there is one.

    Returns:
        The fit. A `CollapseWarning` is given where its flags mean nothing.

    Raises:
        DataError: the data have missing values, too few rows, or targets the story cannot produce,
            or what is verified contradicts the targets or itself.
        StoryError: story, steps and objective do not go together, weights are given where there is
            no closed form, or the story does not hear what is verified.

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
        >>> responsibilities(line, x, y).argmax()
        np.int64(7)
    """
    rows = as_rows(data, weights, verified)
    closed = isinstance(story, ClosedStory) if objective is None else objective == "closed"
    if weights is not None and not closed:
        raise StoryError("Weights need the closed form; enumeration counts every row once.")
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        _check_targets(story, rows)
        is_held_out = _split(rows, held_out, seed)
        run = Run(
            story=story,
            rows=rows,
            training=np.flatnonzero(~is_held_out),
            held_out=np.flatnonzero(is_held_out),
            closed=closed,
            options=Options(
                batch_size=batch_size or rows.batch_size or 64,
                progress=progress,
                folder=None if folder is None else Path(folder),
                trainer=trainer or {},
            ),
            seed=seed,
            family=guide,
        )
        for step in default_steps(story) if steps is None else steps:
            step(run)
        _check_numbers(story, run.guide_or_new())
        few = rows.first(2)
        result = Fit(
            story=story,
            guide=run.guide_or_new(),
            history=pd.DataFrame(run.history),
            held_out=is_held_out,
            kind=RowKind.of(few.x, few.y),
            collapse=None,
        )
        return _with_collapse_report(result, run)


def _check_numbers(*modules: nn.Module) -> None:
    if not all(p.isfinite().all() for module in modules for p in module.parameters()):
        raise DataError(
            "The fit diverged: its parameters are not finite. Bring features and targets to "
            "moderate units, or take smaller steps."
        )


def _check_targets(story: Story, rows: Rows) -> None:
    if isinstance(story, ClosedStory):
        with torch.no_grad(), evaluating(story):
            for x, y, *_ in rows.loader(np.arange(len(rows)), 1024):
                story.check_targets(x, y)
        if rows.verified is not None:
            story.check_verified(rows.y, rows.verified)


def _split(rows: Rows, held_out: float | np.ndarray | None, seed: int) -> np.ndarray:
    n = len(rows)
    if held_out is None:
        held_out = 1 / 6 if rows.held_out is None else rows.held_out
    if isinstance(held_out, np.ndarray):
        if held_out.shape != (n,) or held_out.dtype != bool or held_out.all():
            raise DataError(f"held_out must be a boolean array of {n} rows that leaves some.")
        return held_out
    if not 0 <= held_out < 1:
        raise DataError(f"held_out is {held_out}; give a share in [0, 1) or a boolean array.")
    flags = np.zeros(n, dtype=bool)
    count = round(held_out * n)
    if count:
        labels = rows.y.numpy()
        classes, sizes = np.unique(labels, return_counts=True)
        enough = sizes.min() >= 2 and len(classes) <= min(count, n - count) and labels.ndim == 1
        stratify = labels if enough and not rows.y.is_floating_point() else None
        chosen = train_test_split(
            np.arange(n), test_size=count, random_state=seed, stratify=stratify
        )[1]
        flags[chosen] = True
    return flags


def _with_collapse_report(result: Fit, run: Run) -> Fit:
    if not isinstance(run.story, ClosedStory):
        return result
    index = run.held_out if len(run.held_out) else run.training
    r, predicted, y = [], [], []
    for x_batch, y_batch, *_ in run.rows.loader(index, 1024):
        r.append(responsibilities(result, x_batch, y_batch))
        expected, observed = _comparable(result, x_batch, y_batch)
        predicted.append(expected)
        y.append(observed)
    report = collapse_report(
        np.concatenate(r),
        np.concatenate(predicted),
        np.concatenate(y),
        agreement=_agreement(result, run.rows),
    )
    if report.collapsed:
        warnings.warn(_advice(run.story, report), CollapseWarning, stacklevel=3)
    return dataclasses.replace(result, collapse=report)


def _agreement(result: Fit, rows: Rows) -> float | None:
    """Whether the fit would have judged the verified rows right without being told."""
    if rows.verified is None:
        return None
    index = rows.looked_at
    r = [responsibilities(result, x, y) for x, y, *_ in rows.loader(index, 1024)]
    return agreement(np.concatenate(r), rows.verified.switch(rows.y)[index].numpy())


def _comparable(result: Fit, x: torch.Tensor, y: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Predictions and targets as a collapse report compares them."""
    predicted, observed, story = predict(result, x), y.numpy(), result.story
    if not isinstance(story, LatentSwitch):
        return predicted, observed
    if isinstance(story.clean, BernoulliLikelihood):
        return np.stack([1 - predicted, predicted], -1), observed  # a class, not a mean
    if isinstance(story.clean, LocationScale):
        with torch.no_grad(), evaluating(story):
            scale = story.clean.location_and_scale(story.trunk(x))[1].numpy()
        return predicted / scale, observed / scale
    return predicted, observed


def _advice(story: Story, report: CollapseReport) -> str:
    message = (
        f"The fit has {report}: its flags mean nothing. Either the targets are right and merely "
        "hard to predict, or the story does not identify its switch."
    )
    if isinstance(story, LatentSwitch):
        return message + " For labels use LabelFlip, whose default steps start from anchors."
    return message + " Use the default steps, a smaller network or fewer epochs."
