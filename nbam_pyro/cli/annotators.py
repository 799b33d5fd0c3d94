"""`nbam annotators`."""

from pathlib import Path
from typing import Annotated

import typer

from nbam_pyro.cli.common import ReplaceRun, mistakes, say


def annotators(
    annotations: Annotated[
        Path,
        typer.Argument(
            metavar="ANNOTATIONS",
            help="CSV or Parquet file of labels of several annotators: the columns item, annotator "
            "and label (long); or the column item and one column per annotator, with empty cells "
            "where there is no label (wide).",
        ),
    ],
    *,
    pred_probs: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="CSV or Parquet file of probabilities by any classifier, out of sample: the "
            "column item, and one column per class.",
        ),
    ] = None,
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Folder to write.")] = Path(
        "nbam-annotators"
    ),
    overwrite: ReplaceRun = False,
    seed: Annotated[int, typer.Option(help="Seed of the draws.", min=0, max=2**32 - 1)] = 0,
) -> None:
    """Estimate true labels and the accuracy of annotators from several labels per item.

    The folder gets items.csv (consensus labels), annotators.csv, annotations.csv, copies.csv,
    agreement.csv and report.txt.
    """
    with mistakes():
        from nbam_pyro.cli.runs import annotators_file

        lines = annotators_file(
            annotations, out, pred_probs=pred_probs, overwrite=overwrite, seed=seed
        )
    for line in lines:
        say(line)
    say(f"The results are in {out}/. items.csv has the consensus label of every item.")
