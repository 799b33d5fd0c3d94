"""Tables and figures of documents, made from kept rows. Text is written between two markers."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import final

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from benchmarks.rows import read, wide
from nbam_pyro.errors import DataError

__all__ = ["DOCS", "RESULTS", "Report", "insert", "markers"]

RESULTS = Path(__file__).parent / "results"
DOCS = Path(__file__).parent.parent / "docs"


@final
@dataclass(frozen=True, kw_only=True)
class Report:
    """A table and a figure of a document, made from one file of rows.

    Attributes:
        name: Name on the command line.
        results: Parquet file of rows to read.
        document: Document that contains the markers, or None if the report has no text.
        text: Function that makes the text from one row per case, or None.
        figure: Image file to write, or None if the report has no figure.
        draw: Function that draws the figure from one row per case, or None.
    """

    name: str
    results: Path
    document: Path | None = None
    text: Callable[[pd.DataFrame], str] | None = None
    figure: Path | None = None
    draw: Callable[[pd.DataFrame], Figure] | None = None

    def at(self, *, results: Path | None, document: Path | None, figure: Path | None) -> "Report":
        """Return this report with other files. The file stays the same where the value is None."""
        return replace(
            self,
            results=results or self.results,
            document=document or self.document,
            figure=figure or self.figure,
        )

    def write(self) -> None:
        """Write the text into the document and draw the figure.

        Raises:
            DataError: The file of rows cannot be read, or the document has no markers.
        """
        rows = wide(read(self.results))
        if self.figure is not None and self.draw is not None:
            picture = self.draw(rows)
            picture.savefig(self.figure, dpi=120)
            plt.close(picture)
        if self.document is not None and self.text is not None:
            insert(self.document, self.text(rows), made_by=self.name)


def insert(document: Path, text: str, *, made_by: str) -> None:
    """Replace the text between the markers of a document.

    Args:
        document: Document that contains both lines of `markers`.
        text: New text between the markers.
        made_by: Name of the report.

    Raises:
        DataError: The document has no markers.
    """
    whole = document.read_text() if document.exists() else ""
    head, tail = markers(made_by)
    before, start, rest = whole.partition(head)
    _, end, after = rest.partition(tail)
    if not (start and end):
        raise DataError(f"{document} lacks the lines {head} and {tail}. Add both to the document.")
    document.write_text(f"{before}{start}\n\n{text}\n{end}{after}")


def markers(made_by: str) -> tuple[str, str]:
    """Return the line before and the line after the text of a report."""
    return (
        f"<!-- made by python -m benchmarks report {made_by} -->",
        f"<!-- end of report {made_by} -->",
    )
