"""`report`: writes what was found as one HTML file."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nbam_pyro.pages.contents import contents_of
from nbam_pyro.pages.page import page
from nbam_pyro.pages.sources import Given, findings_of, rows_of
from nbam_pyro.storage import new_file

__all__ = ["report"]


def report(
    source: Any,
    path: str | Path,
    *,
    rows: Any = None,
    y: Any = None,
    names: Sequence[Any] | None = None,
    prediction: Any = None,
    by: Any = None,
    known: Any = None,
    data: str = "data",
    show_rows: bool = True,
    overwrite: bool = False,
) -> None:
    """Write a report that a person can read: one HTML file, which opens without a network.

    The report says how much is contaminated, in which directions, how sure this is, and what cannot
    be told and why. It lists the 500 most suspicious rows that nobody has verified, and what to do
    next. The list can be searched and sorted. A responsibility is the probability that a row is
    contaminated, P(z=1 | x, y).

    The file has less than 5 MB. If rows have so long cells that it would be larger, fewer rows are
    listed. Texts of the data are shown as texts, whatever they contain.

    Args:
        source: A `Fit`, a fitted estimator, a fitted detector, or the report of `from_pred_probs`,
            `from_predictions` or `from_scores`.
        path: HTML file to write.
        rows: Contents of the N rows: a table (N, D), whose cells that matter are marked; images,
            (N, H, W) or (N, C, H, W); or N paths of image files. None to list rows without them.
        y: Observed targets, (N,), for a `Fit`, which does not keep them; labels are class indices.
        names: Names of the classes, (K,), for a `Fit` or a report; None for their own names.
        prediction: Predicted measurements, (N,), for a `Fit` or an estimator; None to leave them
            out.
        by: Group of each row, such as its source, (N,); None without groups. A pandas column gives
            its name.
        known: Truth, (N,) booleans (True if the row is contaminated), or the result of
            `known_flips`, for the picture of reliability; None if it is unknown.
        data: Name of the data in the title.
        show_rows: Whether to list rows. If False, the file has no contents, labels or names of
            single rows. Names of classes and groups, and numbers of rows, stay.
        overwrite: Whether an existing file may be replaced.

    Raises:
        DataError: The object has nothing to report, something is missing, or lengths differ.
        StoryError: Rows have several targets each.
        FolderError: The file exists and `overwrite` is False, or it cannot be written.

    Example:
        >>> import tempfile
        >>> from nbam_pyro import from_pred_probs
        >>> found = from_pred_probs([0, 1, 0], [[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     report(found, f"{folder}/report.html", names=["ant", "bee"])
        ...     Path(f"{folder}/report.html").read_text()[:15]
        '<!doctype html>'
    """
    given = Given(y=y, names=names, prediction=prediction, by=by, known=known, data=data)
    findings = findings_of(source, given)
    contents = None if rows is None else contents_of(rows, rows_of(source))
    html = page(findings, contents, show_rows=show_rows)
    with new_file(Path(path), overwrite=overwrite) as draft:
        draft.write_text(html, encoding="utf-8")
