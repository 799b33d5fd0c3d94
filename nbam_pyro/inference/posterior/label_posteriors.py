"""Posteriors of the true labels of some rows, averaged over draws of the global latents."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from nbam_pyro import functional as nf
from nbam_pyro.inference.posterior.by_label import Drawn, Sums, sums_by_label
from nbam_pyro.inference.posterior.difficulty import flips_at, rate_change
from nbam_pyro.inference.posterior.draws import Scored
from nbam_pyro.inference.posterior.trust import ExplainedDraws
from nbam_pyro.inference.variational.guides import Draw
from nbam_pyro.models import LatentLabelStory
from nbam_pyro.verified import Verified

__all__ = ["LabelPosteriors", "label_posteriors", "rows_at_once"]

# Draws x rows x classes, draws x rows, and rows x classes that are in memory at once.
_ENTRIES, _DRAWN, _PREDICTED = 20_000_000, 2_000_000, 2_000_000
# Most rows in one part, and in one pass of the networks.
_ROWS, _PASS = 32_768, 2048


class LabelPosteriors(NamedTuple):
    """Posteriors of some rows.

    Attributes:
        true_label: Mean of p(c | x, y) over the draws, (n, *dims, K).
        responsibility: Mean of P(z=1 | x, y) over the draws, (n, *dims).
        prior: Mean of P(z=1 | x) over the draws, (n, *dims).
        drawn: Probabilities at each draw, (S, n, *dims); None if they were not asked for.
    """

    true_label: Tensor
    responsibility: Tensor
    prior: Tensor
    drawn: Drawn | None


class _Rows(NamedTuple):
    """Rows after the networks. Elements of targets, such as pixels, are rows.

    Attributes:
        log_f: Log probabilities of the true label, (n, K).
        deviation: Number that is added to the logit of each row's rate, (n,); None for none.
        labels: Observed labels, (n,).
        verified: Verified values.
    """

    log_f: Float[Tensor, "n k"]
    deviation: Float[Tensor, " n"] | None
    labels: Int[Tensor, " n"]
    verified: Verified

    def some(self, index: Tensor) -> "_Rows":
        """Return some rows."""
        g = None if self.deviation is None else self.deviation[index]
        return _Rows(self.log_f[index], g, self.labels[index], self.verified[index])


def rows_at_once(story: LatentLabelStory, y: Tensor, draws: int, *, drawn: bool = False) -> int:
    """Return how many rows fit into memory at once.

    Args:
        story: Story with true labels.
        y: Observed labels, (N, *dims).
        draws: Number of draws S.
        drawn: Whether the probabilities at each draw are asked for.
    """
    limits = [_ROWS, _PREDICTED // (y[0].numel() * story.num_classes)]
    if drawn:
        limits.append(_DRAWN // (draws * y[0].numel()))
    return max(1, min(limits))


def label_posteriors(
    story: LatentLabelStory,
    rows: Scored,
    draws: Draw,
    read: ExplainedDraws | None,
    *,
    out_of_fold: Tensor | None = None,
    drawn: bool = False,
) -> LabelPosteriors:
    """Return the posteriors of the true labels of some rows, averaged over draws.

    Args:
        story: Story with its fitted networks, in evaluation mode.
        rows: Rows.
        draws: Draws of the global latents, (S, ...).
        read: The same draws with an explanation for each; None to trust the predictions.
        out_of_fold: Log probabilities of the true labels, (n * ..., K); None to use the networks.
        drawn: Whether to return the probabilities at each draw, too.
    """
    count = len(next(iter(draws.values())))
    with torch.no_grad():
        sums = _sums(story, _predicted(story, rows, draws, out_of_fold), draws, read, drawn=drawn)
    shape = rows.y.shape
    posterior = (sums.true_label / count).reshape(*shape, story.num_classes)
    # The other classes are summed, because 1 - p(c = y) would round small values to 0.
    wrong = posterior.scatter(-1, rows.y[..., None], 0.0).sum(-1)
    switch = rows.verified.switch(rows.y)  # sums over draws could round a verified 1 down
    wrong = torch.where(switch >= 0, switch.to(wrong), wrong)
    each = None
    if sums.drawn is not None:
        each = Drawn(*(values.reshape(-1, *shape) for values in sums.drawn))
    return LabelPosteriors(posterior, wrong, (sums.prior / count).reshape(shape), each)


def _predicted(
    story: LatentLabelStory, rows: Scored, draws: Draw, out_of_fold: Tensor | None
) -> _Rows:
    """Run the networks."""
    log_f, g = out_of_fold, None
    if log_f is None or story.deviates:
        medians = {name: value.median(0).values for name, value in draws.items()}
        parts = [story.log_predictor(part.x, medians) for part in rows.parts(_PASS)]
        in_sample = torch.cat([part for part, _ in parts]).flatten(end_dim=-2)
        g = torch.cat([part for _, part in parts if part is not None]) if story.deviates else None
        log_f = in_sample if out_of_fold is None else out_of_fold.to(in_sample)
    return _Rows(log_f, g, rows.y.flatten(), rows.verified.flatten())


def _sums(
    story: LatentLabelStory,
    rows: _Rows,
    draws: Draw,
    read: ExplainedDraws | None,
    *,
    drawn: bool,
) -> Sums:
    """Return sums over draws, by products of matrices where the rows allow it."""
    if read is None or rows.deviation is not None or bool(read.difficulty.any()):
        return _row_by_row(story, rows, draws, read, drawn=drawn)
    sums = sums_by_label(story, rows.log_f, rows.labels, read, drawn=drawn)
    others = ~sums.true_label.isfinite().all(-1)
    if len(rows.verified):
        others |= rows.verified.known
    if others.any():
        _replace(sums, others, _row_by_row(story, rows.some(others), draws, read, drawn=drawn))
    return sums


def _replace(sums: Sums, index: Bool[Tensor, " n"], others: Sums) -> None:
    """Write sums of some rows over those of all rows."""
    sums.true_label[index] = others.true_label.to(sums.true_label)
    sums.prior[index] = others.prior.to(sums.prior)
    if sums.drawn is not None and others.drawn is not None:
        for values, new in zip(sums.drawn, others.drawn, strict=True):
            values[:, index] = new.to(values)


def _row_by_row(
    story: LatentLabelStory,
    rows: _Rows,
    draws: Draw,
    read: ExplainedDraws | None,
    *,
    drawn: bool,
) -> Sums:
    """Return sums over draws of rows of any kind, with draws x rows x classes in memory."""
    count = len(next(iter(draws.values())))
    size = max(1, _ENTRIES // (count * story.num_classes))
    found = []
    for index in torch.arange(len(rows.labels), device=rows.labels.device).split(size):
        part = rows.some(index)
        posterior, prior = _at_each(story, part, draws, read)
        own = part.labels.expand(posterior.shape[:-1])[..., None]
        each = Drawn(posterior.scatter(-1, own, 0.0).sum(-1), prior) if drawn else None
        found.append(Sums(posterior.sum(0), prior.sum(0), each))
    together = zip(*(one.drawn for one in found if one.drawn is not None), strict=True)
    return Sums(
        torch.cat([one.true_label for one in found]),
        torch.cat([one.prior for one in found]),
        Drawn(*(torch.cat(parts, 1) for parts in together)) if drawn else None,
    )


def _at_each(
    story: LatentLabelStory, rows: _Rows, draws: Draw, read: ExplainedDraws | None
) -> tuple[Tensor, Tensor]:
    """Return p(c | x, y), (S, n, K), and P(z=1 | x), (S, n), at each draw."""
    log_f, g, labels, verified = rows

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
