"""`Distil`: train networks on the posterior of the true label, to avoid memorised labels."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from nbam_pyro.errors import StoryError
from nbam_pyro.inference.steps.copies import Copy, Predicted, copies, joined, safe_log
from nbam_pyro.inference.steps.evidence import Evidence
from nbam_pyro.inference.steps.recount import set_evidence
from nbam_pyro.inference.steps.run import Run
from nbam_pyro.inference.steps.side_by_side import each
from nbam_pyro.inference.steps.step import Step
from nbam_pyro.inference.variational.guides import Draw
from nbam_pyro.inference.variational.objectives import weighted_mean
from nbam_pyro.models import LatentLabelStory
from nbam_pyro.models.priors.pseudo_counts import FlipPrior
from nbam_pyro.outputs.transition import Transition
from nbam_pyro.training.lightning import Task
from nbam_pyro.training.parallel import fresh_seeds
from nbam_pyro.training.rows import Batch


@dataclass(frozen=True, kw_only=True)
class Distil(Step):
    r"""Train networks on the posterior of the true label instead of on observed labels.

    A network that is trained on few rows for many epochs memorises wrong labels, and a rate that is
    estimated with its predictions is too low. In this step, the posterior of a row depends only on
    networks that were not trained on the label of that row:

    1. The evidence of `CrossFit` is calibrated: its sharpness, the rates and T are fitted to the
       labels (`Evidence.calibrated`). They give :math:`q_i = p(c | x_i, y_i)`, the posterior of the
       true label of each row.
    2. New copies of the story learn q on the other folds, by cross-entropy. Their predictions of
       the remaining fold are the new evidence, which is calibrated in the same way and gives a new
       q.
    3. The story's network learns the new q on all training rows.

    Part 2 is one iteration of EM whose expectations are computed out of fold; `rounds` repeats it.

    Args:
        folds: Number of folds, at least 2.
        rounds: Number of times that new copies learn the posterior. Each round has other folds.
        averaged: Number of last rounds whose predictions are averaged. Networks of other folds make
            other mistakes.
        calibrate: Whether the sharpness of the predictions is fitted to the labels. Networks that
            have learned from few rows are not certain enough. With many rows leave it out, because
            labels are as probable under few wrong labels and an uncertain network.
        fold_epochs: Number of epochs of each copy.
        epochs: Number of epochs of the story's network.
        compare: Whether the first round must predict observed labels better, out of fold, than
            `CrossFit` did, with the same rates and T. If it does not, the step changes nothing: a
            network that learns slowly would need more epochs.
        patience: Number of epochs without improvement on held-out rows after which a training
            stops, at its best epoch; the step size is then constant. None, or without held-out
            rows: the step size rises and then falls to 0, and no epoch is selected.
        lr: Largest step size of AdamW.
        weight_decay: Weight decay of AdamW.

    Raises:
        StoryError: The story is not a `LabelFlip`, or the recipe has no `CrossFit` step before this
            step.

    Source: Distillation (training a network on the predictions of other networks) is from Hinton et
    al. (2015). Distillation from folds that did not see the label is from Dao et al. (2021).
    """

    folds: int = 3
    rounds: int = 1
    averaged: int = 1
    calibrate: bool = True
    compare: bool = False
    fold_epochs: int = 50
    epochs: int = 70
    patience: int | None = None
    lr: float = 2e-3
    weight_decay: float = 1e-2

    def __call__(self, run: Run) -> None:
        story = run.latent_label("Distil")
        if run.cross_fitted is None:
            raise StoryError(
                "Distil needs the evidence of CrossFit. Put a CrossFit step before it."
            )
        random = torch.get_rng_state()
        evidence, transition = self._estimate(story, run.cross_fitted, run.start)
        probs = []
        for number in range(self.rounds):
            targets = _posterior(run, evidence, transition)
            latents = evidence.latents(transition)
            log_probs = self._out_of_fold(run, story, targets, seed=run.seed + number)
            evidence = replace(evidence, log_probs=log_probs)
            probs.append(log_probs.exp())
            if number == 0 and self.compare and not _better(run, evidence, latents):
                torch.set_rng_state(random)  # later steps then go on as without this one
                return
            if number == self.rounds - 1 and self.averaged > 1:
                mean = torch.stack(probs[-self.averaged :]).mean(0)
                evidence = replace(evidence, log_probs=safe_log(mean))
            evidence, transition = self._estimate(story, evidence, latents)
        run.out_of_fold = evidence
        targets = _posterior(run, evidence, transition)
        self._train(run, story, targets, run.training_index, step="distil", epochs=self.epochs)
        set_evidence(run, story, evidence, transition)

    def _estimate(
        self, story: LatentLabelStory, evidence: Evidence, latents: Draw
    ) -> tuple[Evidence, Transition]:
        """Return evidence with its sharpness and class frequencies, and an estimate of rates and T.

        Args:
            story: Story of the fit.
            evidence: Predictions out of fold.
            latents: Rates and T to start from.
        """
        prior, class_prior = story.prior or FlipPrior(), evidence.class_prior
        if self.calibrate:
            return evidence.calibrated(prior, latents, class_prior=class_prior)
        transition = evidence.updated_transition(prior, latents, class_prior=class_prior)
        return evidence.shifted(transition, class_prior), transition

    def _out_of_fold(
        self, run: Run, story: LatentLabelStory, targets: Tensor, *, seed: int
    ) -> Tensor:
        """Train copies on the other folds and return their log class probabilities, (labels, K).

        Args:
            run: State of the fit.
            story: Story to copy.
            targets: p(true label | x, y) of every row, (N, *dims, K).
            seed: Seed of the folds.
        """
        folds = copies(run, story, self.folds, seed=seed)
        arguments = [(fold, targets) for fold in folds]
        predicted = each(run, self._learn, arguments, seeds=fresh_seeds(len(folds)))
        return safe_log(joined(run, folds, predicted)).flatten(end_dim=-2)

    def _learn(self, run: Run, fold: Copy, targets: Tensor) -> Predicted:
        """Train a copy with new weights on soft labels, and return its predictions."""
        fold = fold.fresh()
        self._train(
            run,
            fold.story,
            targets,
            fold.training_index,
            step="distil out of fold",
            epochs=self.fold_epochs,
        )
        return Predicted.by(fold, run)

    def _train(
        self,
        run: Run,
        story: LatentLabelStory,
        targets: Tensor,
        index: np.ndarray,
        *,
        step: str,
        epochs: int,
    ) -> None:
        """Train the network of a story on soft labels, by cross-entropy.

        Args:
            run: State of the fit.
            story: Story whose network is trained.
            targets: p(true label | x, y) of every row, (N, *dims, K).
            index: Indices of the rows to train on.
            step: Name of the step in the history.
            epochs: Number of epochs.
        """

        def loss(batch: Batch) -> Tensor:
            log_probs = story.initial_predictor(batch.x).logits.log_softmax(-1)
            return -weighted_mean((batch.y * log_probs).sum(-1), batch.weights)

        groups = [
            {
                "params": list(story.parameters()),
                "lr": run.speed * self.lr,
                "weight_decay": self.weight_decay,
            }
        ]
        soft = replace(run, rows=run.rows.with_targets(targets))
        select = self.patience is not None and len(run.held_out_index) > 0
        module = Task([story], loss=loss, groups=groups, one_cycle=not select)
        soft.train(step, module, epochs=epochs, index=index, select=select, patience=self.patience)
        run.device, run.spent = soft.device, soft.spent


def _better(run: Run, evidence: Evidence, latents: Draw) -> bool:
    """Return whether new predictions make the training labels more probable than those before.

    Args:
        run: State of the fit.
        evidence: New predictions out of fold.
        latents: Rates and T, the same for both.
    """
    if run.out_of_fold is None:
        return True
    rows = torch.zeros(len(run.rows), dtype=torch.bool)
    rows[torch.as_tensor(run.training_index)] = True
    rows = rows.repeat_interleave(len(evidence.labels) // len(run.rows))
    new, old = (one[rows].log_marginals(latents) for one in (evidence, run.out_of_fold))
    return bool(((new - old) @ evidence.weights[rows]) > 0)


def _posterior(run: Run, evidence: Evidence, transition: Transition) -> Tensor:
    """Return p(true label | x, y) of every row, (N, *dims, K)."""
    posterior = evidence.posterior(evidence.latents(transition))
    return posterior.view(*run.rows.y.shape, -1)
