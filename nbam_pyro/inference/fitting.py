"""`fit`: a story and data in, a `Fit` out."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from numbers import Real
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from pyro.infer.autoguide import AutoNormal
from sklearn.model_selection import train_test_split
from torch import nn

from nbam_pyro.checks.spacing import check_spacing
from nbam_pyro.errors import CollapseWarning, DataError, StoryError
from nbam_pyro.inference.posterior.fit_result import Fit
from nbam_pyro.inference.posterior.training_rows import score_training_rows
from nbam_pyro.inference.recipes import default_steps
from nbam_pyro.inference.reports import with_reports
from nbam_pyro.inference.steps.run import Run
from nbam_pyro.models import Story
from nbam_pyro.models.likelihoods.component import check_whole
from nbam_pyro.training.contexts import evaluating, seeded
from nbam_pyro.training.lightning import Options
from nbam_pyro.training.row_kind import RowKind
from nbam_pyro.training.rows import Rows
from nbam_pyro.training.sources import Data, as_rows
from nbam_pyro.training.tensors import precision_of
from nbam_pyro.verified import NOTHING, Verified

__all__ = ["fit"]

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
        story: The story to fit. It is fitted in place, in its own precision, and left in
            evaluation mode; a story in evaluation mode is put in training mode first.
        data: (x, y) as arrays or tensors, a torch `Dataset` of such pairs, or a `DataLoader` or
            `LightningDataModule` of one.
        epochs: of one plain training run of the network, to which the default recipe keeps its
            steps in proportion; None for its own default, with as many steps as the network needs
            to learn from few rows (`Pace`).
        steps: what to do in which order; None for the recipe of the story (`default_steps`), which
            also takes step size and weight decay.
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
            then the last epoch is kept. None for the validation rows of a data module, or 1/6. The
            recipe for labels trains on a share that was held out, too, where rows are few.
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
        >>> line.training_rows.responsibility.argmax()
        np.int64(7)
    """
    if epochs is not None and steps is not None:
        raise DataError("epochs is for the default recipe: steps have their own.")
    if epochs is not None:
        check_whole("epochs", epochs, least=1)
    if batch_size is not None:
        check_whole("batch_size", batch_size, least=1)
    check_whole("seed", seed, least=0)
    closed = story.closed_form is not None if objective is None else objective == "closed"
    if weights is not None and not closed:
        raise StoryError("Weights need the closed form; enumeration counts every row once.")
    with torch.inference_mode(False), torch.enable_grad(), seeded(seed, devices=True):
        _check_trainable(story)
        rows = as_rows(data, weights, verified, dtype=precision_of(story))
        _check_precision(story, rows)
        if story.centre == 0:
            rows = rows.with_targets_in(precision_of(story))
        if not story.training:  # as a fit leaves it
            story.train()
        _check_targets(story, rows)
        is_held_out = _split(rows, held_out, seed)
        run = Run(
            story=story,
            rows=rows,
            training_index=np.flatnonzero(~is_held_out),
            held_out_index=np.flatnonzero(is_held_out),
            drawn=isinstance(held_out, Real) or (held_out is None and rows.held_out is None),
            closed=closed,
            options=Options(
                batch_size=int(batch_size or rows.batch_size or 64),
                progress=progress,
                folder=None if folder is None else Path(folder),
                trainer=trainer or {},
            ),
            seed=seed,
            family=guide,
        )
        if steps is None:
            steps = default_steps(story, epochs=epochs)
        for step in steps:
            step(run)
        posterior = run.guide_or_new()
        _check_numbers(story, posterior)
        story.eval()
        posterior.eval()
        few = rows.first(2)
        result = Fit(
            story=story,
            guide=posterior,
            history=pd.DataFrame(run.history),
            held_out=np.isin(np.arange(len(rows)), run.held_out_index),
            kind=RowKind.of(few.x, few.y),
            training_rows=score_training_rows(story, posterior, rows, run.cross_fitted),
        )
        result, advice = with_reports(result, run)
    if advice is not None:
        warnings.warn(advice, CollapseWarning, stacklevel=2)
    return result


def _check_numbers(*modules: nn.Module) -> None:
    if not all(p.isfinite().all() for module in modules for p in module.parameters()):
        raise DataError(
            "The fit diverged: its parameters are not finite. Bring features and targets to "
            "moderate units, or take smaller steps."
        )


def _check_trainable(story: Story) -> None:
    if any(p.is_inference() for p in story.parameters()):
        raise StoryError(
            "The story was made inside torch.inference_mode, so that its networks cannot be "
            "trained: make it outside."
        )


def _check_targets(story: Story, rows: Rows) -> None:
    with torch.no_grad(), evaluating(story):
        for x, y, *_ in rows.loader(np.arange(len(rows)), 1024):
            story.check_targets(x, y)
    story.check_verified(rows.y, rows.verified)


def _check_precision(story: Story, rows: Rows) -> None:
    """Refuse measurements whose digits a story in single precision would lose."""
    if rows.y.dtype == torch.float64 and precision_of(story) == torch.float32:
        values = rows.y.flatten().numpy() - story.centre
        check_spacing(values, ["y"], kind=np.float32, mend=_CENTRE)


def _split(rows: Rows, held_out: float | np.ndarray | None, seed: int) -> np.ndarray:
    n = len(rows)
    if held_out is None:
        held_out = 1 / 6 if rows.held_out is None else rows.held_out
    if isinstance(held_out, np.ndarray):
        if held_out.shape != (n,) or held_out.dtype != bool or held_out.all():
            raise DataError(f"held_out must be a boolean array of {n} rows that leaves some.")
        return held_out
    if not isinstance(held_out, Real) or not 0 <= held_out < 1:
        raise DataError(f"held_out is {held_out!r}; give a share in [0, 1) or a boolean array.")
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
