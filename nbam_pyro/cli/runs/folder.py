"""Writing a run folder, and reading it again."""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nbam_pyro.cli.files import ArrayShape, Columns, Encoding, FrozenEncoding, ImageShape
from nbam_pyro.cli.runs.flags import flags
from nbam_pyro.cli.runs.info import RunInfo
from nbam_pyro.cli.runs.info_schema import FittedInfo
from nbam_pyro.cli.runs.schema import Settings, Summary
from nbam_pyro.cli.runs.summary import summarise
from nbam_pyro.cli.runs.tables import write_table
from nbam_pyro.errors import FolderError
from nbam_pyro.estimators.targets import Targets
from nbam_pyro.inference import Fit, load, transition_matrix
from nbam_pyro.inference.posterior.saving import write_fit
from nbam_pyro.storage import check_files, read_json, write_json, write_manifest

__all__ = ["RunInfo", "read_run", "write_run"]


def write_run(
    folder: Path,
    fit: Fit,
    info: RunInfo,
    x: np.ndarray,
    targets: Targets,
    *,
    rows: np.ndarray,
    settings: Mapping[str, Any],
    notes: list[str],
    further: Mapping[str, Any] | None = None,
    contaminated: np.ndarray | None = None,
) -> dict[str, Any]:
    """Write fit, flags, summary, settings and plots.

    Args:
        folder: Existing, empty folder to write into.
        fit: Fit of the rows that have a target.
        info: Description of the data of the run.
        x: Encoded training rows, (N, ...).
        targets: Targets of the N rows.
        rows: Names of the rows, (N,).
        settings: Content of settings.json.
        notes: Messages about changes of the data, for summary.json.
        further: Further entries of summary.json.
        contaminated: Truth, (n,) booleans: True if the target of the row is wrong. The plot of
            responsibilities shows it. None if the truth is unknown.

    Returns:
        The content of summary.json.
    """
    write_fit(folder, fit)
    table = flags(fit, info, x, targets, rows, fitted=True)
    summary = {**summarise(fit, info, targets, table), "notes": notes, **(further or {})}
    write_table(table, folder / "flags.csv")
    write_json(folder / "summary.json", summary, Summary)
    write_json(folder / "settings.json", settings, Settings)
    write_json(folder / "run.json", info.to_json(), FittedInfo)
    _plots(folder / "plots", fit, info, table, contaminated)
    write_manifest(folder)
    return summary


def read_run(folder: Path) -> tuple[Fit, RunInfo]:
    """Read the fit of a run and the description of its data.

    Args:
        folder: Run folder that `nbam fit` or `nbam demo` wrote.

    Returns:
        The fit, and the description of its data.

    Raises:
        FolderError: The folder is not a run folder, or one of its files is missing or was changed.
    """
    check_files(folder, ["run.json"])
    info = RunInfo.from_saved(read_json(folder / "run.json", FittedInfo))
    fit = load(folder)
    classes = None if info.classes is None else len(info.classes)
    if (
        classes != getattr(fit.story, "num_classes", None)
        or shape_of(info.encoding) != fit.kind.x_shape
    ):
        raise FolderError(
            f"'{folder / 'run.json'}' describes other data than the model in this folder. Restore "
            "the file or fit again."
        )
    return fit, info


def shape_of(encoding: Encoding) -> tuple[int, ...]:
    """Return the shape of an encoded row.

    Args:
        encoding: Encoding of the features.
    """
    match encoding:
        case Columns():
            return (len(encoding.feature_names),)
        case ArrayShape():
            return encoding.shape
        case ImageShape():
            return (encoding.channels, encoding.height, encoding.width)
        case FrozenEncoding():
            return (encoding.columns,)


def _plots(
    folder: Path, fit: Fit, info: RunInfo, table: pd.DataFrame, contaminated: np.ndarray | None
) -> None:
    from matplotlib.figure import Figure

    from nbam_pyro import plots

    folder.mkdir()
    r = table.sort_index()["responsibility"].to_numpy()  # in the order of the rows
    with_axes = {
        "responsibilities": lambda ax: plots.responsibilities(r, contaminated=contaminated, ax=ax),
    }
    if not fit.history.empty:  # Explore has no epochs
        with_axes["training_curve"] = lambda ax: plots.training_curve(fit.history, ax=ax)
    if info.classes is not None:
        names = [str(name) for name in info.classes]
        with_axes["transition_matrix"] = lambda ax: plots.transition_matrix(
            transition_matrix(fit), names=names, ax=ax
        )
    for name, draw in with_axes.items():
        figure = Figure(figsize=(6.4, 5.2), layout="constrained")
        draw(figure.subplots())
        with warnings.catch_warnings():
            # The font may lack a letter of a class name.
            warnings.filterwarnings("ignore", message="Glyph .* missing")
            figure.savefig(folder / f"{name}.png", dpi=150, bbox_inches="tight")
