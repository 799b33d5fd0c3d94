"""The steps a fit is composed of: warm-up, anchors, re-initialisation, restarts, joint fit.

Each step is a small value that acts on a `Run`; `fit(..., steps=[...])` takes any sequence of
them, and a callable of your own that takes a `Run` is a step too.
"""

import copy
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from sklearn.model_selection import KFold, StratifiedKFold
from torch import Tensor, nn

from nbam_pyro.anchors import anchor_counts, anchor_start
from nbam_pyro.errors import StoryError
from nbam_pyro.inference.enumeration import check_closed_form
from nbam_pyro.inference.guides import evaluating, guide_median, spreads_and_locations
from nbam_pyro.inference.objectives import (
    ClosedObjective,
    EnumeratedObjective,
    Objective,
    weighted_mean,
)
from nbam_pyro.inference.rows import Batch
from nbam_pyro.inference.run import Run
from nbam_pyro.inference.training import Training
from nbam_pyro.models import ClosedStory, LabelFlip, Story
from nbam_pyro.priors import FlipPrior


class Step(ABC):
    """Something a fit does to its `Run`."""

    @abstractmethod
    def __call__(self, run: Run) -> None:
        """Do it."""


@dataclass(frozen=True, kw_only=True)
class WarmUp(Step):
    """Train the clean predictor as if no row were contaminated.

    The epoch that is best on the noisy held-out rows is kept.

    Args:
        epochs: how many.
        lr: step size of AdamW.
        weight_decay: of AdamW.

    Raises:
        StoryError: the story has no network, or no closed form and so no declared predictor.
    """

    epochs: int = 5
    lr: float = 2e-3
    weight_decay: float = 1e-2

    def __call__(self, run: Run) -> None:
        run.train("warm-up", self.training(run.story), epochs=self.epochs)

    def training(self, story: Story) -> Training:
        """What to train: the clean predictor by its log likelihood, cross-entropy for labels."""

        def loss(batch: Batch) -> Tensor:
            x, y, weights = batch
            return -weighted_mean(_clean_predictor(story, x).log_prob(y), weights)

        parameters = list(story.parameters())
        if not parameters:
            raise StoryError(f"WarmUp needs networks to train; {type(story).__name__} has none.")
        groups = [{"params": parameters, "lr": self.lr, "weight_decay": self.weight_decay}]
        return Training([story], loss=loss, groups=groups)


@dataclass(frozen=True, kw_only=True)
class Anchors(Step):
    """Start rates and T of a `LabelFlip` from the labels counted on its most certain rows.

    Which rows are certain is judged out of fold: copies of the story are warmed up on the other
    folds, and their predictions are averaged over epochs. Memorised labels cannot enter.

    Rates start at their posterior mean under the story's prior or, where that was left open, a
    sceptical one: the joint fit mends a start that is too low, but a mutual pair that starts near
    one half carries no information, and the network may merge the two classes.

    Args:
        folds: at least 2.
        warm_up: how each copy is trained.
        skip: epochs of the warm-up that are left out of the average.
        confident: share of the rows predicted to be of a class that serve as its anchors.
        prior: of the start; None for the story's own, or Beta(1, 9) where the story leaves it open.

    Raises:
        StoryError: the story is no `LabelFlip`.
    """

    folds: int = 5
    warm_up: WarmUp = field(default_factory=lambda: WarmUp(epochs=20))
    skip: int = 5
    confident: float = 0.7
    prior: FlipPrior | None = None

    def __call__(self, run: Run) -> None:
        if not isinstance(run.story, LabelFlip):
            raise StoryError("Anchors need a LabelFlip story: others have no flip matrix.")
        labels = run.rows.y[torch.as_tensor(run.training)]
        evidence = torch.zeros(*labels.shape, run.story.num_classes)
        for fit_on, predict in self._split(labels.numpy(), run.seed):
            story = copy.deepcopy(run.story)
            reinitialise(story)
            average = _EpochAverage(run, story, run.training[predict], self.skip)
            run.train(
                "anchors",
                self.warm_up.training(story),
                epochs=self.warm_up.epochs,
                index=run.training[fit_on],
                select=False,
                callbacks=[average],
            )
            evidence[torch.as_tensor(predict)] = average.value
        counts = anchor_counts(
            evidence.flatten(end_dim=-2).log(), labels.flatten(), confident=self.confident
        )
        prior = self.prior or run.story.prior or FlipPrior(rate=(1.0, 9.0))
        rate, flip = anchor_start(counts, prior)
        run.start = {"rate": rate, "flip": flip}
        run.guide = None

    def _split(self, labels: np.ndarray, seed: int) -> Iterable[tuple[np.ndarray, np.ndarray]]:
        enough = np.unique(labels, return_counts=True)[1].min() >= self.folds
        kind = StratifiedKFold if enough and labels.ndim == 1 else KFold
        return kind(self.folds, shuffle=True, random_state=seed).split(labels, labels)


class _EpochAverage(Callback):
    """Predicted probabilities of some rows, averaged over the epochs after the first few."""

    def __init__(self, run: Run, story: Story, index: np.ndarray, skip: int) -> None:
        self.run, self.story, self.index, self.skip = run, story, index, skip
        self.total = torch.zeros(())
        self.count = 0

    @property
    def value(self) -> Tensor:
        return self.total / self.count

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.current_epoch < min(self.skip, (trainer.max_epochs or 1) - 1):
            return
        with torch.no_grad(), evaluating(self.story):
            batches = self.run.rows.loader(self.index, 1024)
            parts = [_clean_predictor(self.story, x.to(pl_module.device)).probs for x, _, _ in batches]
        self.total = self.total + torch.cat(parts).cpu()
        self.count += 1


