"""Do intervals hold the truth as often as they say, given the predictor?

    python -m benchmarks.coverage --json benchmarks/results/coverage.json

Data sets are drawn from the story itself, rates and T from their priors, with the predictor f
known; rates are estimated from f and the labels by EM, and the 90 % intervals that hold the truth
are counted. With 400 sets and true coverage .9 they are between 345 and 375 with 99 % probability.
Three kinds of predictor: vague, medium and sharp.
"""

import argparse
import math
from pathlib import Path
from typing import Any

import torch
from torch.distributions import Beta, Categorical, Dirichlet

from benchmarks.common import environment, write_json
from nbam_pyro import functional as nf
from nbam_pyro.models.priors.pseudo_counts import FlipPrior
from nbam_pyro.outputs.intervals import transition_intervals
from nbam_pyro.outputs.transition import estimate_transition

CLASSES, ROWS = 3, 500
# Standard deviation of the logits, and the mean probability of the most probable class in words.
PREDICTORS = {"vague": 1.0, "medium": 3.0, "sharp": 6.0}


def main() -> None:
    """Simulate and write the JSON file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--sets", type=int, default=400)
    arguments = parser.parse_args()
    rows = []
    for name, scale in PREDICTORS.items():
        hits = torch.stack([simulate(seed, scale) for seed in range(arguments.sets)])
        share, *rates = hits.sum(0).tolist()
        rows.append({"predictor": name, "sets": len(hits), "share": share, "class_rates": rates})
        print(rows[-1], flush=True)
    about: dict[str, Any] = {"classes": CLASSES, "rows_of_a_set": ROWS, "probability": 0.9}
    write_json(arguments.json, {"rows": rows, **about, **environment()})


def simulate(seed: int, scale: float) -> torch.Tensor:
    """Whether the intervals of the share and of each class rate hold the truth, (1 + K,)."""
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


if __name__ == "__main__":
    main()
