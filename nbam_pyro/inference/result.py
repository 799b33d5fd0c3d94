"""What a fit returns."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from torch import nn

from nbam_pyro.inference.diagnostics import CollapseReport
from nbam_pyro.models import Story


@dataclass(frozen=True, kw_only=True)
class Fit:
    """A fitted story; posteriors are functions of it, such as `responsibilities`.

    Attributes:
        story: the story with its fitted networks.
        guide: the posterior of its global latents.
        history: one row per epoch of every Lightning run: step, epoch, loss, held_out_loss.
        held_out: which rows were kept from training and only selected epochs and restarts, (N,).
        collapse: whether the flags mean anything; None where the story declares no predictor.
    """

    story: Story
    guide: nn.Module
    history: pd.DataFrame
    held_out: np.ndarray
    collapse: CollapseReport | None
