"""Coverage of the 90 % intervals of rates if the predictor is known.

Data sets are drawn from the story, with rates and flip matrix T from their priors and a known
predictor f. EM estimates the rates from f and the labels. The benchmark counts the intervals that
contain the true value. If the coverage of 400 sets is .9, the count is between 345 and 375 with
99 % probability. There are three kinds of predictor: vague, medium and sharp.
"""

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import final

import pandas as pd
import torch
from torch.distributions import Beta, Categorical, Dirichlet

from benchmarks.benchmark import CPU, Benchmark, Case, Row
from benchmarks.options import FirstSeed, Seeds
from nbam_pyro import FlipPrior
from nbam_pyro import functional as nf
from nbam_pyro.outputs.intervals import transition_intervals
from nbam_pyro.outputs.transition import estimate_transition

CLASSES, ROWS = 3, 500
# Standard deviation of the logits. The name describes the probability of the most probable class.
PREDICTORS = {"vague": 1.0, "medium": 3.0, "sharp": 6.0}


@final
@dataclass(frozen=True, kw_only=True)
class Coverage(Benchmark):
    """Coverage of 90 % intervals of rates, for vague, medium and sharp predictors."""

    seeds: Seeds = 400
    first_seed: FirstSeed = 0

    def measure(self, known: Collection[Case]) -> Iterator[Row]:
        """Yield one row per predictor, with counts over all data sets."""
        seeds = range(self.first_seed, self.first_seed + self.seeds)
        for name, scale in PREDICTORS.items():
            settings = {"classes": CLASSES, "rows_of_a_set": ROWS, "probability": 0.9}
            settings |= {"sets": self.seeds, "first_seed": self.first_seed}
            case = Case(data="simulation", method=name, settings=settings)
            if case not in known:
                hits = torch.stack([simulate(seed, scale) for seed in seeds])
                share, *rates = hits.sum(0).tolist()
                figures = {f"class_rate[{c}]": rate for c, rate in enumerate(rates)}
                yield Row(case=case, figures={"share": share, **figures}, device=CPU)

    @staticmethod
    def summary(rows: pd.DataFrame) -> str:
        """Return a table of counts by predictor."""
        return rows.drop(columns=["data", "seed", "device"]).to_string(index=False)


def simulate(seed: int, scale: float) -> torch.Tensor:
    """Return whether the intervals of the share and of each class rate cover it, (1 + K,)."""
    torch.manual_seed(seed)
    prior = FlipPrior()
    log_f = (scale * torch.randn(ROWS, CLASSES)).log_softmax(-1)
    rate = Beta(float(prior.rate[0]), float(prior.rate[1])).sample((CLASSES,))
    rows = Dirichlet(torch.full((CLASSES, CLASSES - 1), prior.flip)).sample()
    truth = Categorical(logits=log_f).sample()
    flipped = torch.rand(ROWS) < rate[truth]
    elsewhere = Categorical(logits=nf.zero_diagonal(rows.log(), fill=-math.inf)[truth]).sample()
    labels = torch.where(flipped, elsewhere, truth)
    transition = estimate_transition(log_f, labels, prior=prior)
    found = transition_intervals(log_f, labels, transition, prior=prior)
    share = flipped.double().mean()
    return torch.cat(
        [
            torch.tensor([found.share_low <= share <= found.share_high]),
            (found.rate_low <= rate) & (rate <= found.rate_high),
        ]
    )
