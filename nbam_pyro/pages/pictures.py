"""Pictures of a page as SVG, in the colours of the text around them, with text alternatives."""

import io
import re
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.colors import same_color
from matplotlib.figure import Figure

from nbam_pyro import plots
from nbam_pyro.outputs.wording.sentences import percent
from nbam_pyro.pages.findings import Findings
from nbam_pyro.pages.sentences import WORDS
from nbam_pyro.pages.texts import short_names, shortened

__all__ = ["NAMED", "Picture", "pictures_of"]

NAMED = 40
"""More classes than this are not drawn by name."""

# Size of a picture in inches, which is also its size in a narrow window; least height of a picture
# with a bar for each class, and height of a bar.
_WIDTH, _HEIGHT, _LOWEST, _BAR = 4.6, 3.5, 1.8, 0.22
# Stands for the colour of the text of the page. No plot uses it.
_INK = "#010203"


@dataclass(frozen=True, kw_only=True)
class Picture:
    """Picture of a page.

    Attributes:
        name: Name of the picture, for identifiers in the page.
        title: Title.
        text: Text alternative, which says what the picture shows.
        svg: The picture.
    """

    name: str
    title: str
    text: str
    svg: Markup


def pictures_of(findings: Findings, features: np.ndarray | None) -> dict[str, Picture]:
    """Return the pictures of a page by name.

    Args:
        findings: What was found.
        features: Numbers of each row of the findings, for a map, (N, D); None without them.
    """
    return {picture.name: picture for picture in _pictures(findings, features)}


def _pictures(findings: Findings, features: np.ndarray | None) -> Iterator[Picture]:
    r, words = findings.responsibility, WORDS[findings.kind]
    high, low = int((r > 0.9).sum()), int((r < 0.1).sum())
    yield _picture(
        "certainty",
        "How sure the probabilities are",
        f"Histogram of the probability that a {words.one} is contaminated. {high:,} rows are above "
        f"90%, {low:,} are below 10%, and {len(r) - high - low:,} are in between.",
        lambda ax: plots.responsibilities(r, ax=ax),
    )
    if r.sum() >= 1:
        yield _picture(
            "thresholds",
            "What a threshold finds",
            _thresholds_text(findings),
            lambda ax: plots.precision_recall(
                r if findings.truth is None else findings.truth.responsibility,
                None if findings.truth is None else findings.truth.contaminated,
                ax=ax,
            ),
        )
    if findings.truth is not None:
        known = findings.truth
        yield _picture(
            "reliability",
            "Are the probabilities right?",
            _reliability_text(known.responsibility, known.contaminated),
            lambda ax: plots.reliability(known.responsibility, known.contaminated, ax=ax),
        )
    if findings.tree is not None and len(findings.classes or []) <= NAMED:
        tree = findings.tree
        yield _picture(
            "rates",
            "What the data add to the prior",
            _rates_text(findings),
            lambda ax: plots.rate_posterior(tree, ax=ax),
            bars=2 * len(findings.classes or [1]),
        )
    if findings.class_rates is not None and len(findings.class_rates) <= NAMED:
        table = findings.class_rates
        table = table.assign(**{"class": short_names(table["class"].tolist())})
        yield _picture(
            "classes",
            "Wrong labels by class",
            "Share of wrong labels of each true class: "
            + "; ".join(
                f"{one['class']} {percent(one['rate'])} ({percent(one['low'])} to "
                f"{percent(one['high'])})"
                for one in table.sort_values("rate", ascending=False).to_dict("records")
            )
            + ".",
            lambda ax: plots.class_rates(table, ax=ax),
            bars=len(table),
        )
    if features is not None:
        by = None
        if findings.kind == "labels":
            by = findings.rows["label"].map(lambda label: shortened(label, most=20))
        yield _picture(
            "map",
            "Where the flagged rows are",
            f"Map of {len(r):,} rows. Rows that are alike lie near each other. Rings mark "
            f"{int(findings.flagged.sum()):,} flagged rows.",
            lambda ax: plots.embedding_map(findings.flagged.astype(float), features, by=by, ax=ax),
        )


