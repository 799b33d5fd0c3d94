"""The steps a fit is composed of: warm-up, re-initialisation, joint fit, spread, restarts.

Each step is a small value that acts on a `Run`; `fit(..., steps=[...])` takes any sequence of
them, and a callable of your own that takes a `Run` is a step too.
"""

import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from pyro.infer.autoguide import AutoNormal
from torch import Tensor, nn

from nbam_pyro.errors import StoryError
from nbam_pyro.inference.steps.run import SPREAD_STEPS, Run
from nbam_pyro.inference.variational.enumeration import check_closed_form
from nbam_pyro.inference.variational.guides import guide_median, spreads_and_locations
from nbam_pyro.inference.variational.objectives import (
    ClosedObjective,
    EnumeratedObjective,
    Objective,
    weighted_mean,
)
from nbam_pyro.models import Story
from nbam_pyro.models.priors.pseudo_counts import FlipPrior
from nbam_pyro.training.contexts import evaluating
from nbam_pyro.training.lightning import Task
from nbam_pyro.training.rows import Batch


class Step(ABC):
    """Something a fit does to its `Run`."""

    @abstractmethod
    def __call__(self, run: Run) -> None:
        """Do it."""


@dataclass(frozen=True, kw_only=True)
class WarmUp(Step):
    """Train the clean predictor as if no row were contaminated but those verified.

    A verified true label takes the place of the observed one; a row that is verified as
    contaminated and whose true label is not known is left out. The epoch that is best on the
    noisy held-out rows is kept.

    Args:
        epochs: how many.
        lr: step size of AdamW.
        weight_decay: of AdamW.
        one_cycle: let the step size rise to `lr` and fall to nothing.

    Raises:
        StoryError: the story has no network, or no closed form and so no declared predictor.
    """

    epochs: int = 5
    lr: float = 2e-3
    weight_decay: float = 1e-2
    one_cycle: bool = False

    def __call__(self, run: Run) -> None:
        run.train("warm-up", self.task(run.story, speed=run.speed), epochs=self.epochs)

    def task(self, story: Story, *, speed: float = 1.0) -> Task:
        """What to train: the clean predictor by its log likelihood, cross-entropy for labels."""

        def loss(batch: Batch) -> Tensor:
            y, counted = batch.targets()
            values = story.initial_predictor(batch.x).log_prob(y)
            return -weighted_mean(torch.where(counted, values, 0.0), batch.weights)

        parameters = list(story.parameters())
        if not parameters:
            raise StoryError(f"WarmUp needs networks to train; {type(story).__name__} has none.")
        lr = speed * self.lr
        groups = [{"params": parameters, "lr": lr, "weight_decay": self.weight_decay}]
        return Task([story], loss=loss, groups=groups, one_cycle=self.one_cycle)


@dataclass(frozen=True, kw_only=True)
class Reinitialise(Step):
    """Give every layer of the story fresh random weights; rates and T keep their start."""

    def __call__(self, run: Run) -> None:
        reinitialise(run.story)


@dataclass(frozen=True)
class StartFrom(Step):
    """Let the guide start anew from values of the global latents, such as another fit's.

    Args:
        latents: by site name, in the site's own space; prior means for the others.
    """

    latents: Mapping[str, Tensor]

    def __call__(self, run: Run) -> None:
        run.start = dict(self.latents)
        run.guide = None


