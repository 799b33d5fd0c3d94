"""The demonstration: digits with flipped labels, fitted and judged against the known truth."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.datasets import load_digits
from sklearn.metrics import brier_score_loss, roc_auc_score
from torch.nn.functional import cross_entropy

from nbam_pyro.checks.column import Column
from nbam_pyro.cli.files import ArrayShape
from nbam_pyro.cli.runs.folder import RunInfo, write_run
from nbam_pyro.cli.runs.tables import write_csv
from nbam_pyro.data import DIGITS_FLIPS, Digits, flipped_digits
from nbam_pyro.estimators.targets import Targets
from nbam_pyro.inference import (
    Fit,
    fit,
    predict,
    transition_matrix,
)
from nbam_pyro.models import LabelFlip, mlp
from nbam_pyro.storage import new_folder
from nbam_pyro.training.contexts import evaluating, seeded
from nbam_pyro.training.lightning import Options, Task, train
from nbam_pyro.training.sources import as_rows

__all__ = ["RATE", "run_demo"]

RATE = 0.4
# Epochs of the fit: 20 of warm-up, 10 of the selected restart, and 70 of the joint fit.
EPOCHS = 20 + 10 + 70


def run_demo(
    folder: Path,
    *,
    data: Path | None = None,
    seed: int = 0,
    overwrite: bool = False,
    progress: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Fit digits whose labels are flipped at 40 % of five classes and write a run folder.

    Args:
        folder: Run folder to write. It is written completely or not at all.
        data: CSV file to write, with all digits in the order of `sklearn.datasets.load_digits`, so
            that rows have the same names as in the run. Test rows have no label. None to write
            no file.
        seed: Seed for the split, the flips and the fit.
        overwrite: True to replace an existing run folder and file.
        progress: True to show progress bars.
        say: Function that is called with each message about the progress.

    Returns:
        The content of summary.json.

    Raises:
        FolderError: The folder or the file exists and `overwrite` is False, or it cannot be
            written.
    """
    digits = flipped_digits(seed=seed, rate=RATE)
    if data is not None:
        write_csv(_all_digits(digits), data, overwrite=overwrite)
    with new_folder(folder, overwrite=overwrite) as draft:
        started = time.perf_counter()
        with seeded(seed, devices=True):
            story = LabelFlip(mlp(64, 10), num_classes=10)
        say("Fitting the latent-true-label story")
        rows, temporary = (digits.x, digits.labels.observed), {"default_root_dir": draft}
        fitted = fit(story, rows, seed=seed, progress=progress, trainer=temporary)
        say("Training the same network with cross-entropy for comparison")
        options = Options(progress=progress, trainer=temporary)
        baseline = _cross_entropy_accuracy(digits, fitted.held_out, seed, options)
        summary = judge(fitted, digits)
        summary["accuracy_cross_entropy"] = baseline
        summary["seconds"] = round(time.perf_counter() - started, 1)
        return write_run(
            draft,
            fitted,
            RunInfo(
                data="digits",
                label="digit",
                classes=np.arange(10),
                encoding=ArrayShape((64,)),
            ),
            digits.x,
            Targets(Column.of(digits.labels.observed), digits.labels.observed),
            rows=digits.rows,
            settings={"command": "demo", "seed": seed, "rate": RATE},
            notes=[],
            further=summary,
            contaminated=digits.labels.contaminated,
        )


def _all_digits(digits: Digits) -> pd.DataFrame:
    """Return pixels and observed labels of all digits; labels of test rows are missing."""
    x, _ = load_digits(return_X_y=True)
    table = pd.DataFrame(x.astype(int), columns=[f"pixel_{i}" for i in range(x.shape[1])])
    label = np.full(len(x), None, dtype=object)
    label[digits.rows] = digits.labels.observed
    return table.assign(digit=label)


def judge(fitted: Fit, digits: Digits) -> dict[str, Any]:
    """Compare a fit of flipped digits with the truth.

    Args:
        fitted: Fit of the training rows.
        digits: Digits with their true labels.

    Returns:
        The entries of summary.json that need the truth: the accuracy on test rows; the AUROC and
        the Brier score of the responsibilities; the true share of wrong labels; and the numbers of
        flips from one class to another: those that exist, those that exist and are found, and those
        that are found but do not exist. "auroc_resolvable" leaves out mutual pairs, two classes
        that flip into each other.
    """
    truth = digits.labels.contaminated
    r = fitted.training_rows.responsibility
    mutual = [c for c, target in DIGITS_FLIPS.items() if DIGITS_FLIPS.get(target) == c]
    resolvable = ~np.isin(digits.labels.clean, mutual)
    found = set(transition_matrix(fitted).directions())
    true = set(DIGITS_FLIPS.items())
    return {
        "accuracy": float((predict(fitted, digits.x_test).argmax(1) == digits.y_test).mean()),
        "auroc": float(roc_auc_score(truth, r)),
        "auroc_resolvable": float(roc_auc_score(truth[resolvable], r[resolvable])),
        "brier": float(brier_score_loss(truth, r)),
        "contamination_true": digits.labels.rate,
        "directions_found": len(found & true),
        "directions_false": len(found - true),
        "directions_total": len(true),
    }


def _cross_entropy_accuracy(
    digits: Digits, held_out: np.ndarray, seed: int, options: Options
) -> float:
    """Return the test accuracy of the same network after training with cross-entropy.

    Optimiser, epochs, noisy labels and held-out rows are those of the fit. The held-out rows select
    the epoch here, too.
    """
    rows = as_rows((digits.x, digits.labels.observed))
    with seeded(seed, devices=True):
        network = mlp(64, 10)
        module = Task(
            [network],
            loss=lambda batch: cross_entropy(network(batch[0]), batch[1]),
            groups=[{"params": list(network.parameters()), "lr": 2e-3, "weight_decay": 1e-2}],
        )
        train(
            module,
            rows,
            np.flatnonzero(~held_out),
            np.flatnonzero(held_out),
            epochs=EPOCHS,
            options=options,
            label="cross-entropy",
        )
    with torch.no_grad(), evaluating(network):
        predicted = network(torch.as_tensor(digits.x_test)).argmax(-1).numpy()
    return float((predicted == digits.y_test).mean())
