"""The work of `nbam review` without a table: rows of a run in Renumics Spotlight."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from nbam_pyro.cli.runs.exporting import read_rows
from nbam_pyro.cli.runs.row_contents import with_contents
from nbam_pyro.errors import DataError
from nbam_pyro.exchange import spotlight_issues, spotlight_table

__all__ = ["open_spotlight"]


def open_spotlight(run: Path, *, say: Callable[[str], None] = lambda _: None) -> None:
    """Show the rows of a run in Renumics Spotlight, until its last browser tab is closed.

    The run folder does not change. Spotlight serves the rows on this computer only.

    Args:
        run: Run folder.
        say: Function that is called with each message about what is shown.

    Raises:
        DataError: Spotlight is not installed.
        FolderError: The run is incomplete or was changed.
    """
    try:
        from renumics import spotlight  # type: ignore[import-not-found]
        from renumics.spotlight import layout  # type: ignore[import-not-found]
        from renumics.spotlight.analysis import DataIssue  # type: ignore[import-not-found]
    except ImportError as error:
        raise DataError(
            "Renumics Spotlight is not installed. Install it with pip install "
            f"'nbam-pyro[spotlight]', or use nbam report {run} instead."
        ) from error
    rows, level = read_rows(run)
    files = {row: str(Path(file).absolute()) for row, file in rows.media.items()}
    rows, missing = with_contents(run, replace(rows, media=files), typed=True)
    table = spotlight_table(rows)
    say(f"Spotlight shows {len(table)} rows. Close its browser tab to end.")
    if missing:
        say(f"Note: Cells and images are not shown: {missing}")
    if level == "cannot tell":
        say("Verdict: cannot tell. Use the rows as an order for people, not as flags.")
    parts = layout.split(
        layout.tab(layout.table(), weight=70), layout.tab(layout.issues(), weight=30), weight=60
    )
    viewer = spotlight.show(
        table,
        dtype={"image": "Image"} if rows.media else None,
        issues=[DataIssue(**one) for one in spotlight_issues(rows)],
        layout=layout.layout(parts, layout.tab(layout.inspector(), weight=40)),
        wait=False,
    )
    try:
        viewer.close(wait=True)
    finally:
        viewer.close()  # Ctrl-C must not leave its server behind
