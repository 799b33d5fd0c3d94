"""`nbam review`."""

from pathlib import Path
from typing import Annotated

import typer

from nbam_pyro.cli.common import RunArgument, mistakes, say


def review(
    run: RunArgument,
    *,
    budget: Annotated[
        int | None,
        typer.Option(help="Number of rows that a person will look at.", min=1),
    ] = None,
    design: Annotated[
        str | None,
        typer.Option(
            help="random for a sample that corrects the share and all responsibilities (the "
            "default), or sorted for the most suspicious rows."
        ),
    ] = None,
    goal: Annotated[
        str | None,
        typer.Option(
            "--for",
            metavar="GOAL",
            help="What the answers are for, instead of --design: flags for the rows whose flags "
            "are most often wrong, verdict for the rows that decide what the verdict leaves open, "
            "rates for the classes whose rates are least known.",
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(help="Seed of the random sample. Default: 0.", min=0, max=2**32 - 1),
    ] = None,
    answers: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Table of a random sample in which a person has filled in the column wrong "
            "(anomaly for nbam detect): 1 or true, 0 or false. Give it instead of --budget.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="CSV file for the rows to review; with --answers, folder for the results.",
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the CSV file or the folder if it exists.")
    ] = False,
) -> None:
    """Draw rows of a run for a person to check, or correct the run by the answers.

    Without --budget and --answers, the rows are shown in Renumics Spotlight (pip install
    'nbam-pyro[spotlight]'). The run folder does not change.
    """
    with mistakes():
        from nbam_pyro.cli.runs import open_spotlight
        from nbam_pyro.errors import DataError

        further = any(one is not None for one in (design, goal, seed))
        if answers is not None and (budget is not None or further):
            raise DataError(
                "--answers reads a table that was drawn before. Leave out --budget, --design, "
                "--for and --seed."
            )
        if budget is None and answers is None and (further or out is not None or overwrite):
            raise DataError(
                "Give --budget to draw rows for a review, or --answers to read the answers. "
                "Without any option, nbam review shows the rows in Spotlight."
            )
        lines: list[str] = []
        if answers is not None:
            lines = _corrected(run, answers, _place(out), overwrite=overwrite)
        elif budget is not None:
            lines = _drawn(
                run,
                _place(out),
                budget=budget,
                design=design,
                goal=goal,
                seed=seed,
                overwrite=overwrite,
            )
        else:
            open_spotlight(run, say=say)
    for line in lines:
        say(line)


def _place(out: Path | None) -> Path:
    from nbam_pyro.errors import DataError

    if out is None:
        raise DataError("Give --out, the CSV file or the folder to write.")
    return out


def _corrected(run: Path, answers: Path, out: Path, *, overwrite: bool) -> list[str]:
    from nbam_pyro.cli.runs import correct_run, corrected_lines

    lines = corrected_lines(correct_run(run, answers, out, overwrite=overwrite))
    return [*lines, f"All rows are in {out}/reviewed.csv, with their corrected responsibilities."]


def _drawn(
    run: Path,
    out: Path,
    *,
    budget: int,
    design: str | None,
    goal: str | None,
    seed: int | None,
    overwrite: bool,
) -> list[str]:
    from nbam_pyro.cli.runs import draw_review

    table = draw_review(
        run,
        out,
        budget=budget,
        design=design,
        goal=goal,
        seed=0 if seed is None else seed,
        overwrite=overwrite,
    )
    column = table.columns[-1]
    more = ", or the column true_label" if "true_label" in table else ""
    lines = [f"{len(table)} rows are in {out}. Fill in the column {column}: 1 or 0{more}."]
    if "inclusion_probability" in table:
        return [
            *lines,
            "Go from top to bottom, and keep all rows: it is a random sample. Then run "
            f"nbam review {run} --answers {out} --out FOLDER.",
        ]
    return [
        *lines,
        "These rows were not drawn at random, so they cannot correct the share. Run "
        f"nbam verify {run} {out} --out verified.csv, and fit again with --verified "
        "verified.csv.",
    ]
