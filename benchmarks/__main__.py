"""Command line of the benchmarks.

python -m benchmarks list
python -m benchmarks run label-noise --data digits --kinds asymmetric --rates 0.4 --out rows.parquet
python -m benchmarks show benchmarks/results/regression.parquet
python -m benchmarks report label-noise
"""

import sys
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.benchmark import name_of
from benchmarks.catalogue import BENCHMARKS, REPORTS
from benchmarks.options import one_of
from benchmarks.rows import read, wide
from benchmarks.running import command_of
from nbam_pyro.errors import NBAMError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Benchmarks of the speed and quality of nbam_pyro.",
)
runs = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Run one benchmark.")
app.add_typer(runs, name="run")
for _benchmark in BENCHMARKS:
    runs.command(name_of(_benchmark))(command_of(_benchmark))


@app.command("list")
def list_names() -> None:
    """Print the name of every benchmark and what it measures."""
    for benchmark in BENCHMARKS:
        typer.echo(f"{name_of(benchmark):20} {(benchmark.__doc__ or '').splitlines()[0]}")


@app.command()
def show(file: Annotated[Path, typer.Argument(help="Parquet file of rows.")]) -> None:
    """Print the summary of the results in a file of rows."""
    lines = read(file)
    by_name = {name_of(benchmark): benchmark for benchmark in BENCHMARKS}
    for name, part in lines.groupby("benchmark"):
        rows, benchmark = wide(part), by_name.get(str(name))
        typer.echo(rows.to_string() if benchmark is None else benchmark.summary(rows))


@app.command()
def report(
    name: Annotated[
        str,
        typer.Argument(
            parser=one_of(report.name for report in REPORTS),
            metavar="NAME",
            help="Name of the report.",
        ),
    ],
    results: Annotated[Path | None, typer.Option(help="Parquet file of rows to read.")] = None,
    document: Annotated[Path | None, typer.Option(help="Document to update.")] = None,
    figure: Annotated[Path | None, typer.Option(help="Image file to write.")] = None,
) -> None:
    """Update the tables and figures of a document from kept results."""
    chosen = next(report for report in REPORTS if report.name == name)
    chosen.at(results=results, document=document, figure=figure).write()


def main(arguments: list[str] | None = None) -> None:
    """Run a command. An error in the data prints one line and exits with code 2."""
    try:
        app(arguments)
    except (NBAMError, OSError) as error:
        typer.echo(f"benchmarks: {' '.join(str(error).split())}", err=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
