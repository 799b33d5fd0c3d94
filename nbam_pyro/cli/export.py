"""`nbam export`."""

from pathlib import Path
from typing import Annotated

import typer

from nbam_pyro.cli.common import RunArgument, mistakes, say


def export(
    run: RunArgument,
    *,
    to: Annotated[
        str,
        typer.Option(
            metavar="TOOL",
            help="label-studio (tasks with predictions), argilla (records with suggestions), "
            "fiftyone (samples), spotlight (data issues), cleanlab (columns of Datalab), parquet "
            "or csv (a table with weights).",
        ),
    ],
    rows: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Table of nbam review: only its rows are written, in its order. Default: all "
            "rows.",
        ),
    ] = None,
    rule: Annotated[
        str | None,
        typer.Option(
            metavar="RULE",
            help="Write a cleaned table (--to csv or parquet) without the rows that this rule "
            "chooses: fdr:0.05 (at most this share of them is expected to be right), "
            "costs:FALSE_ALARM,MISS or costs:FALSE_ALARM,MISS,REVIEW (least expected costs), or "
            "budget:200 (the most suspicious rows).",
        ),
    ] = None,
    flagged: Annotated[
        str | None,
        typer.Option(
            help="With --rule: drop leaves the chosen rows out (the default); relabel gives them "
            "the suggested label where its probability is at least 0.9, and leaves out the others."
        ),
    ] = None,
    anyway: Annotated[
        bool,
        typer.Option("--anyway", help="Apply a rule although the verdict is cannot tell."),
    ] = False,
    prefix: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            help="Text in front of the names of pictures, for instance "
            "/data/local-files/?d=pictures/ for Label Studio. Default: the folder of the data.",
        ),
    ] = None,
    out: Annotated[Path, typer.Option(metavar="FILE", help="File to write.")],
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the file if it exists.")
    ] = False,
) -> None:
    """Write the rows of a run for a tool in which people review data, or a cleaned table.

    The run folder does not change.
    """
    with mistakes():
        from nbam_pyro.cli.runs import export_run

        lines = export_run(
            run,
            out,
            to=to,
            rows=rows,
            rule=rule,
            flagged=flagged,
            anyway=anyway,
            prefix=prefix,
            overwrite=overwrite,
        )
    for line in lines:
        say(line)
