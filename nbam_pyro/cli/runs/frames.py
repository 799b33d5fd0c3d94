"""Frames of videos: their order, the table in this order, and a plot of scores over time."""

import re
import warnings
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from nbam_pyro.cli.runs.overlays import short_name
from nbam_pyro.cli.runs.tables import write_table

__all__ = ["DEPENDENT", "in_order_of_frames", "write_frames"]

DEPENDENT = (
    "frames of a video resemble each other, but the interval and the verdict treat them as "
    "independent images; the interval is too narrow"
)
"""Note for a person who reads the summary of frames."""

# Largest number of videos in the plot.
_MOST = 20
_DIGITS = re.compile(r"(\d+)")
# Height of the plot of one video, and of everything else, in inches.
_HEIGHT, _FURTHER = 1.7, 0.8


def in_order_of_frames(names: Sequence[str]) -> pd.DataFrame:
    """Return the videos and the numbers of frames, in the order of the frames.

    Each folder of images is a video. Numbers in names are compared by their values, so that
    frame_2 comes before frame_10.

    Args:
        names: Paths of images inside a folder, with slashes.

    Returns:
        A table of the columns video (path of the folder; an empty text for images outside of
        folders) and frame (1 for the first image of the video). Its index has the positions of the
        images in `names`.

    Example:
        >>> in_order_of_frames(["b/frame_10.png", "b/frame_2.png", "a/frame_7.png"])
          video  frame
        2     a      1
        1     b      1
        0     b      2
    """
    videos = [name.rpartition("/")[0] for name in names]
    order = sorted(range(len(names)), key=lambda row: (_natural(videos[row]), _natural(names[row])))
    table = pd.DataFrame({"video": [videos[row] for row in order]}, index=order)
    table["frame"] = table.groupby("video").cumcount() + 1
    return table


def write_frames(folder: Path, table: pd.DataFrame, *, threshold: float) -> None:
    """Write frames.csv, the table in the order of the frames, and timeline.png, a plot of it.

    Args:
        folder: Folder that exists.
        table: Table of images with the columns row, score and flagged.
        threshold: Score above which an image has an anomaly.
    """
    table = table.reset_index(drop=True)
    frames = in_order_of_frames([str(row) for row in table["row"]]).join(table)
    write_table(frames, folder / "frames.csv")
    figure = _figure(frames, threshold)
    with warnings.catch_warnings():  # the font may lack letters of a name
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        figure.savefig(folder / "timeline.png", dpi=150)


def _natural(name: str) -> tuple[list[list[str | int]], str]:
    """Return a key by which numbers in names are compared by value, and then the name itself."""
    parts = [
        [int(part) if number % 2 else part for number, part in enumerate(_DIGITS.split(one))]
        for one in name.split("/")
    ]
    return parts, name


def _figure(frames: pd.DataFrame, threshold: float) -> Figure:
    videos = dict(list(frames.groupby("video", sort=False)))
    highest = frames.groupby("video")["score"].max().sort_values(ascending=False, kind="stable")
    shown = [name for name in videos if name in set(highest.index[:_MOST])]
    figure = Figure(figsize=(9, _HEIGHT * len(shown) + _FURTHER), layout="constrained")
    panels = figure.subplots(len(shown), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
    for ax, name in zip(panels, shown, strict=True):
        video = videos[name]
        flagged = video[video["flagged"]]
        ax.plot(video["frame"], video["score"], ".-", color="tab:blue", linewidth=0.8, ms=2)
        ax.plot(flagged["frame"], flagged["score"], ".", color="tab:orange", label="flagged")
        ax.axhline(threshold, color="black", linestyle=":", label="threshold")
        ax.margins(x=0.01)
        ax.set_ylabel("score")
        ax.set_title(
            short_name(str(name), letters=110), fontsize="small", loc="left", parse_math=False
        )
    marks = panels[0].get_legend_handles_labels()
    figure.legend(*marks, loc="outside upper right", fontsize="small", ncols=2)
    panels[-1].set_xlabel("frame")
    if len(shown) < len(videos):
        figure.suptitle(
            f"{len(shown)} of {len(videos)} videos: those with the highest scores",
            fontsize="medium",
        )
    return figure
