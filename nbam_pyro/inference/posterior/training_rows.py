"""Posteriors of the rows that a fit was made from."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from nbam_pyro.errors import StoryError
from nbam_pyro.inference.posterior.draws import Scored, draw_by_draw
from nbam_pyro.inference.posterior.label_posteriors import label_posteriors, rows_at_once
from nbam_pyro.inference.posterior.trust import ExplainedDraws, NetworkTrust
from nbam_pyro.inference.steps.evidence import Evidence
from nbam_pyro.inference.variational.enumeration import responsibility_and_prior
from nbam_pyro.inference.variational.guides import Draw, guide_draws
from nbam_pyro.models import LatentLabelStory, Story
from nbam_pyro.outputs.share import NETWORK_ERROR, Share, rate_of, share_of
from nbam_pyro.storage import Saved
from nbam_pyro.storage.tensors import saved_tensor
from nbam_pyro.training.rows import Rows

EvidenceKind = Literal["cross-fitted", "in-sample"]
# Draws of the global latents, without and with explanations of the labels.
_DRAWS, _READ_DRAWS = 100, 200
# Draws x classes x classes that are in memory at once.
_ENTRIES = 20_000_000


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainingRows:
    """Posteriors of the rows that a fit was made from, in the order of the data.

    A responsibility is the probability that the target of a row is contaminated, for example that a
    label is wrong. It depends on predictions of the true label. A network that was trained on a row
    may have memorised its label. In this case the network predicts the wrong label, and the row
    looks clean. Cross-fitting avoids this: the rows are divided into folds, and the labels of each
    fold are predicted by a copy of the network that was trained on the other folds. Such
    predictions are called out of fold.

    How far such predictions can be trusted is not known. With "cross-fitted" predictions, all
    attributes are averages over the sharpness of the predictions, and over the explanation that no
    label is wrong (see `NetworkTrust`). Where the data cannot tell, no responsibility is
    therefore near 1 only because the network contradicts the label.

    `evidence` states which predictions were used:

    * "cross-fitted": Predictions out of fold. With the step `Recount`, they are averaged with those
      of the fitted network: the geometric mean, with equal weights.
    * "in-sample": Predictions of the final network alone, which was trained on these rows, except
      for held-out ones. `responsibilities(fitted, x, y)` is then about the same.

    `responsibilities(fitted, x, y)` takes any rows and always uses the final network. For the
    training rows of a cross-fitted fit, therefore use the attribute `responsibility` of this class.

    Attributes:
        responsibility: P(z=1 | x, y), (N, *dims).
        true_label: Probabilities p(c | x, y) of each true class c, (N, *dims, K); None if the story
            has no latent true label.
        share: Share of these rows that is contaminated. Its mean is the mean responsibility. Its
            interval contains how far the predictions can be trusted, if they are "cross-fitted";
            otherwise it is conditional on the networks.
        population_rate: Probability that a new row is contaminated: the prior P(z=1 | x), averaged
            over the x of these rows. For labels it is the mean of sum_c p(c | x) rate_c. Its
            interval is that of the global latents, and of the sharpness as above.
        evidence: "cross-fitted" or "in-sample", as above.
    """

    responsibility: np.ndarray
    true_label: np.ndarray | None
    share: Share
    population_rate: Share
    evidence: EvidenceKind

    def occupancy(self) -> np.ndarray:
        """Return the expected share of rows that truly belong to each class, (K,).

        Raises:
            StoryError: The story has no latent true label.
        """
        if self.true_label is None:
            raise StoryError(
                "The story of this fit has no latent true label, so the shares of true classes are "
                "unknown. Fit a LabelFlip instead."
            )
        rows: np.ndarray = self.true_label.reshape(-1, self.true_label.shape[-1])
        return rows.mean(0)

    def tensors(self) -> dict[str, Tensor]:
        """Return the arrays as tensors, by the names that they have in saved files."""
        arrays = {"responsibility": self.responsibility, "true_label": self.true_label}
        return {
            f"training_rows.{name}": torch.as_tensor(values)
            for name, values in arrays.items()
            if values is not None
        }

    def to_json(self) -> dict[str, Any]:
        """Return the attributes that are not arrays as JSON values."""
        return {
            "share": vars(self.share),
            "population_rate": vars(self.population_rate),
            "evidence": self.evidence,
        }

    @classmethod
    def from_saved(cls, rest: "SavedRows", tensors: Mapping[str, Tensor]) -> "TrainingRows":
        """Restore training rows from the results of `to_json` and `tensors`.

        Args:
            rest: Result of `to_json`, read from a file.
            tensors: Saved tensors by name, those of `tensors` among them.

        Raises:
            FolderError: An array is missing.
        """
        true_label = tensors.get("training_rows.true_label")
        return cls(
            responsibility=saved_tensor(tensors, "training_rows.responsibility").numpy(),
            true_label=None if true_label is None else true_label.numpy(),
            share=rest.share,
            population_rate=rest.population_rate,
            evidence=rest.evidence,
        )


class SavedRows(Saved):
    """Schema of the JSON values of `TrainingRows.to_json`."""

    share: Share
    population_rate: Share
    evidence: EvidenceKind


def score_training_rows(
    story: Story,
    guide: nn.Module,
    rows: Rows,
    cross_fitted: Evidence | None,
    trust: NetworkTrust | None,
) -> TrainingRows:
    """Compute the posteriors of the rows of a fit.

    Args:
        story: Story with its fitted networks, in evaluation mode.
        guide: Variational posterior of the global latents.
        rows: Rows of the fit.
        cross_fitted: Log probabilities of the true labels by networks that have not seen the
            labels; None to use the networks of the story.
        trust: How far these networks can be trusted; None if `cross_fitted` is None.
    """
    labels = story.latent_label
    draws = guide_draws(guide, _number_of_draws(labels, trust))
    if labels is not None:
        read = None if trust is None else trust.draws(draws)
        each = _cross_fitted(labels, rows, cross_fitted, draws, read)
    else:
        each = _in_sample(story, rows, draws)
    batches = list(each)
    true_label = [one.true_label for one in batches if one.true_label is not None]
    drawn = np.concatenate([one.drawn for one in batches], 1)
    error = None if trust is None else NETWORK_ERROR
    known = rows.verified.known.numpy() if len(rows.verified) else None
    return TrainingRows(
        responsibility=torch.cat([one.responsibility for one in batches]).numpy(),
        true_label=torch.cat(true_label).numpy() if true_label else None,
        share=share_of(drawn, error=error, known=known),
        population_rate=rate_of(sum(one.prior for one in batches) / drawn.shape[1], error=error),
        evidence="in-sample" if cross_fitted is None else "cross-fitted",
    )


def _number_of_draws(story: LatentLabelStory | None, trust: NetworkTrust | None) -> int:
    """Return how many draws are averaged over; fewer if there are very many classes."""
    if story is None or trust is None:
        return _DRAWS
    return max(_DRAWS // 2, min(_READ_DRAWS, _ENTRIES // story.num_classes**2))


class _Posteriors(NamedTuple):
    """Posteriors of one batch of rows.

    Attributes:
        responsibility: Mean responsibility over the draws of the global latents, (n, *dims).
        true_label: Mean probabilities of the true classes, (n, *dims, K); None without them.
        drawn: Responsibilities at each draw, (S, n * ...).
        prior: Sum of P(z=1 | x) over the rows at each draw, (S,).
    """

    responsibility: Tensor
    true_label: Tensor | None
    drawn: np.ndarray
    prior: np.ndarray

    @classmethod
    def of(cls, r: Tensor, prior: Tensor, true_label: Tensor | None = None) -> "_Posteriors":
        """Summarise values at each draw, (S, n, *dims) and (S, n, *dims, K)."""
        return cls(
            r.mean(0),
            None if true_label is None else true_label.mean(0),
            r.flatten(1).numpy(),
            prior.flatten(1).double().sum(1).numpy(),
        )


def _in_sample(story: Story, rows: Rows, draws: Draw) -> Iterator[_Posteriors]:
    """Yield the posteriors of one batch after another, for a story without true labels."""

    def both(scored: Scored, latents: Draw) -> Tensor:
        x, y, verified = scored
        return torch.stack(responsibility_and_prior(story, x, y, latents, verified=verified))

    for x, y, _, verified in rows.loader(np.arange(len(rows)), 1024):
        pair = draw_by_draw(story, both, Scored(x, y, verified), draws)
        yield _Posteriors.of(*pair.expand(_DRAWS, *pair.shape[1:]).unbind(1))


def _cross_fitted(
    story: LatentLabelStory,
    rows: Rows,
    cross_fitted: Evidence | None,
    draws: Draw,
    read: ExplainedDraws | None,
) -> Iterator[_Posteriors]:
    """Yield the posteriors of one batch after another, for a story with true labels."""
    start = 0
    for x, y, _, verified in rows.loader(
        np.arange(len(rows)), rows_at_once(story, rows.y, _READ_DRAWS)
    ):
        stop = start + y.numel()
        out_of_fold = None if cross_fitted is None else cross_fitted.log_probs[start:stop]
        start = stop
        scored = Scored(x, y, verified)
        found = label_posteriors(story, scored, draws, read, out_of_fold=out_of_fold)
        yield _Posteriors.of(found.responsibility, found.prior, found.true_label)
