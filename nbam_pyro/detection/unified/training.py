"""Training of the unified objective, with a record of each term."""

import math
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor
from torch.utils.data import TensorDataset

from nbam_pyro.detection.unified.objective import Terms, UnifiedObjective
from nbam_pyro.errors import DataError
from nbam_pyro.outputs.switch_codes import switch_codes
from nbam_pyro.training.contexts import exclusive
from nbam_pyro.training.lightning import Options, Task, train
from nbam_pyro.training.rows import Batch, Rows

__all__ = ["train_objective"]


def train_objective(
    objective: UnifiedObjective,
    x: Tensor,
    verified: Any = None,
    *,
    epochs: int = 100,
    lr: float = 1e-3,
    options: Options | None = None,
) -> list[dict[str, float]]:
    """Train an objective, and return one record per epoch with the loss and each term.

    Args:
        objective: Objective with its encoder and decoder, which are trained in place.
        x: Rows, (N, D), in the type of the objective's networks.
        verified: Codes of verified rows, (N,): 1 for an anomaly, 0 for a normal row, and -1, NaN or
            None where nothing is verified; or a `nbam_pyro.Verified`. None means that no row is
            verified.
        epochs: Number of epochs.
        lr: Step size of AdamW.
        options: Batch size, progress bar and further arguments of Lightning's trainer. None for the
            defaults.

    Raises:
        DataError: x is not a matrix of finite numbers in the data type of the networks; `verified`
            has a wrong length or wrong codes; all rows are verified anomalies; or the loss is not
            finite.

    Example:
        >>> from nbam_pyro.detection.unified.objective import SVDD
        >>> objective = UnifiedObjective(5, weights=SVDD)
        >>> history = train_objective(objective, torch.rand(20, 5), epochs=1)
        >>> sorted(history[0])
        ['compactness', 'epoch', 'information', 'loss', 'separation']
    """
    objective.check(x)
    codes = switch_codes(verified, len(x))
    if (codes == 1).all():
        raise DataError(
            f"verified says that all {len(x)} rows are anomalies. Add rows that are normal."
        )
    rows = Rows(TensorDataset(x, codes), codes, torch.ones(len(x)))
    groups = [{"params": list(objective.parameters()), "lr": lr, "weight_decay": 1e-6}]

    log = _LogTerms()

    def loss(batch: Batch) -> Tensor:
        terms = objective.terms(batch.x, batch.y)
        log.add(terms, len(batch.x))
        return objective.weigh(terms)

    with exclusive():
        objective.start(x)
        history, _ = train(
            Task([objective], loss=loss, groups=groups),
            rows,
            np.arange(len(x)),
            np.arange(0),
            epochs=epochs,
            options=options or Options(),
            label="unified objective",
            callbacks=[log],
        )
    objective.eval()
    objective.finish(x[codes != 1])
    if not math.isfinite(history[-1]["loss"]):
        raise DataError("The loss is not finite. Scale x to about 1, or use a lower lr.")
    return [record | terms for record, terms in zip(history, log.records, strict=True)]


class _LogTerms(Callback):
    """Records the mean of each term over the rows of an epoch."""

    def __init__(self) -> None:
        self.records: list[dict[str, float]] = []
        self.batches: list[tuple[Terms, int]] = []

    def add(self, terms: Terms, rows: int) -> None:
        """Add the terms of a batch.

        Args:
            terms: Terms of the batch.
            rows: Number of rows in the batch.
        """
        self.batches.append((terms, rows))

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        count = sum(rows for _, rows in self.batches)
        names = vars(self.batches[0][0])
        self.records.append(
            {
                name: sum(float(vars(terms)[name].detach()) * rows for terms, rows in self.batches)
                / count
                for name in names
            }
        )
        self.batches = []
