"""A function of rows at draws of the global latents, without a fit."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from nbam_pyro.inference.variational.guides import Draw, each_draw
from nbam_pyro.models import Story
from nbam_pyro.verified import NOTHING, Verified


class Scored(NamedTuple):
    """Rows to score, as tensors of the story's own precision."""

    x: Tensor
    y: Tensor
    verified: Verified = NOTHING

    def parts(self) -> "list[Scored]":
        """A few rows at a time."""
        starts = range(0, len(self.x), _CHUNK)
        return [self._part(slice(start, start + _CHUNK)) for start in starts]

    def _part(self, rows: slice) -> "Scored":
        return Scored(self.x[rows], self.y[rows], self.verified[rows])


RowFunction = Callable[[Scored, Draw], Tensor]


# Rows at a time: bounds the memory of draws x rows x classes.
_CHUNK = 2048


def at_draws(story: Story, of: RowFunction, rows: Scored, draws: Draw) -> Iterator[Tensor]:
    """A function of rows at every draw of the global latents, (S, n, ...) for a few at a time."""
    for part in rows.parts():
        yield draw_by_draw(story, of, part, draws).cpu()


def draw_by_draw(story: Story, of: RowFunction, rows: Scored, draws: Draw) -> Tensor:
    """A function of a few rows at every draw of the global latents, (S, n, ...)."""
    with torch.no_grad():
        if not draws:  # no global latents: every draw is the same
            return of(rows, {})[None]
        if story.closed_form is not None:  # networks do not depend on draws and run once
            try:
                return torch.vmap(lambda one: of(rows, one))(draws)
            except RuntimeError as error:
                # Argument checks of somebody's distributions do not pass through vmap.
                if "data-dependent control flow" not in str(error):
                    raise
        count = len(next(iter(draws.values())))
        return torch.stack([of(rows, one) for one in each_draw(draws, count)])
