"""`nbam detect`."""

from pathlib import Path
from typing import Annotated

import typer

from nbam_pyro.cli.common import mistakes, progress_wanted, say


def detect(
    data: Annotated[
        Path,
        typer.Argument(metavar="DATA", help="CSV, Parquet or NPZ file (array X); no labels."),
    ],
    *,
    known: Annotated[
        str | None,
        typer.Option(
            help="Column or array that says which rows are known: 1 or true for an anomaly, 0 or "
            "false for a normal row; empty cells are unknown."
        ),
    ] = None,
    backbone: Annotated[
        str, typer.Option(help="Model of normal rows: ntl, icl, svdd or ae.")
    ] = "ntl",
    contamination: Annotated[
        str, typer.Option(help="Share of anomalies among the rows, up to 0.5; or auto.")
    ] = "auto",
    epochs: Annotated[int, typer.Option(help="Epochs of training.", min=1)] = 100,
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
        int, typer.Option(help="Seed of weights and batches.", min=0, max=2**32 - 1)
    ] = 0,
) -> None:
    """Find the anomalies in DATA, which has no labels, and write a run folder."""
    with mistakes():
        from nbam_pyro.folders import check_folder

        check_folder(out, overwrite=overwrite)  # before the slow imports
        from nbam_pyro.cli.runs import detect_file, parse_backbone, parse_share, show_lines

        summary = detect_file(
            data,
            out,
            known=known,
            backbone=parse_backbone(backbone),
            contamination=parse_share(contamination),
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
    say(f"The run is in {out}/: flags.csv has every row, the highest score first.")
