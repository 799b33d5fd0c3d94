"""What a fit returns."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from torch import nn

from nbam_pyro.inference.diagnostics import CollapseReport
from nbam_pyro.inference.identifiability import Identifiability
from nbam_pyro.inference.row_kind import RowKind
from nbam_pyro.models import Story

if TYPE_CHECKING:
    from nbam_pyro.inference.training_rows import TrainingRows


@dataclass(frozen=True, kw_only=True)
class Fit:
    """A fitted story; posteriors are functions of it, such as `responsibilities`.

    Attributes:
        story: the story with its fitted networks.
        guide: the posterior of its global latents.
        history: one row per epoch of every Lightning run: step, epoch, loss, held_out_loss.
        held_out: which rows were kept from training and only selected epochs and restarts, (N,).
        kind: shape and type of the rows it was fitted to.
        training_rows: what it says about the rows it was fitted to.
        collapse: whether the flags mean anything; None where the story declares no predictor.
        identifiability: what the data can tell about a latent true label; None for other stories.
    """

    story: Story
    guide: nn.Module
    history: pd.DataFrame
    held_out: np.ndarray
    kind: RowKind
    training_rows: "TrainingRows"
    collapse: CollapseReport | None = None
    identifiability: Identifiability | None = None

    def save(self, folder: str | Path, *, overwrite: bool = False) -> None:
        """Write the fit to a folder of its own; see `nbam_pyro.load`.

        Args:
            folder: to write, whole or not at all.
            overwrite: replace a folder that a fit was saved to.

        Raises:
            FolderError: the folder exists and may not be overwritten, or cannot be written.
        """
        from nbam_pyro.inference.saving import save  # which imports this module

        save(self, folder, overwrite=overwrite)
