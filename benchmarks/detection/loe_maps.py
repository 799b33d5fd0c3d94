"""Anomaly maps of images with defects, some of them among the training images."""

import tempfile
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, final

import numpy as np
import pandas as pd
import torch
import typer
from sklearn.metrics import roc_auc_score

from benchmarks.benchmark import CPU, Benchmark, Case, Row
from benchmarks.detection.defect_images import DefectImages
from benchmarks.detection.mvtec import categories, contaminated
from benchmarks.detection.textures import textures
from benchmarks.options import DataRoot, FirstSeed, Names, Seeds, Shares, given
from nbam_pyro.cli.networks.torchscript import read_torchscript
from nbam_pyro.data import image_features, torchvision_data
from nbam_pyro.detection import (
    AnomalyDetector,
    Assignment,
    Blind,
    Hard,
    PatchDetector,
    Soft,
    enlarged_maps,
)
from nbam_pyro.errors import DataError

__all__ = ["LoeMaps"]

_TEXTURES = {"cifar10": "CIFAR10", "fashion": "FashionMNIST"}
_MVTEC = "mvtec"


def _neural(assignment: Assignment) -> Callable[[float, int], Any]:
    """Return a function of share and seed that makes a detector of neural transformations."""

    def make(share: float, seed: int) -> AnomalyDetector:
        return AnomalyDetector(
            assignment=assignment, contamination=share, members=1, epochs=15, random_state=seed
        )

    return make


METHODS: dict[str, Callable[[float, int], Any]] = {
    "neighbours": lambda share, seed: None,
    "blind": _neural(Blind()),
    "soft": _neural(Soft()),
    "hard": _neural(Hard()),
}


def scores_of(maps: np.ndarray, defects: np.ndarray) -> dict[str, float | None]:
    """Return the AUC of pixels and of images; None if there are only defects, or none.

    Args:
        maps: Scores of cells, (N, h, w).
        defects: Pixels of the defects, (N, H, W).
    """
    large = enlarged_maps(maps, (defects.shape[1], defects.shape[2]))
    return {
        "pixel_auc": _auc(defects, large),
        "image_auc": _auc(np.asarray(defects.any((1, 2))), maps.max((1, 2))),
    }


def _auc(truth: np.ndarray, scores: np.ndarray) -> float | None:
    if truth.all() or not truth.any():
        return None
    return float(roc_auc_score(truth.ravel(), scores.ravel()))


@final
@dataclass(frozen=True, kw_only=True)
class LoeMaps(Benchmark):
    """Anomaly maps of images with defects: neighbours, and LOE beside blind training."""

    data: Annotated[
        Names,
        typer.Option(
            parser=Names.among([*_TEXTURES, _MVTEC]),
            metavar="NAME,...",
            help="Images to use: textures of cifar10 or fashion with pasted defects, or mvtec, for "
            "which --data-root is the unpacked folder of MVTec AD.",
        ),
    ] = Names(_TEXTURES)
    categories: Annotated[
        Names | None,
        typer.Option(
            parser=Names.of, metavar="NAME,...", help="Folders of MVTec AD to use. Default: all."
        ),
    ] = None
    size: Annotated[
        int, typer.Option(min=32, help="Height and width of images of MVTec AD, in pixels.")
    ] = 256
    methods: Annotated[
        Names,
        typer.Option(parser=Names.among(METHODS), metavar="NAME,...", help="Methods to measure."),
    ] = Names(METHODS)
    shares: Annotated[
        Shares,
        typer.Option(
            parser=Shares.of, metavar="SHARE,...", help="Shares of training images with a defect."
        ),
    ] = Shares([0.1])
    network: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="TorchScript file of a network that returns a grid of features, for pixels "
            "standardised with 0.498 and 0.502.",
        ),
    ] = None
    seeds: Seeds = 3
    first_seed: FirstSeed = 10
    data_root: DataRoot = None

    def measure(self, known: Collection[Case]) -> Iterator[Row]:
        """Yield one row per data set, share, seed and method.

        Raises:
            DataError: The data or the network are missing.
        """
        if self.network is None:
            raise DataError("A network is missing. Give --network FILE.")
        network = read_torchscript(self.network)
        for name, size, make in self._sets():
            for share in self.shares:
                for seed in range(self.first_seed, self.first_seed + self.seeds):
                    settings = {"share": share, "size": size}
                    cases = [
                        Case(data=name, method=method, seed=seed, settings=settings)
                        for method in self.methods
                    ]
                    cases = [case for case in cases if case not in known]
                    if cases:
                        yield from _rows(cases, make(share=share, seed=seed), network)

    def _sets(self) -> Iterator[tuple[str, int | None, Callable[..., DefectImages]]]:
        """Yield the names of sets of images, the size of real images, and what makes the images."""
        root = given(self.data_root)
        for name in self.data:
            if name == _MVTEC:
                for one in categories(root) if self.categories is None else self.categories:
                    make = partial(contaminated, root / one, size=self.size)
                    yield f"{_MVTEC}/{one}", self.size, make
            else:
                small = torchvision_data(_TEXTURES[name], root)[0]
                yield name, None, partial(textures, small)

    @staticmethod
    def summary(rows: pd.DataFrame) -> str:
        """Return the mean AUCs of training images and of new images."""
        figures = ["pixel_auc", "image_auc", "new_pixel_auc", "new_image_auc", "seconds"]
        means = rows.groupby(["data", "share", "method"], sort=False)[figures].mean()
        return str(means.round(3).to_string())


def _rows(cases: list[Case], made: DefectImages, network: torch.nn.Module) -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as cache:
        grid = image_features(
            made.images, network, mean=[0.498], std=[0.502], pool=False, cache=cache
        )
        train, new = slice(0, made.train), slice(made.train, None)
        cells = float(made.defects[train].mean())  # the true share of anomalous cells
        for case in cases:
            seed = case.seed or 0
            started = time.perf_counter()
            inner = METHODS[case.method](cells, seed)
            detector = PatchDetector(inner, random_state=seed).fit(grid[train])
            seconds = time.perf_counter() - started
            later = scores_of(detector.maps(grid[new]), made.defects[new])
            figures = scores_of(detector.maps_, made.defects[train])
            figures |= {f"new_{name}": value for name, value in later.items()}
            figures |= {"contamination": detector.contamination_, "seconds": seconds}
            figures["flagged"] = float(detector.labels_.mean())
            figures["defective"] = float(made.defects[train].any((1, 2)).mean())
            yield Row(
                case=case, figures=figures, notes={"verdict": detector.verdict_.level}, device=CPU
            )
