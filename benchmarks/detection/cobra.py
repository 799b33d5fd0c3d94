"""COBRA on Fashion-MNIST: one class is normal, and an attacker changes the test images.

Training images are of one class, with `contamination` of them from other classes. Half of the test
images are of that class. The attacker knows the detector: it raises the scores of normal images and
lowers those of others, by PGD with several starts on the score itself. eps is in units of 1/255.

The methods are `cobra-cls` (L_COBRA + L_CLS), `cobra` (L_COBRA), `contrastive` (pairs as in SimCLR)
and `supcon` and `cls`, all trained against an attacker, and `none`, which is `cobra-cls` without
one. `blind`, `soft` and `hard` are `cobra-cls` with that assignment and the true contamination.
"""

import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, final

import numpy as np
import pandas as pd
import typer
from torchvision.datasets import FashionMNIST

from benchmarks.benchmark import Benchmark, Case, Row
from benchmarks.options import DataRoot, FirstSeed, Names, Seeds, Shares, given
from nbam_pyro.detection import AnomalyDetector, Assignment, Blind, Hard, Soft
from nbam_pyro.detection import Cobra as Backbone
from nbam_pyro.detection.attacks import AttackReport, attacked_auc
from nbam_pyro.errors import DataError

__all__ = ["Cobra"]

BACKBONES: dict[str, dict[str, Any]] = {
    "none": {"eps": 0.0},
    "contrastive": {"contrast": "plain", "classification": False},
    "cobra": {"classification": False},
    "cobra-cls": {},
    "supcon": {"contrast": "supervised", "classification": False},
    "cls": {"contrast": None},
}
ASSIGNMENTS: dict[str, Assignment] = {"blind": Blind(), "soft": Soft(), "hard": Hard()}
COMPARED = Names(["none", "contrastive", "cobra", "cobra-cls"])

# Test images of the normal class and of others.
_TEST = 500
_PIXEL = 255


class Sizes(Shares):
    """Changes of a pixel in units of 1/255 from the command line, where commas separate them."""

    __slots__ = ()

    @staticmethod
    def of(text: "str | Shares") -> "Sizes":
        """Split a text at its commas and convert the parts to numbers from 0 to 255."""
        try:
            values = Sizes(map(float, text.split(","))) if isinstance(text, str) else Sizes(text)
        except ValueError as error:
            raise typer.BadParameter(f"{text!r} contains a part that is not a number") from error
        if not all(0 <= value <= _PIXEL for value in values):
            raise typer.BadParameter(f"{text} contains a number outside [0, 255]")
        return values


