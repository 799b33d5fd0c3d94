"""`nbam fit`."""

from pathlib import Path
from typing import Annotated

import typer

from nbam_pyro.cli.common import mistakes, progress_wanted, say


def fit(
    data: Annotated[
        Path,
        typer.Argument(
            metavar="DATA",
            help="CSV, Parquet or NPZ file (array X), or a folder with one folder of images per "
            "label.",
        ),
    ],
    *,
    label: Annotated[
        str | None, typer.Option(help="Column or array that holds the labels or measurements.")
    ] = None,
    true_label: Annotated[
        str | None,
        typer.Option(help="Column or array of verified true labels; empty cells are unknown."),
    ] = None,
    contaminated: Annotated[
        str | None,
        typer.Option(
            help="Column or array that says what is verified: 1 or true for wrong, 0 or false for "
            "right; empty cells are unknown."
        ),
    ] = None,
    task: Annotated[
        str,
        typer.Option(
            help="classification, regression, or auto: texts and up to 20 different whole numbers "
            "are labels."
        ),
    ] = "auto",
    contamination: Annotated[
        str | None,
        typer.Option(
            help="Prior of the share that is wrong: a number such as 0.05 (a prior of that mean "
            "worth 100 rows) or beta:2,8. Open by default."
        ),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(help="Epochs of one plain training run; the fit costs about two.", min=1),
    ] = None,
    drop: Annotated[
        list[str] | None, typer.Option(help="Column that is no feature; may be given repeatedly.")
    ] = None,
    keep: Annotated[
        list[str] | None,
        typer.Option(
            help="Column that is a feature though it looks like an identifier; may be given "
            "repeatedly."
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="Run folder to write.")] = Path("nbam-run"),
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a run folder.")] = False,
    seed: Annotated[
        int, typer.Option(help="Seed of weights, folds and batches.", min=0, max=2**32 - 1)
    ] = 0,
) -> None:
    """Find the wrong labels or measurements in DATA and write a run folder."""
    with mistakes():
        from nbam_pyro.folders import check_folder

        check_folder(out, overwrite=overwrite)  # before the slow imports
        from nbam_pyro.cli.runs import fit_file, parse_contamination, show_lines

        summary = fit_file(
            data,
            out,
            label=label,
            true_label=true_label,
            contaminated=contaminated,
            task=task,
            contamination=parse_contamination(contamination),
            epochs=epochs,
            drop=drop or (),
            keep=keep or (),
            overwrite=overwrite,
            seed=seed,
            progress=progress_wanted(),
            say=say,
        )
    for line in show_lines(summary):
        say(line)
    say(f"The run is in {out}/: flags.csv has every row; nbam show {out} says more.")
