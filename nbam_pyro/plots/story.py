"""The generative story as a picture."""

from typing import Any

import matplotlib.pyplot as plt
import networkx as nx
from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch
from pyro.infer.inspect import get_model_relations

from nbam_pyro.inference.guides import evaluating
from nbam_pyro.inference.rows import as_tensor
from nbam_pyro.models import Story
from nbam_pyro.models.story import local_parameters

__all__ = ["story"]


def story(one: Story, x: Any, y: Any, *, ax: Axes | None = None) -> Axes:
    r"""Which site depends on which: what is observed is grey, what belongs to a datum is boxed.

    As `pyro.render_model` has it, which needs Graphviz to be installed; this does not.

    Args:
        one: any story.
        x: a few rows, enough to run it once.
        y: their targets.
        ax: where to draw; the current axes if None.

    Example:
        >>> import torch
        >>> from nbam_pyro import LabelFlip
        >>> x, y = torch.zeros(2, 4), torch.zeros(2, dtype=torch.long)
        >>> axes = story(LabelFlip(torch.nn.Linear(4, 3), 3), x, y)
        >>> names = {text.get_text().split("\n")[0] for text in axes.texts}
        >>> {"rate", "true_label", "switch", "y"} <= names
        True
    """
    ax = ax or plt.gca()
    with evaluating(one), local_parameters():
        relations = get_model_relations(one, model_args=(as_tensor(x), as_tensor(y)))
    families, observed = relations["sample_dist"], set(relations["observed"])
    graph = nx.DiGraph()
    for site, parents in relations["sample_sample"].items():
        graph.add_node(site)
        graph.add_edges_from((parent, site) for parent in parents if parent != site)
    plates = relations["plate_sample"]
    at = _layout(graph, {site for members in plates.values() for site in members})
    for depth, (plate, members) in enumerate(plates.items()):
        _box(ax, str(plate), [at[site] for site in members], depth)
    for parent, site in graph.edges:
        arrow = {"arrowstyle": "-|>", "color": "grey", "shrinkA": 18, "shrinkB": 18}
        ax.annotate("", at[site], at[parent], arrowprops=arrow, zorder=1)
    for site, (across, up) in at.items():
        colour = "lightgrey" if site in observed else "white"
        style = {"boxstyle": "round,pad=0.4", "facecolor": colour, "edgecolor": "black"}
        label = f"{site}\n{families[site]}"
        ax.text(across, up, label, ha="center", va="center", fontsize=8, bbox=style, zorder=3)
    xs, ys = zip(*at.values(), strict=True)
    ax.set_xlim(min(xs) - 0.8, max(xs) + 0.8)
    ax.set_ylim(min(ys) - 0.8, max(ys) + 0.5)
    ax.set_axis_off()
    ax.set_title(type(one).__name__)
    return ax


def _layout(graph: nx.DiGraph, local: set[str]) -> dict[str, tuple[float, float]]:
    """Global latents in the first line, then what belongs to a datum, causes above effects."""
    lines = [[site for site in graph if site not in local]]
    lines += nx.topological_generations(graph.subgraph(local))
    at = {}
    for number, sites in enumerate(line for line in lines if line):
        for place, site in enumerate(sites):
            at[site] = (place - (len(sites) - 1) / 2, -float(number))
    return at


def _box(ax: Axes, name: str, points: list[tuple[float, float]], depth: int) -> None:
    across, up = zip(*points, strict=True)
    pad = 0.42 + 0.08 * depth
    corner = (min(across) - pad - 0.15, min(up) - pad)
    size = (max(across) - min(across) + 2 * pad + 0.3, max(up) - min(up) + 2 * pad)
    ax.add_patch(
        FancyBboxPatch(
            corner,
            *size,
            boxstyle="round,pad=0.02",
            facecolor="none",
            edgecolor="tab:blue",
            linestyle="--",
            zorder=0,
        )
    )
    place = (corner[0] + size[0] * (1 - 0.4 * depth), corner[1])
    ax.text(*place, name, ha="right", va="bottom", color="tab:blue", fontsize=8)
