"""Posteriors of the rows that a fit was made from."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from nbam_pyro.errors import StoryError
from nbam_pyro.inference.posterior.by_label import Drawn
from nbam_pyro.inference.posterior.draws import Scored, draw_by_draw
from nbam_pyro.inference.posterior.label_posteriors import label_posteriors, rows_at_once
from nbam_pyro.inference.posterior.trust import ExplainedDraws, NetworkTrust
from nbam_pyro.inference.steps.evidence import Evidence
from nbam_pyro.inference.variational.enumeration import responsibility_and_prior
from nbam_pyro.inference.variational.guides import Draw, guide_draws
from nbam_pyro.models import LatentLabelStory, Story
from nbam_pyro.outputs.share import NETWORK_ERROR, Share, ShareDraws, rate_of
from nbam_pyro.storage import Saved
from nbam_pyro.storage.tensors import saved_tensor
from nbam_pyro.training.rows import Rows
from nbam_pyro.verified import Verified

EvidenceKind = Literal["cross-fitted", "in-sample"]
# Draws of the global latents, without and with explanations of the labels.
_DRAWS, _READ_DRAWS = 100, 200
# Draws x classes x classes that are in memory at once.
_ENTRIES = 20_000_000
# Rows in a batch that the networks need.
_BATCH = 1024


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
    responsibility, true_label = [], []
    shares, prior = ShareDraws(), np.zeros(1)
    for one in each:  # of each draw, only sums over the rows are kept
        responsibility.append(one.responsibility)
        if one.true_label is not None:
            true_label.append(one.true_label)
        shares.add(one.drawn, known=one.known)
        prior = prior + one.prior
    error = None if trust is None else NETWORK_ERROR
    elements = sum(part.numel() for part in responsibility)
    return TrainingRows(
        responsibility=torch.cat(responsibility).numpy(),
        true_label=torch.cat(true_label).numpy() if true_label else None,
        share=shares.summary(error=error),
        population_rate=rate_of(prior / elements, error=error),
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
        known: Whether each target is verified, (n * ...); None if no target of the fit is.
    """

    responsibility: Tensor
    true_label: Tensor | None
    drawn: np.ndarray
    prior: np.ndarray
    known: np.ndarray | None

    @classmethod
    def of(
        cls,
        drawn: Drawn,
        verified: Verified,
        *,
        responsibility: Tensor,
        true_label: Tensor | None = None,
    ) -> "_Posteriors":
        """Summarise values at each draw, (S, n, *dims)."""
        return cls(
            responsibility,
            true_label,
            drawn.responsibility.flatten(1).numpy(),
            drawn.prior.flatten(1).double().sum(1).numpy(),
            verified.known.flatten().numpy() if len(verified) else None,
        )


def _in_sample(story: Story, rows: Rows, draws: Draw) -> Iterator[_Posteriors]:
    """Yield the posteriors of one batch after another, for a story without true labels."""

    def both(scored: Scored, latents: Draw) -> Tensor:
        x, y, verified = scored
        return torch.stack(responsibility_and_prior(story, x, y, latents, verified=verified))

    for x, y, _, verified in rows.loader(np.arange(len(rows)), _BATCH):
        pair = draw_by_draw(story, both, Scored(x, y, verified), draws)
        drawn = Drawn(*pair.expand(_DRAWS, *pair.shape[1:]).unbind(1))
        yield _Posteriors.of(drawn, verified, responsibility=drawn.responsibility.mean(0))


def _cross_fitted(
    story: LatentLabelStory,
    rows: Rows,
    cross_fitted: Evidence | None,
    draws: Draw,
    read: ExplainedDraws | None,
) -> Iterator[_Posteriors]:
    """Yield the posteriors of one batch after another, for a story with true labels."""
    start, size = 0, rows_at_once(story, rows.y, _READ_DRAWS, drawn=True)
    if rows.table is None:  # images are large
        size = min(size, _BATCH)
    for x, y, _, verified in rows.loader(np.arange(len(rows)), size):
        stop = start + y.numel()
        out_of_fold = None if cross_fitted is None else cross_fitted.log_probs[start:stop]
        start = stop
        scored = Scored(x, y, verified)
        found = label_posteriors(story, scored, draws, read, out_of_fold=out_of_fold, drawn=True)
        if found.drawn is not None:
            yield _Posteriors.of(
                found.drawn,
                verified,
                responsibility=found.responsibility,
                true_label=found.true_label,
            )
