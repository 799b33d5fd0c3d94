"""The demonstration over several seeds, and the drop-in loss in a foreign loop beside it.

    python -m benchmarks.digits --seeds 5 --json benchmarks/results/digits.json
    python -m benchmarks.digits --loop --seeds 6 --json benchmarks/results/loop.json

Without `--loop`: `nbam demo` with seeds 0, 1, ...; with it: for each seed the story fitted by
`fit`, the plain torch loop of docs/loss.md with `NBAMLoss`, and the same loop with cross-entropy.
Rows of
figures by seed and their means are written.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from sklearn.metrics import brier_score_loss, roc_auc_score
from torch.nn.functional import cross_entropy

from benchmarks.common import environment, write_json
from nbam_pyro import LabelFlip, NBAMLoss, fit
from nbam_pyro.cli.runs.demonstration import judge, run_demo
from nbam_pyro.data import Digits, flipped_digits
from nbam_pyro.models import mlp


def main() -> None:
    """Measure every seed and write the JSON file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--loop", action="store_true", help="compare the loss in a foreign loop")
    arguments = parser.parse_args()
    measure = compare_loop if arguments.loop else demo
    rows = []
    for seed in range(arguments.seeds):
        rows.append({"seed": seed, **measure(seed)})
        print(rows[-1], flush=True)
    mean = pd.DataFrame(rows).drop(columns="seed").mean(numeric_only=True).to_dict()
    print(mean)
    write_json(arguments.json, {"rows": rows, "mean": mean, **environment()})


def demo(seed: int) -> dict[str, Any]:
    """The summary of `nbam demo`."""
    with tempfile.TemporaryDirectory() as folder:
        summary = run_demo(Path(folder) / "run", seed=seed)
    error = summary["contamination_estimate"] - summary["contamination_true"]
    return {**summary, "estimate_error": abs(error)}


def compare_loop(seed: int) -> dict[str, float]:
    """Accuracy and AUROC of `fit`, of the foreign loop, and accuracy of cross-entropy in it."""
    digits = flipped_digits(seed=seed)
    torch.manual_seed(seed)
    story = LabelFlip(mlp(64, 10), 10)
    judged = judge(fit(story, (digits.x, digits.labels.observed), seed=seed), digits)
    names = ["accuracy", "auroc", "brier"]
    return {
        **{f"fit_{name}": judged[name] for name in names},
        **loop(digits, seed),
        **plain_loop(digits, seed),
    }


def loop(digits: Digits, seed: int, *, epochs: int = 60, warm_up: int = 5) -> dict[str, float]:
    """The loop of docs/loss.md."""
    torch.manual_seed(seed)
    x, y = torch.as_tensor(digits.x), torch.as_tensor(digits.labels.observed)
    network, loss = mlp(64, 10), NBAMLoss(num_classes=10)
    parameters: list[dict[str, Any]] = [
        {"params": network.parameters()},
        {"params": loss.parameters(), "lr": 6e-4, "weight_decay": 0.0},
    ]
    optimiser = torch.optim.AdamW(parameters, lr=2e-3)
    for epoch in range(epochs):
        if epoch == warm_up:
            loss.start_from(_logits(network, x), y)
        for batch in torch.randperm(len(x)).split(64):
            optimiser.zero_grad()
            loss(network(x[batch]), y[batch]).backward()
            optimiser.step()
    truth = digits.labels.contaminated
    r = loss.responsibility(_logits(network, x), y).numpy()
    return {
        "loop_accuracy": _accuracy(network, digits),
        "loop_auroc": float(roc_auc_score(truth, r)),
        "loop_brier": float(brier_score_loss(truth, r)),
    }


def plain_loop(digits: Digits, seed: int, *, epochs: int = 60) -> dict[str, float]:
    """The same loop with cross-entropy."""
    torch.manual_seed(seed)
    x, y = torch.as_tensor(digits.x), torch.as_tensor(digits.labels.observed)
    network = mlp(64, 10)
    optimiser = torch.optim.AdamW(network.parameters(), lr=2e-3)
    for _ in range(epochs):
        for batch in torch.randperm(len(x)).split(64):
            optimiser.zero_grad()
            cross_entropy(network(x[batch]), y[batch]).backward()
            optimiser.step()
    return {"loop_accuracy_cross_entropy": _accuracy(network, digits)}


def _logits(network: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
    network.eval()
    with torch.no_grad():
        logits = network(x)
    network.train()
    return logits


def _accuracy(network: torch.nn.Module, digits: Digits) -> float:
    predicted = _logits(network, torch.as_tensor(digits.x_test)).argmax(-1).numpy()
    return float((predicted == digits.y_test).mean())


if __name__ == "__main__":
    main()
