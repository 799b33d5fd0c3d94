"""`CrossFit`: estimate rates and flips from predictions by networks that did not see the labels."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from torch import Tensor

from nbam_pyro import functional as nf
from nbam_pyro.errors import StoryError
from nbam_pyro.inference.steps.attempts import Attempt
from nbam_pyro.inference.steps.copies import (
    Copy,
    EpochAverage,
    Predicted,
    copies,
    empty_probs,
    joined,
    safe_log,
)
from nbam_pyro.inference.steps.evidence import Evidence
from nbam_pyro.inference.steps.run import Run
from nbam_pyro.inference.steps.side_by_side import each
from nbam_pyro.inference.steps.starts import Anchors, Start, Vertices
from nbam_pyro.inference.steps.step import Step
from nbam_pyro.inference.steps.warm_up import WarmUp
from nbam_pyro.inference.variational.enumeration import log_joint
from nbam_pyro.inference.variational.guides import Draw
from nbam_pyro.inference.variational.objectives import weighted_mean
from nbam_pyro.models import LatentLabelStory
from nbam_pyro.models.priors.class_frequency import check_class_prior
from nbam_pyro.models.priors.pseudo_counts import FlipPrior
from nbam_pyro.outputs.anchors import anchor_start
from nbam_pyro.training.lightning import Task
from nbam_pyro.training.parallel import fresh_seeds
from nbam_pyro.training.rows import Batch

Fitted = tuple[Copy, Predicted]

# A later start is preferred if its gain is larger than this many standard errors.
_CLEARLY = 2.0
# Two starts are the same if no entry of M differs by more than this.
_NEAR = 0.02


@dataclass(frozen=True, kw_only=True)
class CrossFit(Step):
    r"""Estimate rates and flips of a `LabelFlip` from rows that are predicted out of fold.

    The rates are the contamination rates of the true classes, and the flips are the flip matrix T.
    A network agrees with labels that it has memorised, so rates that are estimated on its training
    rows are too low. Here each training row is predicted by a copy of the story that was trained on
    other rows (out of fold):

    1. Each copy is warmed up on the other folds as if no label were contaminated. Its predictions
       of the observed label, averaged over the later epochs, are the evidence for `starts`. Then
       the copy goes back to its state before the first averaged epoch.
    2. From each start, the copies are fitted to the log marginal with fixed rates and T. Then some
       iterations of EM move rates and T towards their mode given the predictions out of fold
       (`nbam_pyro.outputs.estimate_transition`). All starts use the same random numbers. A start
       that is almost equal to an earlier one is skipped. A start is preferred to the best earlier
       one if its score is larger by more than two standard errors. The score is the log marginal of
       the rows out of fold plus `information` times the information that the predictions have about
       the classes. A start whose score is not larger on the rows of the first fold is discarded
       after the first fold.
    3. The best start is continued for some more rounds of the same kind.

    Step sizes rise and then fall within each fit. After a large step, predictions would vary more
    than they differ between starts.

    After a long warm-up a copy predicts observed labels and not true labels, and EM then moves the
    rates towards no contamination. For this reason the copies are reset at the end of part 1, and
    part 2 needs enough epochs to unlearn the observed labels.

    The estimate becomes the start of the guide, and the last predictions become
    `Run.cross_fitted`. The story continues from the weights of the first copy.

    Args:
        folds: Number of folds, at least 2.
        warm_up: Warm-up of each copy.
        skip: Number of first warm-up epochs, whose predictions are not averaged.
        starts: Methods that compute starting values of rates and T, in the order in which they are
            tried.
        epochs: Number of epochs of each fit between two estimates.
        rounds: Number of further rounds (fit and estimate) of the best start.
        information: Factor of the information that x has about the true label, in the score of a
            start. The information is H(mean f) - mean H(f), where f are the predicted probabilities
            of the true label and H is the entropy, in nats. The factor is a prior that true labels
            are nearly certain given x: an uncertain predictor without flips and a certain predictor
            with flips can make the labels equally probable. The entropy of f alone would favour
            merging two classes.
        lr: Step size of AdamW.
        weight_decay: Weight decay of AdamW.
        prior: Prior on rates and T for the starts. None for the story's own prior, or for a Beta(1,
            9) prior on rates if the story has no prior. The reason for this choice: if a mutual
            pair (two classes that are mistaken for each other) starts near a rate of one half, its
            labels contain no information, and the network may merge the two classes.
        class_prior: Pseudo-count of each class in a Dirichlet prior on the frequencies of true
            labels. Give it only if you know that classes are about equally frequent. The evidence
            is then shifted to the estimated frequencies (`estimate_transition`). None for no prior.

    Raises:
        DataError: `class_prior` is not positive.
        StoryError: The story is not a `LabelFlip`, or `starts` is empty.

    Source: Cross-fitting is from Chernozhukov et al. (2018), DML1; the noise-transition matrix from
    anchors is from Patrini et al. (2017); information as a prior on predictors is from Krause et
    al. (2010).
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
        run.plain, folds = self._warm_up(run, copies(run, story, self.folds))
        starts = list(self._starting_values(run, story, run.plain))
        if not starts:
            raise StoryError("CrossFit has no starts. Give it at least one, such as Anchors().")
        best, folds = self._best(run, folds, starts)
        for _ in range(self.rounds):
            fitted = self._fit_each(run, [(fold, best.latents) for fold in folds])
            folds = [fold for fold, _ in fitted]
            best = self._attempt(run, best.start, best.latents, fitted)
        story.load_state_dict(folds[0].story.state_dict())
        run.cross_fitted = run.out_of_fold = best.evidence
        run.start = best.latents
        run.guide = None

    def _best(
        self, run: Run, folds: list[Copy], starts: list[tuple[Start, Draw]]
    ) -> tuple[Attempt, list[Copy]]:
        """Return the best attempt, and the copies that were fitted in it.

        Args:
            run: State of the fit.
            folds: Copies after their warm-up.
            starts: Starts with their values of rates and T.
        """
        seeds = fresh_seeds(len(folds))
        values = [latents for _, latents in starts]
        # Every start is fitted on the first fold, and the first start on all folds.
        begun = self._fit_each(
            run,
            [(folds[0], latents) for latents in values] + [(fold, values[0]) for fold in folds[1:]],
            seeds=seeds[:1] * len(starts) + seeds[1:],
        )
        firsts, others = begun[: len(starts)], begun[len(starts) :]
        best, fitted = self._attempt(run, *starts[0], [firsts[0], *others]), [firsts[0], *others]
        run.attempts.append(best)
        for (start, latents), first in zip(starts[1:], firsts[1:], strict=True):
            if not self._promising(run, start, latents, first, best):
                continue
            rest = [(fold, latents) for fold in folds[1:]]
            whole = [first, *self._fit_each(run, rest, seeds=seeds[1:])]
            attempt = self._attempt(run, start, latents, whole)
            run.attempts.append(attempt)
            if attempt.gain(best, information=self.information) > _CLEARLY:
                best, fitted = attempt, whole
                run.undecided.clear()  # they were compared with the attempt that was best before
        return best, [fold for fold, _ in fitted]

    def _starting_values(
        self, run: Run, story: LatentLabelStory, warm: Evidence
    ) -> Iterator[tuple[Start, Draw]]:
        """Yield rates and T of every start that is not almost equal to an earlier one."""
        prior = self.prior or story.prior or FlipPrior(rate=(1, 9))
        matrices: list[Tensor] = []
        for start in self.starts:
            rate, flip = anchor_start(start.counts(warm, seed=run.seed), prior)
            matrix = nf.transition_matrix(rate, nf.zero_diagonal(flip))
            if all((matrix - other).abs().max() > _NEAR for other in matrices):
                matrices.append(matrix)
                yield start, {"rate": rate, "flip": flip}

    def _warm_up(self, run: Run, folds: list[Copy]) -> tuple[Evidence, list[Copy]]:
        """Return averaged predictions of the training rows, and copies from before the average."""
        arguments = [(fold,) for fold in folds]
        warmed = each(run, self._warm_up_one, arguments, seeds=fresh_seeds(len(folds)))
        probs = empty_probs(run)
        for fold, average in warmed:
            probs[fold.predicted_index] = average
        log_probs = safe_log(probs[run.training_index])
        return Evidence.of(log_probs, run.rows, run.training_index), [fold for fold, _ in warmed]

    def _warm_up_one(self, run: Run, fold: Copy) -> tuple[Copy, Tensor]:
        """Warm up a copy with new weights, and return it with its averaged predictions."""
        fold = fold.fresh()
        average = EpochAverage(run, fold, self.skip)
        run.train(
            "warm-up out of fold",
            self.warm_up.task(fold.story, speed=run.speed),
            epochs=self.warm_up.epochs,
            index=fold.training_index,
            select=False,
            callbacks=[average],
        )
        fold.story.load_state_dict(average.early)
        return fold, average.value

    def _fit_each(
        self, run: Run, arguments: list[tuple[Copy, Draw]], *, seeds: list[int] | None = None
    ) -> list[Fitted]:
        """Fit copies to the log marginal, each with fixed rates and T."""
        seeds = fresh_seeds(len(arguments)) if seeds is None else seeds
        return each(run, self._fit, arguments, seeds=seeds)

    def _fit(self, run: Run, fold: Copy, latents: Draw) -> Fitted:
        """Fit one copy further, and return it with its predictions."""
        fold = fold.again()
        run.train(
            "joint out of fold",
            self._joint(fold.story, latents, run.speed * self.lr),
            epochs=self.epochs,
            index=fold.training_index,
            select=False,
        )
        return fold, Predicted.by(fold, run)

    def _promising(
        self, run: Run, start: Start, latents: Draw, first: Fitted, rival: Attempt
    ) -> bool:
        """Return whether the score of a start on the rows of the first fold is larger.

        Args:
            run: State of the fit.
            start: Start that is compared.
            latents: Contamination rates and rows of T at the start.
            first: First copy, fitted from this start.
            rival: Best attempt so far.
        """
        fold, predicted = first
        index = fold.predicted_index
        log_probs = rival.evidence.log_probs.view(*run.rows.y.shape, -1)[index]
        other = self._estimate(run, rival.start, rival.latents, log_probs, index)
        new = self._estimate(run, start, latents, safe_log(predicted.own), index)
        gain = new.gain(other, information=self.information)
        if -_CLEARLY < gain <= 0:
            run.undecided.append(new.transition.matrix)
        return gain > 0

    def _attempt(self, run: Run, start: Start, latents: Draw, fitted: list[Fitted]) -> Attempt:
        """Estimate rates and T from the predictions of all copies."""
        probs = joined(run, [fold for fold, _ in fitted], [predicted for _, predicted in fitted])
        return self._estimate(run, start, latents, safe_log(probs), np.arange(len(run.rows)))

    def _estimate(
        self, run: Run, start: Start, latents: Draw, log_probs: Tensor, index: np.ndarray
    ) -> Attempt:
        """Estimate rates and T from predictions; shift the evidence to the class frequencies."""
        evidence = Evidence.of(log_probs, run.rows, index)
        prior = run.latent_label("CrossFit").prior or FlipPrior()
        moved = evidence.updated_transition(prior, latents, class_prior=self.class_prior)
        return Attempt(start, evidence.shifted(moved, self.class_prior), moved)

    def _joint(self, story: LatentLabelStory, latents: Draw, lr: float) -> Task:
        """Return the task that trains a copy on the log marginal with fixed rates and T."""
        means = story.prior_means() | latents

        def loss(batch: Batch) -> Tensor:
            here = {name: value.to(batch.x.device) for name, value in means.items()}
            pair = log_joint(story, batch.x, batch.y, here, verified=batch.verified)
            return -weighted_mean(nf.log_marginal(*pair), batch.weights)

        parameters = list(story.parameters())
        groups = [{"params": parameters, "lr": lr, "weight_decay": self.weight_decay}]
        return Task([story], loss=loss, groups=groups, one_cycle=True)
