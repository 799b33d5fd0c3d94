"""The result of a fit."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from torch import nn

from nbam_pyro.inference.diagnostics.collapse import CollapseReport
from nbam_pyro.inference.diagnostics.label_evidence import LabelEvidence
from nbam_pyro.inference.diagnostics.verdicts import UNCHECKED
from nbam_pyro.inference.posterior.training_rows import TrainingRows
from nbam_pyro.inference.posterior.trust import NetworkTrust
from nbam_pyro.inference.variational.guides import guide_draws, guide_median
from nbam_pyro.inference.variational.modes_guide import Mode, ModesGuide
from nbam_pyro.models import Story
from nbam_pyro.outputs.verdict import Verdict
from nbam_pyro.training.row_kind import RowKind

# Number of draws of a mode whose guide is not made of draws.
_DRAWS = 500


@dataclass(frozen=True, kw_only=True)
class Fit:
    """A fitted story. Functions such as `responsibilities` and `predict` take it and return arrays.

    A responsibility is P(z=1 | x, y), the probability that the target y of a row is contaminated:
    for labels, the probability that the label is wrong. There are two sources of responsibilities
    for two different purposes:

    * `fitted.training_rows.responsibility` has the responsibilities of the rows that the fit was
      made from. If `fitted.training_rows.evidence` is "cross-fitted", it uses predictions of
      networks that have not seen the label of the row. Use it to find wrong labels in the training
      data.
    * `responsibilities(fitted, x, y)` uses the final network for any rows. Use it for new rows. The
      network may have memorised the labels of its training rows, and wrong labels can then look
      correct.

    Both are averages over how far the network can be trusted, if `trust` is not None.

    Attributes:
        story: Story with its fitted networks. The networks are point estimates.
        guide: Variational posterior of the global latents, such as contamination rates and the flip
            matrix.
        history: One row for each epoch of every training run, with the columns "step", "epoch",
            "loss" and "held_out_loss".
        held_out: Booleans that mark the held-out rows, (N,). Held-out rows are not trained on. They
            serve to select the best epoch and the best restart.
        kind: Shape and type of the rows of the fit.
        training_rows: Posteriors of the rows that the fit was made from.
        collapse: Report on whether the fit has collapsed, which means that its responsibilities are
            meaningless.
        verdict: Verdict on whether the data identify the contamination. Read the verdict before any
            other result. Its sentences write the class with index 3 as "{3}";
            `verdict.named(names)` has names instead.
        label_evidence: Numbers from which the verdict on a latent true label was made; None for
            stories without one.
        trust: How far the predictions of the network can be trusted where they contradict labels;
            None if no predictions out of fold tell it, or the story has no latent true label.
    """

    story: Story
    guide: nn.Module
    history: pd.DataFrame
    held_out: np.ndarray
    kind: RowKind
    training_rows: TrainingRows
    collapse: CollapseReport | None = None
    verdict: Verdict = UNCHECKED
    label_evidence: LabelEvidence | None = None
    trust: NetworkTrust | None = None

    @property
    def modes(self) -> tuple[Mode, ...]:
        """Modes of the posterior of the global latents, the mode with the largest weight first.

        `Explore` finds them. After any other steps there is one mode of weight 1. Responsibilities,
        draws and intervals are averages over all modes. Predictions use the mode with the largest
        weight alone.
        """
        if isinstance(self.guide, ModesGuide):
            return self.guide.modes
        draws = guide_draws(self.guide, _DRAWS)
        return (Mode(weight=1.0, latents=guide_median(self.guide), draws=draws),)

    def judged(self, verdict: Verdict) -> "Fit":
        """Return the same fit with a verdict, and with intervals that contain the verdict's band.

        The intervals of the contaminated share and of the population rate then contain the
        contamination of the competing explanations (`Verdict.band`). If the verdict is "cannot
        tell", both contain 0 and one half.

        Args:
            verdict: Verdict on whether the data identify the contamination.
        """
        found = [self.training_rows.share, self.training_rows.population_rate]
        found = [one.including(verdict.band) for one in found]
        if verdict.level == "cannot tell":
            found = [one.unknown() for one in found]
        share, rate = found
        rows = replace(self.training_rows, share=share, population_rate=rate)
        return replace(self, training_rows=rows, verdict=verdict)
