"""A plot of the generative story as a graph."""

from typing import Any

import matplotlib.pyplot as plt
import networkx as nx
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch
from pyro.infer.inspect import get_model_relations

from nbam_pyro.errors import DataError
from nbam_pyro.inference import Fit
from nbam_pyro.models import Story
from nbam_pyro.models.stories.sites import local_parameters
from nbam_pyro.plots.sources import fit_of, story_of
from nbam_pyro.training.contexts import evaluated
from nbam_pyro.training.tensors import as_tensor, in_precision, precision_of

__all__ = ["story"]


def story(one: Any, x: Any = None, y: Any = None, *, ax: Axes | None = None) -> Axes:
    r"""Draw the dependencies between the random variables of a story as a graph.

    Observed variables are grey. A dashed box contains the variables that exist once per datum. In
    contrast to `pyro.render_model`, this function does not need Graphviz.

    Args:
        one: A story, a `Fit`, or a fitted estimator.
        x: A few rows to run the story once. None for a fit or an estimator, which do not need rows.
        y: Targets of these rows, or None.
        ax: Axes to draw on; None for the current axes.

    Raises:
        DataError: The object contains no story, or the story cannot be run on these rows.

    Example:
        >>> import torch
        >>> from nbam_pyro import LabelFlip
        >>> x, y = torch.zeros(2, 4), torch.zeros(2, dtype=torch.long)
        >>> axes = story(LabelFlip(torch.nn.Linear(4, 3), 3), x, y)
        >>> names = {text.get_text().split("\n")[0] for text in axes.texts}
        >>> {"rate", "true_label", "switch", "y"} <= names
        True
    """
    model = story_of(one)
    x, y = _rows(fit_of(one), x, y, precision_of(model))
    relations = _relations(model, x, y)
    families, observed = relations["sample_dist"], set(relations["observed"])
    graph = nx.DiGraph()
    for site, parents in relations["sample_sample"].items():
        graph.add_node(site)
        graph.add_edges_from((parent, site) for parent in parents if parent != site)
    plates = relations["plate_sample"]
    at = _layout(graph, {site for members in plates.values() for site in members})
    ax = ax or plt.gca()
    xs, ys = zip(*at.values(), strict=True)
    ax.set_xlim(min(xs) - 0.8, max(xs) + 0.8)
    ax.set_ylim(min(ys) - 0.8, max(ys) + 0.5)
    ax.set_axis_off()
    ax.set_title(type(model).__name__)
    size = _font_size(ax)
    for depth, (plate, members) in enumerate(plates.items()):
        _box(ax, str(plate), [at[site] for site in members], depth, size)
    boxes = {}
    for site, (across, up) in at.items():
        colour = "lightgrey" if site in observed else "white"
        style = {"boxstyle": "round,pad=0.4", "facecolor": colour, "edgecolor": "black"}
        label = f"{site}\n{families[site]}"
        boxes[site] = ax.text(
            across, up, label, ha="center", va="center", fontsize=size, bbox=style, zorder=3
        )
    for parent, site in graph.edges:
        ax.annotate(
            "",
            at[site],
            at[parent],
            arrowprops={
                "arrowstyle": "-|>",
                "color": "dimgrey",
                # Arrows end at the boxes for any size of the axes.
                "patchA": boxes[parent].get_bbox_patch(),
                "patchB": boxes[site].get_bbox_patch(),
                "shrinkA": 0,
                "shrinkB": 0,
                "connectionstyle": f"arc3,rad={_bend(at, parent, site)}",
            },
            zorder=4,  # Arrows need the sizes of the boxes, so they are drawn later.
        )
    return ax


def _rows(source: Any, x: Any, y: Any, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    """Return rows to run a story on.

    Args:
        source: A story or a `Fit`.
        x: Rows; None means rows of zeros with the shape of the training rows.
        y: Targets of the rows.
        dtype: Floating-point type of the story.
    """
    if x is None and y is None and isinstance(source, Fit):
        return source.kind.blank(2, dtype)
    if x is None or y is None:
        raise DataError("The story cannot be run without rows. Give a few rows x and targets y.")
    try:
        return in_precision(as_tensor(x), dtype), as_tensor(y)
    except (TypeError, ValueError) as error:
        raise DataError(f"The story cannot take these rows: {error}.") from error


def _relations(model: Story, x: torch.Tensor, y: torch.Tensor) -> dict[str, Any]:
    """Return the dependencies between variables, which Pyro finds."""
    try:
        with local_parameters():
            relations: dict[str, Any] = get_model_relations(evaluated(model), model_args=(x, y))
    except (RuntimeError, ValueError, IndexError, KeyError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(
            f"{type(model).__name__} cannot be run on rows of shapes {tuple(x.shape)} and "
            f"{tuple(y.shape)}: {reason}."
        ) from error
    return relations


def _font_size(ax: Axes) -> float:
    """Return the largest font size, up to 8, that leaves room for arrows between two lines."""
    inches = ax.get_window_extent().height / ax.figure.dpi
    lines = abs(ax.get_ylim()[1] - ax.get_ylim()[0])
    return float(np.clip(0.17 * 72 * inches / lines, 3, 8))


def _bend(at: dict[str, tuple[float, float]], one: str, other: str) -> float:
    """Return the curvature, 0 for straight, with which an arrow avoids other boxes."""
    start, way = np.array(at[one]), np.subtract(at[other], at[one])
    side = np.array(
        [way[1], -way[0]]
    )  # Side to which matplotlib curves an arrow of positive radius.
    for site, point in at.items():
        share = (point - start) @ way / (way @ way)
        off = point - start - share * way
        if site not in (one, other) and 0 < share < 1 and np.linalg.norm(off) < 0.26:
            return 0.45 if np.linalg.norm(off) < 0.05 else -0.15 * float(np.sign(side @ off))
    return 0.0


def _layout(graph: nx.DiGraph, local: set[str]) -> dict[str, tuple[float, float]]:
    """Return positions: global variables in the first line, and causes above effects."""
    lines = [[site for site in graph if site not in local]]
    lines += nx.topological_generations(graph.subgraph(local))
    at = {}
    for number, sites in enumerate(line for line in lines if line):
        for place, site in enumerate(sites):
            at[site] = (place - (len(sites) - 1) / 2, -float(number))
    return at


def _box(ax: Axes, name: str, points: list[tuple[float, float]], depth: int, size: float) -> None:
    across, up = zip(*points, strict=True)
    pad = 0.42 + 0.08 * depth
    corner = (min(across) - pad - 0.15, min(up) - pad)
    width, height = max(across) - min(across) + 2 * pad + 0.3, max(up) - min(up) + 2 * pad
    ax.add_patch(
        FancyBboxPatch(
            corner,
            width,
            height,
            boxstyle="round,pad=0.02",
            facecolor="none",
            edgecolor="tab:blue",
            linestyle="--",
            zorder=0,
        )
    )
    place = (corner[0] + width * (1 - 0.4 * depth), corner[1])
    ax.text(*place, name, ha="right", va="bottom", color="tab:blue", fontsize=size)