def _thresholds_text(findings: Findings) -> str:
    r = findings.responsibility
    parts = []
    for threshold in (0.5, 0.9):
        above = r > threshold
        if above.any():
            parts.append(
                f"flagging above {threshold:.0%} gives {int(above.sum()):,} flags, of which "
                f"{percent(r[above].mean(), 0)} are expected to be right, and finds "
                f"{percent(r[above].sum() / r.sum(), 0)} of all that is contaminated"
            )
    text = "; ".join(parts) or "no row has a probability above 50%"
    return f"Precision and recall of flags by threshold: {text}."


def _reliability_text(r: np.ndarray, contaminated: np.ndarray) -> str:
    parts = []
    for low, high in ((0.0, 0.1), (0.1, 0.5), (0.5, 0.9), (0.9, 1.0)):
        inside = (r >= low) & ((r < high) if high < 1 else (r <= high))
        if inside.any():
            parts.append(
                f"of {int(inside.sum()):,} rows between {low:.0%} and {high:.0%}, with a mean "
                f"probability of {percent(r[inside].mean(), 0)}, "
                f"{percent(contaminated[inside].mean(), 0)} are contaminated"
            )
    return f"Stated against true contamination: {'; '.join(parts)}."


def _rates_text(findings: Findings) -> str:
    tree = findings.tree
    if tree is None:
        return ""
    name = next(one for one in ("rate", "contamination") if one in tree.posterior.data_vars)
    names = short_names(findings.classes or ["all rows"])
    parts = []
    prior, posterior = (
        tree[group][name].to_numpy().reshape(-1, len(names)) for group in ("prior", "posterior")
    )
    for place, one in enumerate(names):
        before, after = (np.quantile(draws[:, place], [0.05, 0.95]) for draws in (prior, posterior))
        parts.append(
            f"{one} {percent(after[0])} to {percent(after[1])} (before the data "
            f"{percent(before[0])} to {percent(before[1])})"
        )
    what = "contaminated share" if name == "contamination" else "rate of contamination"
    return f"90% intervals of the {what}: {'; '.join(parts)}."


def _picture(
    name: str, title: str, text: str, draw: Callable[[Axes], Axes], *, bars: int = 0
) -> Picture:
    height = max(_LOWEST, 1.1 + _BAR * bars) if bars else _HEIGHT
    figure = Figure(figsize=(_WIDTH, height), layout="constrained")
    ax = draw(figure.subplots())
    ax.set_title("")  # the page has it as text
    legend = ax.get_legend()
    if legend is not None:
        legend.remove()  # it would hide a part of a small picture
        handles, labels = ax.get_legend_handles_labels()
        figure.legend(
            handles, labels, loc="outside lower center", ncols=2, fontsize="small", frameon=False
        )
    _ink(figure)
    file = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None}, dpi=120)
    return Picture(name=name, title=title, text=text, svg=_inline(file.getvalue(), name))


def _ink(figure: Figure) -> None:
    """Give texts, ticks and frames the colour of the text of the page."""
    for artist in figure.findobj():
        colour = getattr(artist, "get_color", None) or getattr(artist, "get_edgecolor", None)
        if colour is not None and hasattr(artist, "set_color") and _is_black(colour()):
            artist.set_color(_INK)


def _is_black(colour: object) -> bool:
    return isinstance(colour, str | tuple) and same_color(colour, "black")


def _inline(svg: str, name: str) -> Markup:
    """Return an SVG to write into a page, with identifiers that no other picture has."""
    svg = svg[svg.index("<svg") :].replace(_INK, "currentColor")
    svg = re.sub(r'(\bid="|url\(#|xlink:href="#)', rf"\g<1>{name}-", svg)
    svg = svg.replace("<svg ", '<svg aria-hidden="true" focusable="false" ', 1)
    return Markup(svg)