@dataclass(frozen=True, kw_only=True)
class Reinitialise(Step):
    """Give every layer of the story fresh random weights; rates and T keep their start."""

    def __call__(self, run: Run) -> None:
        reinitialise(run.story)


@dataclass(frozen=True, kw_only=True)
class Joint(Step):
    """Fit networks and guide together on the objective.

    The epoch with the best log marginal of the noisy held-out rows is kept.

    Args:
        epochs: at most so many.
        lr: step size of AdamW for the networks.
        weight_decay: of the networks; the guide has none.
        guide_lr: step size for the guide's locations.
        spread_lr: step size for the guide's standard deviations; 0 leaves them as they are.
        patience: stop after so many epochs without improvement.
    """

    epochs: int = 80
    lr: float = 2e-3
    weight_decay: float = 1e-2
    guide_lr: float = 2e-2
    spread_lr: float = 2e-2
    patience: int = 40

    def __call__(self, run: Run) -> None:
        guide = run.guide_or_new()
        objective = _objective(run, guide)
        num_data = len(run.training)
        module = Training(
            [run.story, guide],
            loss=lambda batch: objective(batch, num_data),
            held_out_loss=run.negative_log_marginal,
            groups=self._groups(run.story, guide),
        )
        spreads, _ = spreads_and_locations(guide)
        with _frozen([] if self.spread_lr else spreads):
            run.train("joint", module, epochs=self.epochs, patience=self.patience)

    def _groups(self, story: Story, guide: nn.Module) -> list[dict[str, Any]]:
        spreads, locations = spreads_and_locations(guide)
        groups = [
            {"params": list(story.parameters()), "lr": self.lr, "weight_decay": self.weight_decay},
            {"params": locations, "lr": self.guide_lr, "weight_decay": 0.0},
            {"params": spreads, "lr": self.spread_lr, "weight_decay": 0.0},
        ]
        return [group for group in groups if group["params"] and group["lr"]]


@dataclass(frozen=True, kw_only=True)
class Spread(Step):
    """Fit the guide's standard deviations alone, around fixed networks and locations.

    For stories whose joint fit keeps them narrow (`Joint(spread_lr=0)`): wide draws of a sparse
    flip matrix would blur what the network learns from.

    Args:
        epochs: how many.
        lr: step size.
    """

    epochs: int = 25
    lr: float = 5e-2

    def __call__(self, run: Run) -> None:
        guide = run.guide_or_new()
        objective = _objective(run, guide)
        num_data = len(run.training)
        spreads, _ = spreads_and_locations(guide)
        module = Training(
            [run.story, guide],
            loss=lambda batch: objective(batch, num_data),
            groups=[{"params": spreads, "lr": self.lr, "weight_decay": 0.0}],
        )
        with evaluating(run.story):  # neither dropout nor batch statistics move
            run.train("spread", module, epochs=self.epochs, select=False)


@dataclass(frozen=True, kw_only=True)
class Restarts(Step):
    """Run short steps several times from the same start and continue from the best.

    Best is by the log marginal of the noisy held-out rows. That can tell a good local optimum of
    the network from a bad one; it cannot tell a mutual pair of classes from the same pair with
    exchanged names, which have the same likelihood.

    Args:
        steps: what each attempt does.
        times: how many attempts.
    """

    steps: Sequence[Step]
    times: int = 3

    def __call__(self, run: Run) -> None:
        before = _state(run)
        attempts = []
        for _ in range(self.times):
            _restore(run, before)
            for step in self.steps:
                step(run)
            attempts.append((run.held_out_loss(), _state(run)))
        _, best = min(attempts, key=lambda attempt: attempt[0])
        _restore(run, best)


def _state(run: Run) -> tuple[nn.Module, dict[str, Any], dict[str, Any]]:
    guide = run.guide_or_new()
    return guide, *copy.deepcopy((run.story.state_dict(), guide.state_dict()))


def _restore(run: Run, state: tuple[nn.Module, dict[str, Any], dict[str, Any]]) -> None:
    run.guide, of_story, of_guide = state
    run.story.load_state_dict(of_story)
    run.guide.load_state_dict(of_guide)


def _objective(run: Run, guide: nn.Module) -> Objective:
    if not run.closed:
        return EnumeratedObjective(run.story, guide)
    objective = ClosedObjective(run.story, guide)
    with torch.no_grad(), evaluating(run.story):
        check_closed_form(run.story, *run.rows.first(8), guide_median(guide))
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


def default_steps(story: Story) -> list[Step]:
    """The recipe of `fit` for a story.

    For `LabelFlip`: anchors out of fold, three short restarts, a joint fit, and the
    spread of the posterior. Each restart begins with a few epochs of its own warm-up: from fresh
    weights a mutual pair at a high rate may be merged into one class. In the joint fit rates and T
    move slowly, because the evidence of rows that are trained on is biased towards no
    contamination. For any other story: a joint fit.
    """
    if not isinstance(story, LabelFlip):
        return [Joint()]
    short, long = (Joint(epochs=n, guide_lr=6e-4, spread_lr=0.0) for n in (10, 70))
    attempt = [Reinitialise(), WarmUp(), short]
    restarts = Restarts(steps=attempt, times=3)
    return [Anchors(), restarts, long, Spread()]


def reinitialise(module: nn.Module) -> None:
    """Call `reset_parameters` of every submodule that has one; other parameters stay."""
    for part in module.modules():
        reset = getattr(part, "reset_parameters", None)
        if callable(reset):
            reset()


def _clean_predictor(story: Story, x: Tensor) -> Any:
    if not isinstance(story, ClosedStory):
        raise StoryError(f"WarmUp needs a clean predictor; {type(story).__name__} declares none.")
    latents = {name: prior.mean for name, prior in story.priors().items()}
    return story.clean_predictor(x, latents)
