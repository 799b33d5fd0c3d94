"""What a fit returns."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from torch import nn

from nbam_pyro.inference.diagnostics.collapse import CollapseReport
from nbam_pyro.inference.diagnostics.identifiability import Identifiability
from nbam_pyro.inference.posterior.training_rows import TrainingRows
from nbam_pyro.models import Story
from nbam_pyro.training.row_kind import RowKind


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
    training_rows: TrainingRows
    collapse: CollapseReport | None = None
    identifiability: Identifiability | None = None
