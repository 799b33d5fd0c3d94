"""`CrossFit`: rates and flips of a latent true label from networks that did not see the labels."""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from nbam_pyro import functional as nf
from nbam_pyro.errors import StoryError
from nbam_pyro.inference.steps.attempts import Attempt
from nbam_pyro.inference.steps.basic import Step, WarmUp
from nbam_pyro.inference.steps.copies import Copy, class_probs, copies, log_of, no_probs
from nbam_pyro.inference.steps.evidence import Evidence
from nbam_pyro.inference.steps.run import Run
from nbam_pyro.inference.steps.starts import Anchors, Start, Vertices
from nbam_pyro.inference.variational.enumeration import log_joint
from nbam_pyro.inference.variational.guides import Draw
from nbam_pyro.inference.variational.objectives import weighted_mean
from nbam_pyro.models import LatentLabelStory
from nbam_pyro.models.priors.class_frequency import check_class_prior
from nbam_pyro.models.priors.pseudo_counts import FlipPrior
from nbam_pyro.outputs.anchors import anchor_start
from nbam_pyro.training.lightning import Task
from nbam_pyro.training.rows import Batch

# A later start must raise the log marginal by so many standard errors of the difference.
_CLEARLY = 2.0
# Starts of which no entry of M differs by more are tried once.
_NEAR = 0.02