@final
@dataclass(frozen=True, kw_only=True)
class Cobra(Benchmark):
    """AUROC of image detectors on Fashion-MNIST when an attacker changes the test images."""

    data_root: DataRoot = None
    classes: Annotated[
        Names,
        typer.Option(
            parser=Names.among(map(str, range(10))),
            metavar="CLASS,...",
            help="Normal classes, 0 to 9, each in a run of its own.",
        ),
    ] = Names(["1", "5", "9"])
    methods: Annotated[
        Names | None,
        typer.Option(
            parser=Names.among([*BACKBONES, *ASSIGNMENTS]),
            metavar="NAME,...",
            help="Methods to measure. Default: none, contrastive, cobra and cobra-cls; with "
            "contamination: blind, soft and hard.",
        ),
    ] = None
    seeds: Seeds = 3
    first_seed: FirstSeed = 0
    eps: Annotated[
        Sizes,
        typer.Option(
            parser=Sizes.of,
            metavar="EPS,...",
            help="Largest changes of a pixel at test time, in units of 1/255.",
        ),
    ] = Sizes((0.0, 4.0, 16.0, 64.0))
    contamination: Annotated[
        float,
        typer.Option(min=0, max=0.5, help="Share of training images that are of other classes."),
    ] = 0.0
    rows: Annotated[int, typer.Option(min=10, max=6000, help="Number of training images.")] = 2000
    epochs: Annotated[int, typer.Option(min=1, help="Epochs of training.")] = 10
    trained_eps: Annotated[
        float, typer.Option(min=0, max=_PIXEL, help="eps of the attacker in training.")
    ] = 16.0
    trained_steps: Annotated[int, typer.Option(min=1, help="Its number of steps.")] = 7
    steps: Annotated[int, typer.Option(min=1, help="Steps of the attacker at test time.")] = 100
    starts: Annotated[int, typer.Option(min=1, help="Its number of starts.")] = 5
    test: Annotated[
        int, typer.Option(min=2, max=1000, help="Test images of each kind: normal and other.")
    ] = _TEST

    def measure(self, known: Collection[Case]) -> Iterator[Row]:
        """Yield one row per class, seed, method and eps.

        Raises:
            DataError: The folder does not contain the images.
        """
        images = _images(given(self.data_root))
        methods = self.methods or (Names(ASSIGNMENTS) if self.contamination else COMPARED)
        for normal in self.classes:
            for seed in range(self.first_seed, self.first_seed + self.seeds):
                for method in methods:
                    cases = {eps: self._case(normal, seed, method, eps) for eps in self.eps}
                    if not all(case in known for case in cases.values()):
                        yield from self._measured(cases, images, int(normal), seed, method)

    @staticmethod
    def summary(rows: pd.DataFrame) -> str:
        """Return the mean AUROC by method and eps, with its standard error."""
        groups = rows.groupby(["contamination", "trained_eps", "method", "eps"], sort=False)[
            "auroc"
        ]
        table = groups.agg(["mean", "sem", "count"]).round(3)
        return table.to_string()

    def _case(self, normal: str, seed: int, method: str, eps: float) -> Case:
        settings = {"class": int(normal), "eps": eps, "contamination": self.contamination}
        settings |= {"rows": self.rows, "epochs": self.epochs, "trained_eps": self.trained_eps}
        settings |= {"steps": self.steps, "starts": self.starts}
        return Case(data="fashion-mnist", method=method, seed=seed, settings=settings)

    def _measured(
        self,
        cases: dict[float, Case],
        images: tuple[np.ndarray, ...],
        normal: int,
        seed: int,
        method: str,
    ) -> Iterator[Row]:
        train, test, odd = _split(
            *images,
            normal=normal,
            rows=self.rows,
            share=self.contamination,
            each=self.test,
            seed=seed,
        )
        started = time.perf_counter()
        detector = AnomalyDetector(
            self._backbone(method),
            assignment=ASSIGNMENTS.get(method, Blind()),
            contamination=self.contamination,
            members=1,
            epochs=self.epochs,
            lr=3e-3,
            batch_size=64,
            random_state=seed,
        ).fit(train)
        trained = time.perf_counter() - started
        report = attacked_auc(
            detector,
            test,
            odd,
            eps=[eps / _PIXEL for eps in self.eps],
            bounds=(0, 1),
            steps=self.steps,
            starts=self.starts,
            smoothed=False,
            queries=200,
            checked=40,
            seed=seed,
        )
        seconds = {"seconds": trained, "attack_seconds": time.perf_counter() - started - trained}
        table = report.table.drop(columns="eps")
        for number, eps in enumerate(sorted(cases)):
            figures = {str(name): float(value) for name, value in table.iloc[number].items()}
            yield Row(
                case=cases[eps],
                figures={**figures, **seconds},
                notes={"failed": _failed(report) if eps == max(cases) else None},
            )

    def _backbone(self, method: str) -> Callable[..., Backbone]:
        settings = {"eps": self.trained_eps / _PIXEL, "steps": self.trained_steps, "crop": 0.5}
        return partial(Backbone, **(settings | BACKBONES.get(method, {})))


def _failed(report: AttackReport) -> str | None:
    """Return the names of the checks of the attack that failed, or None."""
    return ", ".join(one.name for one in report.checks if one.passed is False) or None


def _images(root: Path) -> tuple[np.ndarray, ...]:
    """Return training images, their classes, test images and their classes."""
    found: list[np.ndarray] = []
    for part in (True, False):
        try:
            data = FashionMNIST(root, train=part)
        except RuntimeError as error:
            raise DataError(f"{root}: {error}") from error
        found += [data.data.numpy()[:, None], data.targets.numpy()]
    return tuple(found)


def _split(
    train: np.ndarray,
    classes: np.ndarray,
    test: np.ndarray,
    test_classes: np.ndarray,
    *,
    normal: int,
    rows: int,
    share: float,
    each: int,
    seed: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return training images, test images, and whether each test image is an anomaly."""
    rng = np.random.default_rng(seed)

    def drawn(kinds: np.ndarray, own: bool, number: int) -> np.ndarray:
        return rng.choice(np.flatnonzero((kinds == normal) == own), number, replace=False)

    odd = round(rows * share)
    index = rng.permutation(np.r_[drawn(classes, True, rows - odd), drawn(classes, False, odd)])
    tested = np.r_[drawn(test_classes, True, each), drawn(test_classes, False, each)]
    return _pixels(train[index]), _pixels(test[tested]), test_classes[tested] != normal


def _pixels(images: np.ndarray) -> np.ndarray:
    return (images / _PIXEL).astype(np.float32)
