"""Anomaly detection on contaminated training rows: latent outlier exposure and related methods.

Tables are all .mat and .npz files of a folder, with arrays X and y. The training rows contain noisy
copies of test anomalies, without a label (see `protocol`). All seeds of one method are trained as
one batched model. The seconds of a row are those of the model divided by the number of seeds.
"""

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Literal, final

import numpy as np
import pandas as pd
import torch
import typer
from sklearn.metrics import average_precision_score, roc_auc_score

from benchmarks.benchmark import CPU, Benchmark, Case, Row
from benchmarks.detection.methods import (
    IMAGE,
    PYOD,
    TABULAR,
    Found,
    Method,
    Told,
    require_pyod,
    rotations,
    tabular,
)
from benchmarks.detection.protocol import Split, feature_split, image_split, split, tables
from benchmarks.detection.report import tables as reported
from benchmarks.options import DataRoot, Epochs, FirstSeed, Names, Seeds, given, one_of
from nbam_pyro.errors import DataError

__all__ = ["ContaminatedAd", "figures"]

TableNames = Annotated[
    Names | None,
    typer.Option(parser=Names.of, metavar="NAME,...", help="Tables to use. Default: all."),
]
Classes = Annotated[
    Names,
    typer.Option(
        parser=Names.among(map(str, range(10))),
        metavar="CLASS,...",
        help="Normal classes of images or features. Each class is a separate case.",
    ),
]
Methods = Annotated[
    Names | None,
    typer.Option(
        parser=Names.among([*TABULAR, *IMAGE]),
        metavar="NAME,...",
        help="Methods to fit. Default: all for this kind of data, without those of PyOD.",
    ),
]
Scale = Annotated[
    str,
    typer.Option(
        parser=one_of(["range", "none"]), metavar="range|none", help="Scaling of features."
    ),
]


@final
@dataclass(frozen=True, kw_only=True)
class ContaminatedAd(Benchmark):
    """AUC of anomaly detectors whose training rows contain unlabelled anomalies."""

    images: Annotated[
        bool, typer.Option("--images", help="Use Fashion-MNIST instead of a folder of tables.")
    ] = False
    features: Annotated[
        Path | None,
        typer.Option(
            help="File .npz of features of images, X_train, y_train, X_test and y_test, to use "
            "instead of a folder of tables."
        ),
    ] = None
    data_root: DataRoot = None
    tables: TableNames = None
    classes: Classes = Names(["0", "1"])
    methods: Methods = None
    alpha0: Annotated[
        float, typer.Option(min=0, max=1, help="True share of training anomalies, below 1.")
    ] = 0.1
    alpha: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Share that methods assume. Default: the true share."),
    ] = None
    seeds: Seeds = 3
    first_seed: FirstSeed = 0
    epochs: Epochs = None
    scale: Scale = "range"

    def measure(self, known: Collection[Case]) -> Iterator[Row]:
        """Yield one row per data set, method and seed.

        Raises:
            DataError: PyOD is not installed, data are missing, or options contradict each other.
        """
        for data, splits, methods in self._problems():
            for name, method in methods.items():
                cases = [
                    self._case(data, name, method, seed)
                    for seed in range(self.first_seed, self.first_seed + self.seeds)
                ]
                missing = [case for case in cases if case not in known]
                if missing:
                    yield from self._rows(method, missing, splits)

    def _rows(
        self, method: Method, cases: Sequence[Case], splits: Callable[..., Split]
    ) -> Iterator[Row]:
        chosen = [splits(seed=case.seed) for case in cases]
        scale: Literal["range"] | None = None if self.scale == "none" else "range"
        told = Told(alpha=self._alpha, epochs=self.epochs, scale=scale)
        started = time.perf_counter()
        with torch.random.fork_rng():
            torch.manual_seed(cases[0].seed or 0)
            np.random.seed(cases[0].seed)  # noqa: NPY002  PyOD's
            found = method(chosen, told)
        seconds = round((time.perf_counter() - started) / len(chosen), 2)
        pyod = cases[0].method in PYOD
        for case, one, outcome in zip(cases, chosen, found, strict=True):
            yield Row(
                case=case,
                figures={**figures(one, outcome), "seconds": seconds},
                device=CPU if pyod else None,
                packages={"pyod": version("pyod")} if pyod else {},
            )

    @property
    def _alpha(self) -> float:
        return self.alpha0 if self.alpha is None else self.alpha

    def _case(self, data: str, name: str, method: Method, seed: int) -> Case:
        settings = {
            "alpha0": self.alpha0,
            "alpha": self._alpha,
            "scale": self.scale,
            "epochs": self.epochs or getattr(method, "epochs", 0),
        }
        return Case(data=data, method=name, seed=seed, settings=settings)

    def _problems(self) -> Iterator[tuple[str, Callable[..., Split], dict[str, Method]]]:
        """Yield name, function that makes the split of a seed, and methods of each data set."""
        suitable = IMAGE if self.images else [name for name in TABULAR if name not in PYOD]
        methods = self.methods or suitable
        unknown = set(methods) - set(IMAGE if self.images else TABULAR)
        if unknown:
            raise DataError(
                f"--methods: {', '.join(sorted(unknown))} cannot be used with these data."
            )
        if self.alpha0 >= 1:
            raise DataError("--alpha0 must be below 1, because some training rows must be normal.")
        if PYOD.keys() & set(methods):
            require_pyod()
        if self.features is not None:
            if self.images:
                raise DataError("Give either --images or --features.")
            for normal in map(int, self.classes):
                cut = partial(feature_split, self.features, normal, alpha=self.alpha0)
                columns = cut(seed=0).train.shape[1]
                chosen = {name: tabular(name, columns) for name in methods}
                yield f"{self.features.stem}-{normal}", cut, chosen
            return
        root = given(self.data_root)
        if self.images:
            for normal in map(int, self.classes):
                cut = partial(image_split, root, normal, alpha=self.alpha0)
                yield f"fashion_mnist-{normal}", cut, {name: rotations(name) for name in methods}
            return
        for table, x, anomaly in tables(root, only=self.tables):
            cut = partial(split, x, anomaly, alpha=self.alpha0)
            yield table, cut, {name: tabular(name, x.shape[1]) for name in methods}

    @staticmethod
    def summary(rows: pd.DataFrame) -> str:
        """Return one table for each family of methods."""
        return reported(rows)


def figures(one: Split, found: Found) -> dict[str, float | None]:
    """Return AUC, average precision and F1. F1 flags as many rows as there are anomalies."""
    top = np.argsort(-found.scores, kind="stable")[: one.anomaly.sum()]
    return {
        "auc": float(roc_auc_score(one.anomaly, found.scores)),
        "average_precision": float(average_precision_score(one.anomaly, found.scores)),
        "f1": float(one.anomaly[top].mean()),  # precision equals recall
        "rate_estimate": found.rate,
    }
