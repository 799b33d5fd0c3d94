"""Posteriors of the true labels of some rows, at draws of the global latents."""

from typing import NamedTuple

import torch
from torch import Tensor

from nbam_pyro import functional as nf
from nbam_pyro.inference.posterior.difficulty import flips_at, rate_change
from nbam_pyro.inference.posterior.draws import Scored
from nbam_pyro.inference.posterior.trust import ExplainedDraws
from nbam_pyro.inference.variational.guides import Draw
from nbam_pyro.models import LatentLabelStory

__all__ = ["LabelPosteriors", "label_posteriors", "rows_at_once"]

# Draws x rows x classes that are in memory at once.
_ENTRIES = 20_000_000
_ROWS = 1024


class LabelPosteriors(NamedTuple):
    """Posteriors of some rows at each draw of the global latents.

    Attributes:
        true_label: p(c | x, y) of each true class c, (S, n, *dims, K).
        responsibility: P(z=1 | x, y), (S, n, *dims).
        prior: P(z=1 | x), (S, n, *dims).
    """

    true_label: Tensor
    responsibility: Tensor
    prior: Tensor


def rows_at_once(story: LatentLabelStory, y: Tensor, draws: int) -> int:
    """Return how many rows fit into memory at once.

    Args:
        story: Story with true labels.
        y: Observed labels, (N, *dims).
        draws: Number of draws S.
    """
    return max(1, min(_ROWS, _ENTRIES // (draws * y[0].numel() * story.num_classes)))


def label_posteriors(
    story: LatentLabelStory,
    rows: Scored,
    draws: Draw,
    read: ExplainedDraws | None,
    *,
    out_of_fold: Tensor | None = None,
) -> LabelPosteriors:
    """Return the posteriors of the true labels of some rows at each draw.

    Args:
        story: Story with its fitted networks, in evaluation mode.
        rows: Rows.
        draws: Draws of the global latents, (S, ...).
        read: The same draws with an explanation for each; None to trust the predictions.
        out_of_fold: Log probabilities of the true labels, (n * ..., K); None to use the networks.
    """
    with torch.no_grad():
        posterior, prior = _at_each(story, rows, draws, read, out_of_fold)
    shape = rows.y.shape
    posterior = posterior.reshape(-1, *shape, story.num_classes)
    own = rows.y.expand(posterior.shape[:-1])[..., None]
    # The other classes are summed, because 1 - p(c = y) would round small values to 0.
    wrong = posterior.scatter(-1, own, 0.0).sum(-1)
    return LabelPosteriors(posterior, wrong, prior.reshape(-1, *shape))


def _at_each(
    story: LatentLabelStory,
    rows: Scored,
    draws: Draw,
    read: ExplainedDraws | None,
    out_of_fold: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """Return p(c | x, y), (S, n * ..., K), and P(z=1 | x), (S, n * ...), at each draw."""
    log_f, g = out_of_fold, None
    if log_f is None or story.deviates:
        medians = {name: value.median(0).values for name, value in draws.items()}
        in_sample, g = story.log_predictor(rows.x, medians)
        flat = in_sample.flatten(end_dim=-2)
        log_f = flat if out_of_fold is None else out_of_fold.to(in_sample)
    labels, verified = rows.y.flatten(), rows.verified.flatten()

    def both(
        latents: Draw, f: Tensor, g: Tensor | None, difficulty: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        alpha, log_flip = story.rates_and_flips(latents)
        row_flip = None
        if difficulty is not None:
            change = rate_change(f, difficulty)
            g = change if g is None else g + change
            row_flip = flips_at(f, labels, log_flip, difficulty)
        posterior = nf.label_flip_log_posterior(
            f, labels, alpha, log_flip, g, row_flip=row_flip, **verified.codes
        )
        return posterior.exp(), nf.label_flip_switch_logits(f, alpha, g).sigmoid()

    if read is None:
        return torch.vmap(lambda latents: both(latents, log_f, g))(draws)
    # Flips that do not depend on the row take less time.
    hesitant = bool(read.difficulty.any())

    # Few sharpnesses, many draws.
    values, which = read.sharpness.unique(return_inverse=True)
    powered = torch.stack([read.powered(log_f, a) for a in values])[which]

    def explained(latents: Draw, f: Tensor, difficulty: Tensor) -> tuple[Tensor, Tensor]:
        return both(latents, f, g, difficulty if hesitant else None)

    posterior, prior = torch.vmap(explained)(read.latents, powered, read.difficulty)
    return read.with_right(
        posterior, prior, labels, known=verified.known if len(verified) else None
    )