@dataclass(frozen=True, kw_only=True)
class Joint(Step):
    """Fit networks and guide together on the objective.

    The epoch with the best log marginal of the noisy held-out rows is kept.

    Args:
        epochs: at most so many.
        budget: more epochs than those where steps before left something over: until the run has
            cost so many epochs of all training rows in all. None for no more.
        lr: step size of AdamW for the networks.
        weight_decay: of the networks; the guide and single numbers have none.
        guide_lr: step size for the guide's locations and for single numbers of the story, such as
            scales and shifts; 0 leaves them as they are.
        spread_lr: step size for the guide's standard deviations; 0 leaves them as they are.
        patience: stop after so many epochs without improvement.
        one_cycle: let step sizes rise to these and fall to nothing (Smith & Topin 2018), for runs
            of few epochs, or where the spread of the posterior matters.
        num_draws: of the global latents for each step; more for posteriors that are exact enough
            to be compared with `nuts`.
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
    """Fit the guide's standard deviations alone, around fixed networks and locations.

    For stories whose joint fit keeps them narrow (`Joint(spread_lr=0)`): wide draws of a sparse
    flip matrix would blur what the network learns from. Where rates and T come from predictions
    out of fold (`CrossFit`), so does their spread, unless there is a deviation g(x); an
    `AutoNormal` then gives each rate its marginal width, from the observed information, where its
    own would be the width given all other rates and flips.

    Args:
        epochs: how many of up to 20 steps; where an epoch has more, fewer for as many steps.
        lr: step size.
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
        with evaluating(run.story):  # neither dropout nor batch statistics move
            run.train("spread", module, epochs=epochs, select=False)
        if evidence is not None and label is not None and type(guide) is AutoNormal:
            spread = evidence.rate_spread(label.prior or FlipPrior(), guide_median(guide))
            guide.scales.rate = spread.to(guide.scales.rate)


@dataclass(frozen=True, kw_only=True)
class Restarts(Step):
    """Make several short attempts from the same start and continue from the best.

    Best is by the log marginal of the noisy held-out rows (or of all rows). That can tell a good
    local optimum of the network from a bad one; it cannot tell a mutual pair of classes from the
    same pair with exchanged names, which have the same likelihood. An attempt that ends with most
    rows contaminated loses to any that does not: fewer are supposed wrong than right, unless
    it judges the switches of verified rows right.

    Args:
        attempts: the steps of each attempt; the same ones several times, or different ones.
        all_rows: judge by all rows. For attempts too short to memorise, where the held-out rows
            are too few to tell them apart.
    """

    attempts: Sequence[Sequence[Step]]
    all_rows: bool = False

    def __call__(self, run: Run) -> None:
        before = _state(run)
        everything = np.arange(len(run.rows))
        judges = everything if self.all_rows or not len(run.held_out_index) else run.held_out_index
        outcomes = []
        for steps in self.attempts:
            _restore(run, before)
            for step in steps:
                step(run)
            exchanged = run.exchanged()
            loss = run.judge(judges)[0]
            outcomes.append(((exchanged, math.inf if math.isnan(loss) else loss), _state(run)))
        _, best = min(outcomes, key=lambda outcome: outcome[0])
        _restore(run, best)


def _state(run: Run) -> tuple[nn.Module, dict[str, Any], dict[str, Any]]:
    guide = run.guide_or_new()
    return guide, *copy.deepcopy((run.story.state_dict(), guide.state_dict()))


def _restore(run: Run, state: tuple[nn.Module, dict[str, Any], dict[str, Any]]) -> None:
    run.guide, of_story, of_guide = state
    run.story.load_state_dict(of_story)
    run.guide.load_state_dict(of_guide)


def _objective(run: Run, guide: nn.Module, num_draws: int = 1) -> Objective:
    if not run.closed:
        return EnumeratedObjective(run.story, guide, num_draws=num_draws)
    objective = ClosedObjective(run.story, guide, num_draws=num_draws)
    with torch.no_grad(), evaluating(run.story):
        x, y, _, verified = run.rows.first(8)
        check_closed_form(run.story, x, y, guide_median(guide), verified=verified)
    return objective


@contextmanager
def _frozen(parameters: Iterable[nn.Parameter]) -> Iterator[None]:
    parameters = list(parameters)
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)


def reinitialise(module: nn.Module) -> None:
    """Call `reset_parameters` of every submodule that has one; other parameters stay."""
    for part in module.modules():
        reset = getattr(part, "reset_parameters", None)
        if callable(reset):
            reset()
