"""The page: one HTML file without any connection to other files or to the network."""

import base64
import hashlib
from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from nbam_pyro.errors import printable
from nbam_pyro.outputs.wording.sentences import percent
from nbam_pyro.pages.contents import Contents
from nbam_pyro.pages.findings import Findings
from nbam_pyro.pages.listing import listing_of
from nbam_pyro.pages.next_steps import next_steps
from nbam_pyro.pages.pictures import NAMED, pictures_of
from nbam_pyro.pages.sentences import (
    WORDS,
    directions,
    how_much,
    how_sure,
    meaning,
    new_rows,
    sides,
)
from nbam_pyro.pages.tables import by_class, by_group, matrix_rows
from nbam_pyro.pages.texts import shortened

__all__ = ["SHOWN", "page"]

SHOWN = 500
"""Number of suspicious rows in the list of a page."""

# Largest size of a page in bytes. A page with long cells shows fewer rows.
_LARGEST = 5_000_000
# Fewer columns of numbers have no map.
_MAPPED = 2
_HINT = (
    "In Python, known_flips measures it: it flips some labels on purpose, and fits again. Give its "
    "result to report."
)
_MANY_CLASSES = (
    f"The prior is shown beside the posterior for up to {NAMED} classes, and here are more."
)


def page(
    findings: Findings, contents: Contents | None, *, missing: str = "", show_rows: bool = True
) -> str:
    """Return the HTML of a page.

    Args:
        findings: What was found.
        contents: Contents of all rows of the data; None if they are not known.
        missing: Sentence that says why the contents are not known.
        show_rows: Whether the list of suspicious rows, and notes about cells, are in the page.

    Raises:
        DataError: An image cannot be read.
    """
    parts = PackageLoader("nbam_pyro.pages", "parts")
    environment = Environment(
        loader=parts,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"text": shortened, "percent": percent, "safe_text": printable}
    shown = contents if show_rows else None
    script, style = (parts.get_source(environment, name)[0] for name in ("page.js", "page.css"))
    pictures = pictures_of(findings, _features(findings, shown))
    fixed: dict[str, Any] = {
        "findings": findings,
        "title": f"{WORDS[findings.kind].title} in {shortened(findings.data)}",
        "words": WORDS[findings.kind],
        "meaning": meaning(findings),
        "how_much": how_much(findings),
        "new_rows": new_rows(findings),
        "how_sure": list(how_sure(findings)),
        "directions": _records(directions(findings)),
        "sides": sides(findings),
        "reliability_hint": _HINT if findings.kind == "labels" else "",
        "matrix": matrix_rows(findings),
        "classes": _records(by_class(findings)),
        "groups": _records(by_group(findings)),
        "pictures": pictures,
        "about_tree": findings.about_tree
        if "rates" in pictures or findings.tree is None
        else _MANY_CLASSES,
        "steps": next_steps(findings),
        "version": version("nbam-pyro"),
        "missing": missing,
        "script": Markup(script),
        "script_hash": base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        "style": Markup(style),
    }
    most = SHOWN if show_rows else 0
    while True:
        listing = listing_of(findings, shown, most=most) if show_rows else None
        html = environment.get_template("page.html").render(fixed | {"listing": listing})
        if len(html.encode()) <= _LARGEST or most <= 1:
            return html
        most //= 2


def _records(table: pd.DataFrame | None) -> list[dict[str, Any]] | None:
    if table is None:
        return None
    return [{str(name): one[name] for name in one} for one in table.to_dict("records")]


def _features(findings: Findings, contents: Contents | None) -> np.ndarray | None:
    """Return numbers of each row for a map, (N, D); None if the contents have too few."""
    if contents is None or contents.table is None:
        return None
    features = contents.table.drop(columns=list(contents.beside), errors="ignore")
    numbers = features.loc[findings.rows.index].select_dtypes("number").astype(float)
    numbers = numbers.replace([np.inf, -np.inf], np.nan)
    numbers = numbers.fillna(numbers.median()).dropna(axis=1)
    spread = numbers.loc[:, numbers.std() > 0]
    return spread.to_numpy() if spread.shape[1] >= _MAPPED else None
