"""What a fit says about the rows it was fitted to."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from nbam_pyro import functional as nf
from nbam_pyro.errors import StoryError
from nbam_pyro.inference.posterior.draws import Scored, draw_by_draw
from nbam_pyro.inference.posterior.share import Share, share_of
from nbam_pyro.inference.steps.evidence import Evidence
from nbam_pyro.inference.variational.enumeration import log_joint
from nbam_pyro.inference.variational.guides import Draw, guide_draws
from nbam_pyro.models import LatentLabelStory, Story
from nbam_pyro.storage import Saved
from nbam_pyro.storage.tensors import saved_tensor
from nbam_pyro.training.rows import Batch, Rows

Evidential = Literal["cross-fitted", "in-sample"]
_DRAWS = 100
# Draws x rows x classes that are held in memory at once.
_ENTRIES = 20_000_000


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainingRows:
    """Posteriors of the rows that a fit was fitted to, in their order.

    Attributes:
        responsibility: P(z=1 | x, y), (N, *dims).
        true_label: p(c | x, y), (N, *dims, K), where the story has a latent true label.
        share: of the rows that is contaminated, with an interval conditional on the networks.
        evidence: "cross-fitted" where predictions by networks that did not see the row's label
            enter, with `Recount` with the same weight as those of the fitted network; "in-sample"
            where the fitted network, which has seen it, stands alone.
    """

    responsibility: np.ndarray
    true_label: np.ndarray | None
    share: Share
    evidence: Evidential

    def occupancy(self) -> np.ndarray:
        """Expected share of the rows that truly are of each class, (K,).

        Raises:
            StoryError: the story has no latent true label.
        """
        if self.true_label is None:
            raise StoryError("The story has no latent true label; fit a LabelFlip for that.")
        rows: np.ndarray = self.true_label.reshape(-1, self.true_label.shape[-1])
        return rows.mean(0)

    def tensors(self) -> dict[str, Tensor]:
        """The arrays, by the names they are saved under."""
        arrays = {"responsibility": self.responsibility, "true_label": self.true_label}
        return {
            f"training_rows.{name}": torch.as_tensor(values)
            for name, values in arrays.items()
            if values is not None
        }

    def to_json(self) -> dict[str, Any]:
        """The rest, as JSON."""
        return {"share": vars(self.share), "evidence": self.evidence}

    @classmethod
    def from_saved(cls, rest: "SavedRows", tensors: Mapping[str, Tensor]) -> "TrainingRows":
        """From what `tensors` and `to_json` gave.

        Raises:
            FolderError: An array is missing.
        """
        true_label = tensors.get("training_rows.true_label")
        return cls(
            responsibility=saved_tensor(tensors, "training_rows.responsibility").numpy(),
            true_label=None if true_label is None else true_label.numpy(),
            share=rest.share,
            evidence=rest.evidence,
        )


class SavedRows(Saved):
    """What `TrainingRows.to_json` gives."""

    share: Share
    evidence: Evidential


def score_training_rows(
    story: Story, guide: nn.Module, rows: Rows, cross_fitted: Evidence | None
) -> TrainingRows:
    """Score the rows of a fit.

    Args:
        story: with its fitted networks, in evaluation mode.
        guide: the posterior of its global latents.
        rows: what it was fitted to.
        cross_fitted: log probabilities of their true labels out of fold; None for none.
    """
    draws = guide_draws(guide, _DRAWS)
    labels = story.latent_label
    if labels is not None:
        each = _of_labels(labels, rows, cross_fitted, draws)
    else:
        each = _in_sample(story, rows, draws)
    responsibility, true_label, drawn = [], [], []
    for r, posterior in each:
        responsibility.append(r.mean(0))
        drawn.append(r.flatten(1).numpy())
        if posterior is not None:
            true_label.append(posterior.mean(0))
    return TrainingRows(
        responsibility=torch.cat(responsibility).numpy(),
        true_label=torch.cat(true_label).numpy() if true_label else None,
        share=share_of(np.concatenate(drawn, 1)),
        evidence="in-sample" if cross_fitted is None else "cross-fitted",
    )


Scores = Iterator[tuple[Tensor, Tensor | None]]


def _in_sample(story: Story, rows: Rows, draws: Draw) -> Scores:
    """Responsibilities by draw, (S, n, *dims), of a few rows at a time."""

    def of(scored: Scored, latents: Draw) -> Tensor:
        return nf.responsibility(
            *log_joint(story, scored.x, scored.y, latents, verified=scored.verified)
        )

    for x, y, _, verified in rows.loader(np.arange(len(rows)), 1024):
        r = draw_by_draw(story, of, Scored(x, y, verified), draws)
        yield r.expand(_DRAWS, *r.shape[1:]), None


def _of_labels(
    story: LatentLabelStory, rows: Rows, cross_fitted: Evidence | None, draws: Draw
) -> Scores:
    """Responsibilities (S, n, *dims) and true labels (S, n, *dims, K) of a few rows at a time."""
    size = max(1, min(1024, _ENTRIES // (_DRAWS * rows.y[0].numel() * story.num_classes)))
    start = 0
    with torch.no_grad():
        for batch in rows.loader(np.arange(len(rows)), size):
            stop = start + batch.y.numel()
            apart = None if cross_fitted is None else cross_fitted.log_probs[start:stop]
            start = stop
            posterior = _true_labels(story, batch, apart, draws)
            own = batch.y.expand(_DRAWS, *batch.y.shape)[..., None]
            # The sum of the others: 1 - p(c = y) would round small responsibilities to 0.
            yield posterior.scatter(-1, own, 0.0).sum(-1), posterior


def _true_labels(
    story: LatentLabelStory, batch: Batch, apart: Tensor | None, draws: Draw
) -> Tensor:
    log_f, g = apart, None
    if log_f is None or story.deviates:
        medians = {name: value.median(0).values for name, value in draws.items()}
        in_sample, g = story.log_predictor(batch.x, medians)
        log_f = in_sample.flatten(end_dim=-2) if apart is None else apart.to(in_sample)
    labels = batch.y.flatten()
    known = batch.verified.flatten().codes

    def of(latents: Draw) -> Tensor:
        alpha, log_flip = story.rates_and_flips(latents)
        return nf.label_flip_log_posterior(log_f, labels, alpha, log_flip, g, **known).exp()

    return torch.vmap(of)(draws).reshape(-1, *batch.y.shape, story.num_classes)
