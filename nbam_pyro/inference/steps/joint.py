"""`Joint` and `Spread`: fit networks and guide together, or fit only the guide's widths."""

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from pyro.infer.autoguide import AutoNormal
from torch import nn

from nbam_pyro.inference.steps.run import SPREAD_STEPS, Run
from nbam_pyro.inference.steps.step import Step
from nbam_pyro.inference.variational.enumeration import check_closed_form
from nbam_pyro.inference.variational.guides import guide_median, spreads_and_locations
from nbam_pyro.inference.variational.objectives import (
    ClosedObjective,
    EnumeratedObjective,
    Objective,
)
from nbam_pyro.models import Story
from nbam_pyro.models.priors.pseudo_counts import FlipPrior
from nbam_pyro.training.contexts import evaluating
from nbam_pyro.training.lightning import Task


@dataclass(frozen=True, kw_only=True)
class Joint(Step):
    """Fit networks and guide together on the objective of the fit.

    The guide is the variational posterior of the global latents. The epoch with the best log
    marginal of the noisy held-out rows is kept.

    Args:
        epochs: Largest number of epochs.
        budget: Training budget of the whole run up to the end of this step, in epochs of all
            training rows. If earlier steps have used less, this step may train for more than
            `epochs` epochs. None for no additional epochs.
        lr: Step size of AdamW for the networks.
        weight_decay: Weight decay of AdamW for the networks. The guide and scalar parameters have
            none.
        guide_lr: Step size for the guide's locations and for scalar parameters of the story, such
            as scales and shifts. With 0 they do not change.
        spread_lr: Step size for the guide's standard deviations. With 0 they do not change.
        patience: Number of epochs without improvement after which training stops.
        one_cycle: Whether step sizes rise to `lr`, `guide_lr` and `spread_lr`, and then fall to 0
            (one-cycle schedule, Smith & Topin 2018). This is useful for runs of few epochs, or if
            the spread of the posterior matters.
        num_draws: Number of draws of the global latents for each training step. More draws give
            posteriors that are exact enough for a comparison with `nuts`.
    """

    epochs: int = 80
    budget: float | None = None
    lr: float = 2e-3
    weight_decay: float = 1e-2
    guide_lr: float = 2e-2
    spread_lr: float = 2e-2
    patience: int = 40
    one_cycle: bool = False
    num_draws: int = 1

    def __call__(self, run: Run) -> None:
        guide = run.guide_or_new()
        objective = _objective(run, guide, self.num_draws)
        num_data = len(run.training_index)
        module = Task(
            [run.story, guide],
            loss=lambda batch: objective(batch, num_data),
            held_out_loss=run.negative_log_marginal,
            groups=self._groups(run.story, guide, run.speed * self.lr),
            one_cycle=self.one_cycle,
        )
        spreads, _ = spreads_and_locations(guide)
        with _frozen([] if self.spread_lr else spreads):
            left = 0 if self.budget is None else round(self.budget - run.spent)
            epochs = max(self.epochs, left)
            run.train("joint", module, epochs=epochs, patience=self.patience)

    def _groups(self, story: Story, guide: nn.Module, lr: float) -> list[dict[str, Any]]:
        """Return the parameter groups of AdamW: networks, locations with scalars, and spreads."""
        spreads, locations = spreads_and_locations(guide)
        networks = [p for p in story.parameters() if p.ndim]
        numbers = [p for p in story.parameters() if not p.ndim]
        groups = [
            {"params": networks, "lr": lr, "weight_decay": self.weight_decay},
            {"params": [*locations, *numbers], "lr": self.guide_lr, "weight_decay": 0.0},
            {"params": spreads, "lr": self.spread_lr, "weight_decay": 0.0},
        ]
        return [group for group in groups if group["params"] and group["lr"]]


@dataclass(frozen=True, kw_only=True)
class Spread(Step):
    """Fit only the guide's standard deviations; networks and locations do not change.

    Use this step after a joint fit that keeps the standard deviations small (`Joint(spread_lr=0)`).
    During a joint fit, widely varying draws of a sparse flip matrix would add noise to the training
    of the network.

    If contamination rates and the flip matrix T were estimated out of fold (`CrossFit`) and the
    story has no deviation g(x) of each row's rate, the standard deviations are fitted to the same
    predictions out of fold. The rates of an `AutoNormal` then get their marginal width, from the
    observed information. Without this correction, each rate would have its conditional width given
    all other rates and flips, which is too small.

    Args:
        epochs: Number of epochs if an epoch has up to 20 training steps. If an epoch has more
            steps, the number of epochs is reduced to keep the total number of steps.
        lr: Step size of AdamW.
    """

    epochs: int = 25
    lr: float = 5e-2

    def __call__(self, run: Run) -> None:
        guide = run.guide_or_new()
        story, evidence = run.story, run.cross_fitted
        label = story.latent_label
        if label is None or label.deviates:
            label = None
        if evidence is not None and label is not None:
            run = run.of_evidence(evidence)
        objective = _objective(run, guide)
        num_data = len(run.training_index)
        steps = num_data / run.options.batch_size
        epochs = math.ceil(self.epochs * min(1.0, SPREAD_STEPS / steps))
        spreads, _ = spreads_and_locations(guide)
        module = Task(
            [run.story, guide],
            loss=lambda batch: objective(batch, num_data),
            groups=[{"params": spreads, "lr": self.lr, "weight_decay": 0.0}],
        )
        with evaluating(run.story):  # no dropout, and batch statistics do not change
            run.train("spread", module, epochs=epochs, select=False)
        if evidence is not None and label is not None and type(guide) is AutoNormal:
            spread = evidence.rate_spread(label.prior or FlipPrior(), guide_median(guide))
            guide.scales.rate = spread.to(guide.scales.rate)


def _objective(run: Run, guide: nn.Module, num_draws: int = 1) -> Objective:
    """Return the objective of a run, after a check of the closed form on a few rows."""
    if not run.closed:
        return EnumeratedObjective(run.story, guide, num_draws=num_draws)
    objective = ClosedObjective(run.story, guide, num_draws=num_draws)
    with torch.no_grad(), evaluating(run.story):
        x, y, _, verified = run.rows.first(8)
        check_closed_form(run.story, x, y, guide_median(guide), verified=verified)
    return objective


@contextmanager
def _frozen(parameters: Iterable[nn.Parameter]) -> Iterator[None]:
    """Switch gradients of some parameters off inside a `with` block."""
    parameters = list(parameters)
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)
