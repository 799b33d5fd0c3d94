"""Parts of documents that are made by a command, between two markers."""

from pathlib import Path

from nbam_pyro.errors import DataError


def insert(document: Path, text: str, *, made_by: str) -> None:
    """Put text between the markers of a document.

    Args:
        document: which has the lines of `markers`.
        text: to stand between them.
        made_by: the module that makes the text.

    Raises:
        DataError: it has no markers.
    """
    whole = document.read_text() if document.exists() else ""
    head, tail = markers(made_by)
    before, start, rest = whole.partition(head)
    _, end, after = rest.partition(tail)
    if not (start and end):
        raise DataError(f"{document} has no lines {head} and {tail}; add them where tables belong.")
    document.write_text(f"{before}{start}\n\n{text}\n{end}{after}")


def markers(made_by: str) -> tuple[str, str]:
    """The lines before and after what a module makes."""
    return f"<!-- made by {made_by} -->", f"<!-- end of {made_by} -->"
