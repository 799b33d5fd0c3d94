"""Parts of documents that are made from rows, between two markers."""

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
    """A table and a picture of a document.

    Attributes:
        name: Name on the command line.
        results: File of rows.
        document: Document whose markers the text is written between, or None.
        text: Makes the text from one row per case, or None.
        figure: File of the picture, or None.
        draw: Makes the picture from one row per case, or None.
    """

    name: str
    results: Path
    document: Path | None = None
    text: Callable[[pd.DataFrame], str] | None = None
    figure: Path | None = None
    draw: Callable[[pd.DataFrame], Figure] | None = None

    def at(self, *, results: Path | None, document: Path | None, figure: Path | None) -> "Report":
        """The same report of other files. None leaves a file as it is."""
        return replace(
            self,
            results=results or self.results,
            document=document or self.document,
            figure=figure or self.figure,
        )

    def write(self) -> None:
        """Write the text and the picture.

        Raises:
            DataError: There are no rows, or the document has no markers.
        """
        rows = wide(read(self.results))
        if self.figure is not None and self.draw is not None:
            picture = self.draw(rows)
            picture.savefig(self.figure, dpi=120)
            plt.close(picture)
        if self.document is not None and self.text is not None:
            insert(self.document, self.text(rows), made_by=self.name)


def insert(document: Path, text: str, *, made_by: str) -> None:
    """Put a text between the markers of a document.

    Args:
        document: Document that has the lines of `markers`.
        text: Text to stand between them.
        made_by: Name of the report.

    Raises:
        DataError: The document has no markers.
    """
    whole = document.read_text() if document.exists() else ""
    head, tail = markers(made_by)
    before, start, rest = whole.partition(head)
    _, end, after = rest.partition(tail)
    if not (start and end):
        raise DataError(f"{document} has no lines {head} and {tail}; add them where tables belong.")
    document.write_text(f"{before}{start}\n\n{text}\n{end}{after}")


def markers(made_by: str) -> tuple[str, str]:
    """The lines before and after what a report makes."""
    return (
        f"<!-- made by python -m benchmarks report {made_by} -->",
        f"<!-- end of report {made_by} -->",
    )
