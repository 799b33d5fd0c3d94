"""Out-of-sample probabilities of scikit-learn classifiers, kept on disk."""

import hashlib
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from sklearn.base import ClassifierMixin
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis
from sklearn.ensemble import (
    ExtraTreesClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.benchmark import Case
from benchmarks.calibration.labelled_tables import (
    CHECK_TABLES,
    DEVELOPMENT_TABLES,
    FLIPS,
    Table,
    labelled,
)

__all__ = [
    "CHECK_CLASSIFIERS",
    "DEVELOPMENT_CLASSIFIERS",
    "Cache",
    "Design",
    "check",
    "development",
    "unmeasured",
]

Cache = Annotated[Path, typer.Option(help="Folder of the probabilities.")]

_FOLDS = 5
_LARGEST_RATE = 0.4

Classifiers = Mapping[str, Callable[[int], ClassifierMixin]]

DEVELOPMENT_CLASSIFIERS: Classifiers = {
    "logistic": lambda seed: make_pipeline(StandardScaler(), LogisticRegression(max_iter=300)),
    "strong ridge": lambda seed: make_pipeline(
        StandardScaler(), LogisticRegression(C=0.01, max_iter=300)
    ),
    "forest": lambda seed: RandomForestClassifier(100, random_state=seed),
    "large leaves": lambda seed: RandomForestClassifier(
        100, min_samples_leaf=10, random_state=seed
    ),
    "perceptron": lambda seed: make_pipeline(
        StandardScaler(),
        MLPClassifier((64,), alpha=1.0, early_stopping=True, max_iter=60, random_state=seed),
    ),
    "long perceptron": lambda seed: make_pipeline(
        StandardScaler(), MLPClassifier((32,), max_iter=60, random_state=seed)
    ),
    "boosting": lambda seed: HistGradientBoostingClassifier(
        max_iter=40, max_leaf_nodes=8, learning_rate=0.2, random_state=seed
    ),
    "naive Bayes": lambda seed: make_pipeline(StandardScaler(), GaussianNB(var_smoothing=1e-3)),
    "neighbours": lambda seed: make_pipeline(StandardScaler(), KNeighborsClassifier(15)),
    "linear discriminant": lambda seed: LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto"),
}

CHECK_CLASSIFIERS: Classifiers = {
    "logistic, C = .1": lambda seed: make_pipeline(
        StandardScaler(), LogisticRegression(C=0.1, max_iter=300)
    ),
    "extra trees": lambda seed: ExtraTreesClassifier(100, min_samples_leaf=3, random_state=seed),
    "boosting, 31 leaves": lambda seed: HistGradientBoostingClassifier(
        max_iter=30, learning_rate=0.1, random_state=seed
    ),
    "perceptron, two layers": lambda seed: make_pipeline(
        StandardScaler(), MLPClassifier((64, 32), max_iter=40, alpha=0.01, random_state=seed)
    ),
    "quadratic discriminant": lambda seed: make_pipeline(
        StandardScaler(), QuadraticDiscriminantAnalysis(solver="eigen", shrinkage=0.1)
    ),
}


@dataclass(frozen=True, kw_only=True)
class Design:
    """One combination of table, classifier and flips.

    Attributes:
        part: "development" or "check".
        table: Name of the table.
        classifier: Name of the classifier.
        flips: Kind of flips.
        rate: Probability that a label is wrong.
        rows: Largest number of rows.
        seed: Seed of the table, the flips, the folds and the classifier.
    """

    part: str
    table: str
    classifier: str
    flips: str
    rate: float
    rows: int
    seed: int

    @property
    def case(self) -> Case:
        """Case of the design in the rows of a benchmark."""
        settings = {"flips": self.flips, "probability": self.rate}
        most = {"most": self.rows} if self.part == "development" else {}
        return Case(
            data=self.table, method=self.classifier, seed=self.seed, settings={**settings, **most}
        )

    def predicted(self, data: Path, cache: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return true classes, (N,), labels, (N,), and probabilities, (N, K), out of sample.

        If the flips remove a class of a small table, the design cannot be used.

        Args:
            data: Folder of the tables that scikit-learn does not contain.
            cache: Folder in which results are kept.
        """
        file = cache / f"{hashlib.sha256(repr(self).encode()).hexdigest()[:24]}.npz"
        if not file.exists():
            true, labels, p = self._predict(data)
            np.savez(file, true=true, labels=labels, p=p)
        with np.load(file) as saved:
            return saved["true"], saved["labels"], saved["p"].astype(float)

    def _predict(self, data: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        check = self.part == "check"
        tables, classifiers = (
            (CHECK_TABLES, CHECK_CLASSIFIERS)
            if check
            else (DEVELOPMENT_TABLES, DEVELOPMENT_CLASSIFIERS)
        )
        table: Table = tables[self.table](data, self.seed)
        rows = labelled(table, self.flips, rate=self.rate, rows=self.rows, seed=self.seed)
        if len(np.unique(rows.labels)) == 1:  # All other classes were too rare.
            return rows.true, rows.labels, np.ones((len(rows.labels), 1), np.float32)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # perceptrons that stop early, collinear columns
            p = cross_val_predict(
                classifiers[self.classifier](self.seed),
                rows.x,
                rows.labels,
                cv=StratifiedKFold(_FOLDS, shuffle=True, random_state=self.seed),
                method="predict_proba",
            )
        p = np.nan_to_num(p, nan=1 / p.shape[1])
        return rows.true, rows.labels, (p / p.sum(1, keepdims=True)).astype(np.float32)


def unmeasured(
    designs: Iterable[Design], known: Collection[Case], cache: Path
) -> Iterator[tuple[Case, Design]]:
    """Yield the designs that were not measured yet, and make the folder of the probabilities.

    Args:
        designs: Designs.
        known: Cases that were measured.
        cache: Folder of the probabilities.
    """
    cache.mkdir(parents=True, exist_ok=True)
    for design in designs:
        case = design.case
        if case not in known:
            yield case, design


def development(designs: int) -> Iterator[Design]:
    """Yield random development designs; about one in five has right labels.

    Args:
        designs: Number of random designs. After them come a quarter as many designs with "some"
            flips.
    """
    yield from _random(designs, seed=2026, shares=(0.3, 0.25, 0.3, 0.15, 0.0), right=0.25)
    yield from _random(designs // 4, seed=2027, shares=(0.0, 0.0, 0.0, 0.0, 1.0), right=0.0)


def _random(
    designs: int, *, seed: int, shares: tuple[float, ...], right: float
) -> Iterator[Design]:
    rng = np.random.default_rng(seed)
    for number in range(designs):
        yield Design(
            part="development",
            table=str(rng.choice(list(DEVELOPMENT_TABLES))),
            classifier=str(rng.choice(list(DEVELOPMENT_CLASSIFIERS))),
            flips=str(rng.choice(FLIPS, p=shares)),
            rate=round(float(rng.random() * _LARGEST_RATE), 3) * float(rng.random() > right),
            rows=int(rng.choice((250, 600, 1200))),
            seed=5 * seed - 130 + number,
        )


def check(draws: int) -> Iterator[Design]:
    """Yield every check table and classifier with right labels, and with every kind of flips.

    Args:
        draws: Number of draws for each combination of table, classifier and flips.
    """
    rng = np.random.default_rng(17)
    for draw in range(draws):
        for table in CHECK_TABLES:
            for classifier in CHECK_CLASSIFIERS:
                for flips in ("none", "uniform", "pair", "class"):
                    rate = 0.0 if flips == "none" else round(rng.random() * _LARGEST_RATE, 3)
                    yield Design(
                        part="check",
                        table=table,
                        classifier=classifier,
                        flips=flips,
                        rate=rate,
                        rows=1200,
                        seed=draw * 1000,
                    )
