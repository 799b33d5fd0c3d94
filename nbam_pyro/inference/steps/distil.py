"""`Distil`: networks that learn the posterior of the true label, and no label by heart."""

from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor

from nbam_pyro.errors import StoryError
from nbam_pyro.inference.steps.basic import Step
from nbam_pyro.inference.steps.copies import class_probs, copies, log_of, no_probs
from nbam_pyro.inference.steps.evidence import Evidence
from nbam_pyro.inference.steps.recount import adopt
from nbam_pyro.inference.steps.run import Run
from nbam_pyro.inference.variational.objectives import weighted_mean
from nbam_pyro.models import LatentLabelStory
from nbam_pyro.models.priors.pseudo_counts import FlipPrior
from nbam_pyro.outputs.transition import Transition
from nbam_pyro.training.lightning import Task
from nbam_pyro.training.rows import Batch


@dataclass(frozen=True, kw_only=True)
class Distil(Step):
    r"""Train networks on the posterior of the true label instead of on observed labels.

    A network that sees few rows many times learns wrong labels by heart, and a rate that it has a
    say in comes out too low. Here no network that a row is judged by has seen the row's label:

    1. From the evidence of `CrossFit`, with its sharpness, rates and T fitted to the labels
       (`Evidence.calibrated`), follows :math:`q_i = p(c | x_i, y_i)`.
    2. Fresh copies of the story learn q on the other folds, by cross-entropy, and what they say of
       their own fold is the new evidence, with sharpness, rates and T as before.
    3. The story's network learns the new q on all training rows.

    This is one iteration of EM whose expectations are taken out of fold.

    Args:
        folds: at least 2.
        fold_epochs: of each copy.
        epochs: of the story's network.
        lr: largest step size of AdamW, which rises to it and falls to nothing.
        weight_decay: of AdamW.

    Raises:
        StoryError: the story is no `LabelFlip`, or no `CrossFit` came before.

    Source: learning what other networks say is Hinton et al. (2015); from folds that did not see
    the label, Dao et al. (2021).
    """

    folds: int = 3
    fold_epochs: int = 50
    epochs: int = 70
    lr: float = 2e-3
    weight_decay: float = 1e-2

    def __call__(self, run: Run) -> None:
        story = run.latent_label("Distil")
        if run.cross_fitted is None:
            raise StoryError("Distil needs the evidence of CrossFit: put that step before it.")
        prior, class_prior = story.prior or FlipPrior(), run.cross_fitted.class_prior
        evidence, transition = run.cross_fitted.calibrated(
            prior, run.start, class_prior=class_prior
        )
        log_probs = self._out_of_fold(run, story, _posterior(run, evidence, transition))
        evidence, transition = replace(evidence, log_probs=log_probs).calibrated(
            prior, evidence.latents(transition), class_prior=class_prior
        )
        targets = _posterior(run, evidence, transition)
        self._train(run, story, targets, run.training_index, step="distil", epochs=self.epochs)
        adopt(run, story, evidence, transition)

    def _out_of_fold(self, run: Run, story: LatentLabelStory, targets: Tensor) -> Tensor:
        """Log probabilities of classes by copies that learn other rows, one row per label."""
        probs = no_probs(run)
        folds = min(self.folds, len(run.training_index))
        for one in copies(run, story, folds):
            self._train(
                run,
                one.story,
                targets,
                one.others,
                step="distil out of fold",
                epochs=self.fold_epochs,
            )
            probs[one.own] = class_probs(run, one.story, one.own)
            probs[run.held_out_index] += class_probs(run, one.story, run.held_out_index) / folds
        return log_of(probs).flatten(end_dim=-2)

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
        module = Task([story], loss=loss, groups=groups, one_cycle=True)
        soft.train(step, module, epochs=epochs, index=index, select=False)
        run.device, run.spent = soft.device, soft.spent


def _posterior(run: Run, evidence: Evidence, transition: Transition) -> Tensor:
    """p(true label | x, y) of every row, (N, *dims, K)."""
    posterior = evidence.posterior(evidence.latents(transition))
    return posterior.view(*run.rows.y.shape, -1)