@dataclass(frozen=True, kw_only=True)
class CrossFit(Step):
    r"""Estimate rates and T of a `LabelFlip` from rows that are predicted out of fold.

    In-sample a network agrees with labels it has memorised, so rates come out too low. Here each
    training row is predicted by a copy of the story that did not see it:

    1. The copies are warmed up on the other folds as if nothing were contaminated; their
       predictions of the observed label, averaged over the later epochs, are evidence for
       `starts`. The copies go back to where they were before the first of those epochs.
    2. From each start the copies are fitted to the log marginal with rates and T fixed; then
       rates and T move towards their mode given the predictions out of fold, by EM
       (`nbam_pyro.outputs.estimate_transition`). Every start sees the same random numbers; one
       that is nearly where an earlier one is, is left out. One is preferred to those before it
       where the log marginal of the rows out of fold, and `information` times the information of
       the predictions about classes, are higher by more than two standard errors. One that is
       not ahead on the rows of the first fold is given up there.
    3. The best is continued for some rounds of the same.

    Step sizes rise and fall within each fit: what is predicted after a large step is noisier than
    the differences between starts.

    A copy that has long been warmed up predicts observed labels, not true ones, and EM then moves
    rates towards no contamination; hence the way back in 1, and no fewer epochs in 2 than it takes
    to unlearn.

    The estimate and the last predictions stay in the run, as the start of the guide and as
    `Run.cross_fitted`, and the story goes on from the weights of the first copy.

    Args:
        folds: at least 2.
        warm_up: how each copy is warmed up.
        skip: epochs of the warm-up before those averaged.
        starts: where rates and T may start, the most usual one first.
        epochs: of each fit between two estimates.
        rounds: how often the best start is continued.
        information: what a nat of the information of x about the true label, H(mean f) - mean H(f),
            is worth to a start, in nats of the log marginal: a prior that true labels are sharp
            given x. An uncertain predictor without flips and a sure one with them can make the
            labels equally probable. The entropy of f alone would reward merging two classes.
        lr: step size of AdamW.
        weight_decay: of AdamW.
        prior: of the start; None for the story's own, or Beta(1, 9) where the story leaves it
            open: a mutual pair that starts near one half carries no information, and the network
            may merge the two classes.
        class_prior: pseudo-count of each class of a Dirichlet prior on class frequencies, for those
            who know that classes are about equally frequent; the evidence is then shifted to the
            frequencies found (`estimate_transition`). None for no prior.

    Raises:
        DataError: `class_prior` is not positive.
        StoryError: the story is no `LabelFlip`.

    Source: cross-fitting is Chernozhukov et al. (2018), DML1; the noise-transition matrix from
    anchors Patrini et al. (2017); information as a prior on predictors Krause et al. (2010).
    """

    folds: int = 3
    warm_up: WarmUp = field(default_factory=lambda: WarmUp(epochs=20, one_cycle=True))
    skip: int = 5
    starts: Sequence[Start] = (Anchors(), Vertices(), Vertices(restarts=20))
    epochs: int = 16
    rounds: int = 1
    information: float = 0.1
    lr: float = 2e-3
    weight_decay: float = 1e-2
    prior: FlipPrior | None = None
    class_prior: float | None = None

    def __post_init__(self) -> None:
        check_class_prior(self.class_prior)

    def __call__(self, run: Run) -> None:
        story = run.latent_label("CrossFit")
        folds = list(copies(run, story, self.folds))
        warm = self._warm_up(run, folds)
        early, random = _states(folds), torch.get_rng_state()
        best, states = None, early
        for start, latents in self._begin(run, story, warm):
            torch.set_rng_state(random)
            _restore(folds, early)
            attempt = self._contest(run, folds, start, latents, best)
            if attempt is None:
                continue
            run.attempts.append(attempt)
            if best is None or attempt.gain(best, information=self.information) > _CLEARLY:
                best, states = attempt, _states(folds)
                run.undecided.clear()  # which was undecided against another
        if best is None:
            raise StoryError("CrossFit has no starts: give it at least one.")
        _restore(folds, states)
        for _ in range(self.rounds):
            best = self._round(run, folds, best)
        story.load_state_dict(folds[0].story.state_dict())
        run.cross_fitted = best.evidence
        run.start = best.latents
        run.guide = None

    def _begin(
        self, run: Run, story: LatentLabelStory, warm: Evidence
    ) -> Iterator[tuple[Start, Draw]]:
        """Rates and T of every start that is not nearly where an earlier one is."""
        prior = self.prior or story.prior or FlipPrior(rate=(1, 9))
        matrices: list[Tensor] = []
        for start in self.starts:
            rate, flip = anchor_start(start.counts(warm, seed=run.seed), prior)
            matrix = nf.transition_matrix(rate, nf.zero_diagonal(flip))
            if all((matrix - other).abs().max() > _NEAR for other in matrices):
                matrices.append(matrix)
                yield start, {"rate": rate, "flip": flip}

    def _warm_up(self, run: Run, folds: list[Copy]) -> Evidence:
        probs = no_probs(run)
        for fold in folds:
            average = _EpochAverage(run, fold, self.skip)
            run.train(
                "warm-up out of fold",
                self.warm_up.task(fold.story, speed=run.speed),
                epochs=self.warm_up.epochs,
                index=fold.others,
                select=False,
                callbacks=[average],
            )
            probs[fold.own] = average.value
            fold.story.load_state_dict(average.early)
        return Evidence.of(log_of(probs[run.training_index]), run.rows, run.training_index)

    def _contest(
        self, run: Run, folds: list[Copy], start: Start, latents: Draw, rival: Attempt | None
    ) -> Attempt | None:
        """A round from a start; None where it is not ahead of its rival on the first fold."""
        first = self._fit(run, folds[0], latents, len(folds))
        if rival is not None:
            own = folds[0].own
            log_probs = rival.evidence.log_probs.view_as(first)[own]
            other = self._attempt(run, rival.start, rival.latents, log_probs, own)
            one = self._attempt(run, start, latents, log_of(first[own]), own)
            gain = one.gain(other, information=self.information)
            if gain <= 0:
                if gain > -_CLEARLY:
                    run.undecided.append(one.transition.matrix)
                return None
        probs = sum((self._fit(run, fold, latents, len(folds)) for fold in folds[1:]), start=first)
        return self._attempt(run, start, latents, log_of(probs), np.arange(len(run.rows)))

    def _round(self, run: Run, folds: list[Copy], best: Attempt) -> Attempt:
        """Fit the copies with the rates and T of an attempt fixed, then estimate these again."""
        fitted = (self._fit(run, fold, best.latents, len(folds)) for fold in folds)
        log_probs = log_of(sum(fitted, start=torch.zeros(())))
        return self._attempt(run, best.start, best.latents, log_probs, np.arange(len(run.rows)))

    def _fit(self, run: Run, fold: Copy, latents: Draw, folds: int) -> Tensor:
        """Fit one copy; its share of the predictions of all rows, (N, *dims, K), 0 where none."""
        run.train(
            "joint out of fold",
            self._joint(fold.story, latents, run.speed * self.lr),
            epochs=self.epochs,
            index=fold.others,
            select=False,
        )
        probs = no_probs(run)
        probs[fold.own] = class_probs(run, fold.story, fold.own)
        probs[run.held_out_index] = class_probs(run, fold.story, run.held_out_index) / folds
        return probs

    def _attempt(
        self, run: Run, start: Start, latents: Draw, log_probs: Tensor, index: np.ndarray
    ) -> Attempt:
        """Rates and T from predictions of some rows, and the evidence at their frequencies."""
        evidence = Evidence.of(log_probs, run.rows, index)
        prior = run.latent_label("CrossFit").prior or FlipPrior()
        moved = evidence.moved(prior, latents, class_prior=self.class_prior)
        return Attempt(start, evidence.shifted(moved, self.class_prior), moved)

    def _joint(self, story: LatentLabelStory, latents: Draw, lr: float) -> Task:
        means = story.prior_means() | latents

        def loss(batch: Batch) -> Tensor:
            here = {name: value.to(batch.x.device) for name, value in means.items()}
            pair = log_joint(story, batch.x, batch.y, here, verified=batch.verified)
            return -weighted_mean(nf.log_marginal(*pair), batch.weights)

        parameters = list(story.parameters())
        groups = [{"params": parameters, "lr": lr, "weight_decay": self.weight_decay}]
        return Task([story], loss=loss, groups=groups, one_cycle=True)


class _EpochAverage(Callback):
    """Predictions of a fold's own rows, averaged over later epochs, and its copy before those."""

    def __init__(self, run: Run, fold: Copy, skip: int) -> None:
        self.run, self.fold, self.skip = run, fold, skip
        self.early = copy.deepcopy(fold.story.state_dict())
        self.total = torch.zeros(())
        self.count = 0

    @property
    def value(self) -> Tensor:
        return self.total / self.count

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        epochs = trainer.max_epochs or 1
        if trainer.current_epoch + 1 == min(self.skip, epochs):
            self.early = copy.deepcopy(self.fold.story.state_dict())
        if trainer.current_epoch < min(self.skip, epochs - 1):
            return
        self.run.device = pl_module.device
        self.total = self.total + class_probs(self.run, self.fold.story, self.fold.own)
        self.count += 1


def _states(folds: list[Copy]) -> list[dict[str, Any]]:
    return [copy.deepcopy(fold.story.state_dict()) for fold in folds]


def _restore(folds: list[Copy], states: list[dict[str, Any]]) -> None:
    for fold, state in zip(folds, states, strict=True):
        fold.story.load_state_dict(state)
