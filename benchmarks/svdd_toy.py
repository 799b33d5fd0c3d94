"""Deep SVDD on a plane with ten anomalies in a hundred points, over twenty seeds.

    python -m benchmarks.svdd_toy --seeds 20 --json benchmarks/results/svdd_toy.json \
        --figure docs/svdd_toy.png

90 points around (1, 1), 10 in two other places, and a network of three radial units with fixed
centres, as in Qiu et al. (2022). One seed can show anything: the figure shows all of them.
"""

from pathlib import Path
from typing import Annotated, Any

import matplotlib.pyplot as plt
import numpy as np
import torch
import typer
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn

from benchmarks.common import environment, write_json
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
    """Three radial units with fixed centres, a linear map, and the squared distance to a centre."""

    places: Tensor
    centre: Tensor

    def __init__(self, inputs: int, *, members: int) -> None:
        super().__init__(members)
        self.register_buffer("places", torch.tensor(CENTRES))
        self.register_buffer("centre", torch.zeros(members, 1, 2))
        self.linear = nn.Parameter(torch.randn(members, len(CENTRES), 2))

    @torch.no_grad()
    def start(self, x: Tensor) -> None:
        """Put the centre at the mean embedding of the rows."""
        self.centre.copy_(self._embed(x).mean(1, keepdim=True))

    def energies(self, x: Tensor) -> Energies:
        """Squared distances and their inverses."""
        distance = (self._embed(x) - self.centre).square().sum(-1)
        return Energies(distance, inverse(distance))

    def _embed(self, x: Tensor) -> Tensor:
        return (-torch.cdist(x, self.places.expand(len(x), -1, -1)).square()).exp() @ self.linear


def points(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A hundred points (N, 2), and which of them are anomalies."""
    rng = np.random.default_rng(seed)
    normal = rng.normal(CENTRES[0], 0.07**0.5, (90, 2))
    others = [rng.normal(centre, 0.03**0.5, (5, 2)) for centre in CENTRES[1:]]
    return np.concatenate([normal, *others]), np.arange(100) >= 90


def measure(seed: int) -> dict[str, Any]:
    """AUC of every way to train, and of one that knows the anomalies."""
    x, odd = points(seed)
    found = {}
    for way, assignment in [*WAYS.items(), ("truth", Blind())]:
        detector = AnomalyDetector(
            RadialSVDD,
            assignment=assignment,
            contamination=0.1,
            members=1,
            epochs=200,
            lr=1e-2,
            batch_size=25,
            scale=None,
            random_state=seed,
        )
        detector.fit(x, verified=odd.astype(int) if way == "truth" else None)
        found[way] = float(roc_auc_score(odd, detector.decision_scores_))
    return {"seed": seed, **found}


def main(
    seeds: Annotated[int, typer.Option(help="Seeds 0, 1, ...")] = 20,
    first_seed: Annotated[int, typer.Option(help="The first seed.")] = 0,
    json_file: Annotated[Path | None, typer.Option("--json", help="File to write.")] = None,
    figure: Annotated[Path | None, typer.Option(help="Picture to write.")] = None,
) -> None:
    """Measure the toy over many seeds."""
    rows = [measure(seed) for seed in range(first_seed, first_seed + seeds)]
    names = [name for name in rows[0] if name != "seed"]
    for name in names:
        values = np.array([row[name] for row in rows])
        typer.echo(
            f"{name:7} mean {values.mean():.3f}, s.d. {values.std():.3f}, "
            f"from {values.min():.3f} to {values.max():.3f}"
        )
    if json_file is not None:
        write_json(json_file, [row | environment(torch.device("cpu")) for row in rows])
    if figure is not None:
        drawn, ax = plt.subplots(figsize=(6, 3.5), layout="constrained")
        for at, name in enumerate(names):
            values = np.array([row[name] for row in rows])
            jitter = np.random.default_rng(0).uniform(-0.15, 0.15, len(values))
            ax.plot(at + jitter, values, "o", alpha=0.5)
            ax.hlines(values.mean(), at - 0.3, at + 0.3, color="black")
        ax.set_xticks(range(len(names)), names)
        ax.set_ylabel("AUC")
        ax.set_title(f"Deep SVDD on a plane, {len(rows)} seeds, and their means")
        drawn.savefig(figure, dpi=150)


if __name__ == "__main__":
    typer.run(main)
