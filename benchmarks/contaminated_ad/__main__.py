"""Anomaly detection on contaminated training rows: latent outlier exposure and its neighbours.

    python -m benchmarks.contaminated_ad --data-dir odds --methods ntl-blind,ntl-soft \
        --alpha0 0.1 --seeds 3 --json rows.json
    python -m benchmarks.contaminated_ad --dataset fashion_mnist --data-root data --classes 0,1 \
        --methods mhrot-blind,mhrot-hard --seeds 3 --json images.json

Tables are every .mat and .npz of a folder, with arrays X and y. `--alpha0` is the true share of
anomalies in training, `--alpha` the one that methods are told. Noisy copies of anomalies of the
test set are in training, without a label (see protocol.py). Seeds of one method are trained as one
batched model; its seconds are shared out among them. The file is written after every method, and
rows that it has are not measured again.
"""

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from sklearn.metrics import average_precision_score, roc_auc_score

from benchmarks.arguments import Names, Parser, count, rate
from benchmarks.contaminated_ad.methods import (
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
from benchmarks.contaminated_ad.protocol import Split, image_split, split, tables
from benchmarks.rows import Row, RowFile, machine
from nbam_pyro.errors import DataError

KEY = ("dataset", "method", "alpha0", "alpha", "scale", "epochs", "seed")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure methods on every table of a folder, or on classes of images."""
    parser = Parser(
        prog="python -m benchmarks.contaminated_ad",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data-dir", type=Path, help="folder of .mat and .npz files")
    parser.add_argument("--only", type=lambda text: text.split(","), help="tables, by commas")
    parser.add_argument("--dataset", choices=["fashion_mnist"], help="images in place of tables")
    parser.add_argument("--data-root", type=Path, help="folder of the images")
    parser.add_argument(
        "--classes",
        type=Names(map(str, range(10))),
        default=["0", "1"],
        help="classes that are normal, one at a time, by commas",
    )
    parser.add_argument("--methods", type=Names([*TABULAR, *IMAGE]), required=True)
    parser.add_argument("--alpha0", type=rate, default=0.1, help="true share in training")
    parser.add_argument("--alpha", type=rate, help="share that is assumed; alpha0 by default")
    parser.add_argument("--seeds", type=count, default=3, help="how many")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--epochs", type=count, help="of training; by method if left out")
    parser.add_argument("--scale", choices=["range", "none"], default="range", help="of features")
    parser.add_argument("--json", type=Path, required=True, help="the file of rows")
    given = parser.parse_args(arguments)
    if (given.data_dir is None) == (given.dataset is None):
        parser.error("give --data-dir, for tables, or --dataset, for images")
    unknown = set(given.methods) - set(TABULAR if given.data_dir else IMAGE)
    if unknown:
        parser.error(f"{', '.join(sorted(unknown))} is not for these data")
    if given.alpha0 >= 1:
        parser.error("--alpha0 is below 1: some rows are normal")
    given.alpha = given.alpha0 if given.alpha is None else given.alpha
    try:
        run(given)
    except (DataError, OSError) as error:
        parser.error(" ".join(str(error).split()))


def run(given: argparse.Namespace) -> None:
    """Measure what the file does not have yet."""
    if PYOD.keys() & set(given.methods):
        require_pyod()
    file = RowFile(given.json, KEY)
    seeds = range(given.first_seed, given.first_seed + given.seeds)
    for dataset, splits, methods in _problems(given):
        for name, method in methods.items():
            heads = [
                {"dataset": dataset, "method": name, "alpha0": given.alpha0, "alpha": given.alpha}
                | {"epochs": given.epochs or getattr(method, "epochs", 0), "seed": seed}
                | {"scale": given.scale}
                for seed in seeds
            ]
            known = [file.of(row) for row in file.read()]
            missing = [i for i, head in enumerate(heads) if file.of(head) not in known]
            if not missing:
                continue
            environment = (
                machine(torch.device("cpu"), {"pyod": version("pyod")})
                if name in PYOD
                else machine(None)
            )
            chosen = [splits(seed=seeds[i]) for i in missing]
            for i, row in zip(
                missing, measure(method, chosen, given, seeds[missing[0]]), strict=True
            ):
                file.add({**heads[i], **row, **environment})
                print(
                    dataset, name, given.alpha0, given.alpha, seeds[i],
                    *(f"{key} {row[key]:.3f}" for key in ("auc", "f1", "seconds")),
                    flush=True,
                )  # fmt: skip


def measure(
    method: Method, splits: Sequence[Split], given: argparse.Namespace, seed: int
) -> list[Row]:
    """Figures of one method, for every split."""
    started = time.perf_counter()
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002  PyOD's
        scale: Literal["range"] | None = None if given.scale == "none" else "range"
        found = method(splits, Told(alpha=given.alpha, epochs=given.epochs, scale=scale))
    seconds = round((time.perf_counter() - started) / len(splits), 2)
    return [
        {**figures(one, outcome), "seconds": seconds}
        for one, outcome in zip(splits, found, strict=True)
    ]


def figures(one: Split, found: Found) -> dict[str, float | None]:
    """AUC, average precision, and F1 where as many rows are flagged as are anomalies."""
    top = np.argsort(-found.scores, kind="stable")[: one.anomaly.sum()]
    return {
        "auc": float(roc_auc_score(one.anomaly, found.scores)),
        "average_precision": float(average_precision_score(one.anomaly, found.scores)),
        "f1": float(one.anomaly[top].mean()),  # precision and recall are equal there
        "rate_estimate": found.rate,
    }


def _problems(
    given: argparse.Namespace,
) -> Iterator[tuple[str, Callable[..., Split], dict[str, Method]]]:
    """Name, split by seed, and methods of every data set."""
    if given.dataset is None:
        for name, x, anomaly in tables(given.data_dir, only=given.only):
            cut = partial(split, x, anomaly, alpha=given.alpha0)
            yield name, cut, {method: tabular(method, x.shape[1]) for method in given.methods}
        return
    if given.data_root is None:
        raise DataError("--data-root is missing: the folder of the images.")
    for normal in map(int, given.classes):
        cut = partial(image_split, given.data_root, normal, alpha=given.alpha0)
        methods = {method: rotations(method) for method in given.methods}
        yield f"{given.dataset}-{normal}", cut, methods


if __name__ == "__main__":
    main()
