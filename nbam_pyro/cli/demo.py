"""`nbam demo`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from nbam_pyro.cli.common import ReplaceRun, RunOut, mistakes, progress_wanted, say


def demo(
    *,
    seed: Annotated[
        int, typer.Option(help="Seed for the split, the flips and the fit.", min=0, max=2**32 - 1)
    ] = 0,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="CSV file to write, with the digits and their partly wrong labels (column digit) "
            "for nbam fit. Test rows have no label.",
        ),
    ] = None,
    out: RunOut = Path("nbam-demo"),
    overwrite: ReplaceRun = False,
) -> None:
    """Fit digits with 40 % wrong labels in five classes and compare the flags with the truth."""
    from rich.console import Console

    console = Console()
    with mistakes():
        from nbam_pyro.storage import check_folder

        check_folder(out, overwrite=overwrite)  # before the slow import
        from nbam_pyro.cli.runs.demonstration import run_demo

        summary = run_demo(
            out,
            data=data,
            seed=seed,
            overwrite=overwrite,
            progress=progress_wanted(),
            say=console.print,
        )
    console.print(_table(summary))
    say(f"Flags, model, posterior and plots are in {out}/ (nbam show {out} shows a summary).")


def _table(summary: dict[str, Any]) -> Any:
    from rich.table import Table

    from nbam_pyro.outputs.wording.sentences import percent

    table = Table(title="Digits, 40 % of the labels of five classes flipped")
    table.add_column("question")
    table.add_column("answer", justify="right")
    table.add_column("truth or alternative", justify="right")
    share = percent(summary["contamination"])
    ends = f"{percent(summary['contamination_low'])} to {percent(summary['contamination_high'])}"
    accuracy = summary["accuracy"], summary["accuracy_cross_entropy"]
    found = f"{summary['directions_found']} found, {summary['directions_false']} false"
    for question, answer, other in [
        ("How many labels are wrong?", share, f"{percent(summary['contamination_true'])} (truth)"),
        ("  with a probability of 90%", ends, ""),
        ("What can the labels tell?", summary["verdict"], ""),
        ("Which flips?", found, f"{summary['directions_total']} (truth)"),
        ("Are the flags right? AUROC", f"{summary['auroc']:.3f}", "1 is perfect, 0.5 is chance"),
        ("  outside the mutual pair 5<->6", f"{summary['auroc_resolvable']:.3f}", ""),
        ("Are the probabilities right? Brier score", f"{summary['brier']:.3f}", "0 is perfect"),
        (
            "How accurate is the predictor?",
            percent(accuracy[0]),
            f"{percent(accuracy[1])} (cross-entropy)",
        ),
        ("How long did it take?", f"{summary['seconds']:.0f} s", ""),
    ]:
        table.add_row(question, answer, other)
    return table
