"""`nbam compare`."""

from pathlib import Path
from typing import Annotated

import typer

from nbam_pyro.cli.common import Jobs, ReplaceFile, mistakes, say


def compare(
    runs: Annotated[
        list[Path],
        typer.Argument(metavar="RUN...", help="Run folders of the same data file, at least two."),
    ],
    *,
    folds: Annotated[
        int, typer.Option(help="Number of folds. Every run is fitted once per fold.")
    ] = 5,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="CSV file for the table of the comparison. Without it, no file is written.",
        ),
    ] = None,
    overwrite: ReplaceFile = False,
    jobs: Jobs = None,
) -> None:
    """Compare the priors of runs by their predictions of rows that were not used in the fit."""
    with mistakes():
        from nbam_pyro.cli.runs import compare_runs, write_csv
        from nbam_pyro.storage import check_file

        if out is not None:
            check_file(out, overwrite=overwrite)
        comparison = compare_runs(runs, folds=folds, n_jobs=jobs, say=say)
        if out is not None:
            write_csv(comparison.table.rename_axis("run").reset_index(), out, overwrite=overwrite)
    say(str(comparison))
    near = comparison.within()
    if len(near) > 1:
        say(f"The data cannot tell these runs apart: {', '.join(near)}.")
    else:
        say(f"{near[0]} predicts best: it is ahead by more than two standard errors and four nats.")
