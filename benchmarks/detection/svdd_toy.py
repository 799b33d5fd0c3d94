"""Deep SVDD on points in a plane, ten anomalies among a hundred points, for twenty seeds.

There are 90 points around (1, 1) and 10 around two other places. The network has three radial units
with fixed centres, as in Qiu et al. (2022). The result of one seed depends strongly on chance.
Therefore the figure shows all seeds.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import final

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn

from benchmarks.benchmark import CPU, Benchmark, Case, Row
from benchmarks.options import FirstSeed, Seeds
from benchmarks.report import DOCS, RESULTS, Report
from nbam_pyro.detection import (
    AnomalyDetector,
    Assignment,
    Backbone,
    Blind,
    Energies,
    Hard,
    Refine,
    Soft,
    inverse,
)

CENTRES = [[1.0, 1.0], [-0.25, 2.5], [-1.0, 0.5]]
WAYS: dict[str, Assignment] = {"blind": Blind(), "refine": Refine(), "soft": Soft(), "hard": Hard()}


class RadialSVDD(Backbone):
    """Deep SVDD backbone of three radial units with fixed centres and a linear map."""

    places: Tensor
    centre: Tensor

    def __init__(self, inputs: int, *, members: int) -> None:
        super().__init__(members)
        self.register_buffer("places", torch.tensor(CENTRES))
        self.register_buffer("centre", torch.zeros(members, 1, 2))
        self.linear = nn.Parameter(torch.randn(members, len(CENTRES), 2))

    @torch.no_grad()
    def start(self, x: Tensor) -> None:
        """Set the centre to the mean embedding of the rows."""
        self.centre.copy_(self._embed(x).mean(1, keepdim=True))

    def energies(self, x: Tensor) -> Energies:
        """Return squared distances to the centre and their inverses."""
        distance = (self._embed(x) - self.centre).square().sum(-1)
        return Energies(distance, inverse(distance))

    def _embed(self, x: Tensor) -> Tensor:
        return (-torch.cdist(x, self.places.expand(len(x), -1, -1)).square()).exp() @ self.linear


def points(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a hundred points (N, 2), and whether each is an anomaly (N,)."""
    rng = np.random.default_rng(seed)
    normal = rng.normal(CENTRES[0], 0.07**0.5, (90, 2))
    others = [rng.normal(centre, 0.03**0.5, (5, 2)) for centre in CENTRES[1:]]
    return np.concatenate([normal, *others]), np.arange(100) >= 90


def auc(seed: int, way: str) -> float:
    """Train with one assignment and return the AUC. "truth" uses the true anomalies."""
    x, odd = points(seed)
    detector = AnomalyDetector(
        RadialSVDD,
        assignment=WAYS.get(way, Blind()),
        contamination=0.1,
        members=1,
        epochs=200,
        lr=1e-2,
        batch_size=25,
        scale=None,
        random_state=seed,
    )
    detector.fit(x, verified=odd.astype(int) if way == "truth" else None)
    return float(roc_auc_score(odd, detector.decision_scores_))


@final
@dataclass(frozen=True, kw_only=True)
class SvddToy(Benchmark):
    """AUC of Deep SVDD on a plane, ten anomalies among a hundred points, for many seeds."""

    seeds: Seeds = 20
    first_seed: FirstSeed = 0

    def measure(self, known: Collection[Case]) -> Iterator[Row]:
        """Yield one row per seed and assignment."""
        for seed in range(self.first_seed, self.first_seed + self.seeds):
            for way in (*WAYS, "truth"):
                case = Case(data="plane", method=way, seed=seed)
                if case not in known:
                    yield Row(case=case, figures={"auc": auc(seed, way)}, device=CPU)

    @staticmethod
    def summary(rows: pd.DataFrame) -> str:
        """Return mean, standard deviation and range of the AUC, by assignment."""
        groups = rows.groupby("method", sort=False)["auc"]
        return "\n".join(
            f"{name:7} mean {values.mean():.3f}, s.d. {values.std(ddof=0):.3f}, "
            f"from {values.min():.3f} to {values.max():.3f}"
            for name, values in groups
        )


def figure(rows: pd.DataFrame) -> Figure:
    """Plot the AUC of each seed and the means, by assignment.

    Args:
        rows: One row per case, as `rows.wide` returns them.
    """
    drawn, ax = plt.subplots(figsize=(6, 3.5), layout="constrained")
    groups = {str(name): part["auc"] for name, part in rows.groupby("method", sort=False)}
    for at, values in enumerate(groups.values()):
        jitter = np.random.default_rng(0).uniform(-0.15, 0.15, len(values))
        ax.plot(at + jitter, values, "o", alpha=0.5)
        ax.hlines(values.mean(), at - 0.3, at + 0.3, color="black")
    ax.set_xticks(range(len(groups)), list(groups))
    ax.set_ylabel("AUC")
    ax.set_title(f"Deep SVDD on a plane, {rows['seed'].nunique()} seeds, and their means")
    return drawn


SVDD_TOY = Report(
    name="svdd-toy",
    results=RESULTS / "svdd-toy.parquet",
    figure=DOCS / "figures" / "svdd_toy.png",
    draw=figure,
)
