"""`nbam demo`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from nbam_pyro.cli.common import mistakes, progress_wanted, say


def demo(
    *,
    seed: Annotated[
        int, typer.Option(help="Seed of split, flips and fit.", min=0, max=2**32 - 1)
    ] = 0,
    out: Annotated[Path, typer.Option(help="Run folder to write.")] = Path("nbam-demo"),
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a run folder.")] = False,
) -> None:
    """Fit digits with 40 % of five classes mislabelled and judge the flags against the truth."""
    from rich.console import Console

    console = Console()
    with mistakes():
        from nbam_pyro.folders import check_folder

        check_folder(out, overwrite=overwrite)  # before the slow import
        from nbam_pyro.demo import run_demo

        summary = run_demo(
            out, seed=seed, overwrite=overwrite, progress=progress_wanted(), say=console.print
        )
    console.print(_table(summary))
    say(f"Flags, model, posterior and plots are in {out}/ (start with nbam show {out}).")


def _table(summary: dict[str, Any]) -> Any:
    from rich.table import Table

    from nbam_pyro.cli.runs.words import percent

    table = Table(title="Digits, 40 % of the labels of five classes flipped")
    table.add_column("question")
    table.add_column("answer", justify="right")
    table.add_column("truth or alternative", justify="right")
    share = summary["contamination_estimate"], summary["contamination_true"]
    accuracy = summary["accuracy"], summary["accuracy_cross_entropy"]
    found = f"{summary['directions_found']} found, {summary['directions_false']} false"
    for question, answer, other in [
        ("How many labels are wrong?", percent(share[0]), f"{percent(share[1])} (truth)"),
        ("Which flips?", found, f"{summary['directions_total']} (truth)"),
        ("Are the flags right? AUROC", f"{summary['auroc']:.3f}", "1 is perfect, .5 is chance"),
        ("  outside the mutual pair 5<->6", f"{summary['auroc_resolvable']:.3f}", ""),
        ("Are the probabilities right? Brier", f"{summary['brier']:.3f}", "0 is perfect"),
        (
            "How good is the predictor?",
            percent(accuracy[0]),
            f"{percent(accuracy[1])} (cross-entropy)",
        ),
        ("How long did it take?", f"{summary['seconds']:.0f} s", ""),
    ]:
        table.add_row(question, answer, other)
    return table
