"""What a classification run leaves behind in its folder."""

import json
import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import safetensors.torch
from matplotlib.figure import Figure

from nbam_pyro import plots
from nbam_pyro.inference import (
    Fit,
    responsibilities,
    to_datatree,
    transition_matrix,
    true_label_posterior,
)

__all__ = ["write_run"]

SCHEMA_VERSION = 1
_PACKAGES = ["nbam-pyro", "torch", "pyro-ppl", "lightning", "arviz-base", "scikit-learn", "numpy"]


def write_run(
    folder: Path,
    fit: Fit,
    x: np.ndarray,
    y: np.ndarray,
    *,
    rows: np.ndarray,
    summary: Mapping[str, Any],
    settings: Mapping[str, Any],
    model: Mapping[str, Any],
    contaminated: np.ndarray | None = None,
) -> None:
    """Write flags, summary, settings, model, posterior and plots of a `LabelFlip` fit.

    Args:
        folder: an existing, empty folder.
        fit: the fit of the rows x with labels y.
        x: training rows, (N, ...).
        y: their observed labels, (N,).
        rows: what the rows are called in flags.csv, (N,).
        summary: written to summary.json.
        settings: written to settings.json, beside the versions of what ran.
        model: how to build the story again, written to model.json.
        contaminated: the truth, where it is known, for the plot of responsibilities.
    """
    r = responsibilities(fit, x, y)
    _flags(fit, x, y, r, rows).to_csv(folder / "flags.csv", index=False)
    _write_json(folder / "summary.json", summary)
    versions = {name: version(name) for name in _PACKAGES} | {"python": platform.python_version()}
    _write_json(folder / "settings.json", {**settings, "versions": versions})
    tensors = {
        f"{part}.{name}": value.contiguous()
        for part, module in (("story", fit.story), ("guide", fit.guide))
        for name, value in module.state_dict().items()
    }
    (folder / "model.safetensors").write_bytes(safetensors.torch.save(tensors))
    shapes = {name: list(value.shape) for name, value in tensors.items()}
    _write_json(
        folder / "model.json", {"schema_version": SCHEMA_VERSION, **model, "tensors": shapes}
    )
    tree = to_datatree(fit, x, y, row_ids=rows.tolist())
    tree.to_netcdf(folder / "posterior.nc", engine="h5netcdf")
    _plots(folder / "plots", fit, r, contaminated)


def _flags(fit: Fit, x: np.ndarray, y: np.ndarray, r: np.ndarray, rows: np.ndarray) -> pd.DataFrame:
    corrected = true_label_posterior(fit, x, y)
    columns = {
        "row": rows,
        "label": y,
        "responsibility": r,
        "suggested_label": corrected.argmax(1),
        "suggested_probability": corrected.max(1),
        "held_out": fit.held_out,
    }
    return pd.DataFrame(columns).sort_values("responsibility", ascending=False, kind="stable")


def _plots(folder: Path, fit: Fit, r: np.ndarray, contaminated: np.ndarray | None) -> None:
    folder.mkdir()
    with_axes = {
        "transition_matrix": lambda ax: plots.transition_matrix(transition_matrix(fit), ax=ax),
        "responsibilities": lambda ax: plots.responsibilities(r, contaminated=contaminated, ax=ax),
        "training_curve": lambda ax: plots.training_curve(fit.history, ax=ax),
    }
    for name, draw in with_axes.items():
        figure = Figure(figsize=(6.4, 5.2), layout="constrained")
        draw(figure.subplots())
        figure.savefig(folder / f"{name}.png", dpi=150)


def _write_json(path: Path, values: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(values, indent=2, allow_nan=False) + "\n")
