"""Evaluate a function of rows at draws of the global latents, for a story and without a fit."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from nbam_pyro.inference.variational.guides import Draw, each_draw
from nbam_pyro.models import Story
from nbam_pyro.verified import NOTHING, Verified


class Scored(NamedTuple):
    """Rows to score, as tensors in the precision of the story.

    Attributes:
        x: Rows, (N, ...).
        y: Observed targets, (N, *dims).
        verified: Verified switches and true labels of the rows.
    """

    x: Tensor
    y: Tensor
    verified: Verified = NOTHING

    def parts(self, size: int | None = None) -> "list[Scored]":
        """Return the rows in parts of limited size, in order.

        Args:
            size: Largest number of rows in a part; None for the usual one.
        """
        size = size or _CHUNK
        starts = range(0, len(self.x), size)
        return [self._part(slice(start, start + size)) for start in starts]

    def _part(self, rows: slice) -> "Scored":
        return Scored(self.x[rows], self.y[rows], self.verified[rows])


RowFunction = Callable[[Scored, Draw], Tensor]
"""A function that takes rows and one draw of the global latents, and returns a value per row."""


# Rows in one part. The limit bounds the memory of draws x rows x classes.
_CHUNK = 2048


def point_estimates(story: Story) -> list[str]:
    """Return the names of the parameters of a story that are trained, and have no posterior."""
    return [name for name, p in story.named_parameters() if p.requires_grad]


def at_draws(story: Story, function: RowFunction, rows: Scored, draws: Draw) -> Iterator[Tensor]:
    """Evaluate a function of rows at every draw of the global latents, part by part.

    Args:
        story: Story in evaluation mode.
        function: Function that takes rows and one draw of the global latents, and returns one value
            per row, (n, ...).
        rows: Rows to evaluate, (N, ...).
        draws: Draws by site name, (S, ...); empty for a story without global latents.

    Returns:
        An iterator over parts of the rows, in order. It yields the values of one part, (S, n, ...),
        on the CPU. S is the number of draws, and 1 for a story without global latents.
    """
    for part in rows.parts():
        yield draw_by_draw(story, function, part, draws).cpu()


def draw_by_draw(story: Story, function: RowFunction, rows: Scored, draws: Draw) -> Tensor:
    """Evaluate a function of a few rows at every draw of the global latents, (S, n, ...).

    The arguments are those of `at_draws`. All rows are in memory at once.
    """
    with torch.no_grad():
        if not draws:  # without global latents every draw is the same
            return function(rows, {})[None]
        if story.closed_form is not None:  # networks do not depend on draws and run once
            try:
                return torch.vmap(lambda one: function(rows, one))(draws)
            except RuntimeError as error:
                # Argument checks of a user's own distribution may not work under vmap.
                if "data-dependent control flow" not in str(error):
                    raise
        count = len(next(iter(draws.values())))
        return torch.stack([function(rows, one) for one in each_draw(draws, count)])
