"""Right labels and imperfect classifiers: every contaminated row that is reported is a mistake.

The tables are scikit-learn's digits, the texts of documentation that is installed with NumPy,
SciPy, pandas, scikit-learn and torch (the class is the package), and features of images from a
file. Few principal components make classifiers worse. The labels are those of the tables.
"""

import importlib
import inspect
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import product
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, final

import numpy as np
import pandas as pd
import typer
from sklearn.datasets import load_digits
from sklearn.decomposition import TruncatedSVD
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.benchmark import CPU, Benchmark, Case, Row
from benchmarks.calibration.labelled_tables import Table
from benchmarks.calibration.predictions import Classifiers
from benchmarks.calibration.sharpness import calibration
from nbam_pyro import from_pred_probs

__all__ = ["RightLabels", "texts"]

_ROWS, _FOLDS = 3000, 5
_COMPONENTS = (4, 8, 16, 32, 128)
# Accuracies for which results are summarised.
_ACCURACIES = (0.7, 0.99)
_PACKAGES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "numpy": ("", "linalg", "fft", "random", "ma", "polynomial"),
        "scipy": ("stats", "signal", "special", "linalg", "sparse", "optimize", "interpolate"),
        "pandas": ("", "api.types", "api.indexers", "plotting", "tseries.offsets"),
        "sklearn": ("metrics", "linear_model", "preprocessing", "ensemble", "datasets", "utils"),
        "torch": ("", "nn", "nn.functional", "linalg", "special", "distributions", "optim"),
    }
)
_SHORTEST = 80

CLASSIFIERS: Classifiers = MappingProxyType(
    {
        "logistic": lambda _: make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)),
        "forest": lambda seed: RandomForestClassifier(100, random_state=seed),
        "boosting": lambda seed: HistGradientBoostingClassifier(max_iter=50, random_state=seed),
        "perceptron": lambda seed: make_pipeline(
            StandardScaler(), MLPClassifier((64,), max_iter=60, random_state=seed)
        ),
    }
)


@cache
def texts() -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Return texts of the documentation of installed packages, and the package of each."""
    package_of: dict[str, int] = {}
    for number, (package, modules) in enumerate(_PACKAGES.items()):
        for name in modules:
            module = importlib.import_module(f"{package}.{name}".rstrip("."))
            for one in map(module.__dict__.get, sorted(vars(module))):
                text = inspect.getdoc(one) if callable(one) else None
                # A package contains objects of others, which belong there.
                own = str(getattr(one, "__module__", None) or package).split(".")[0].lstrip("_")
                if text and len(text) >= _SHORTEST and own.startswith(package):
                    package_of.setdefault(text, number)
    return tuple(package_of), tuple(package_of.values())


@lru_cache(maxsize=1)  # all classifiers in turn use the same components
def table_of(name: str, components: int, features: Path | None, seed: int) -> Table:
    """Return principal components of a table, and its labels.

    Args:
        name: "digits", "texts" or "images".
        components: Number of principal components.
        features: File with features of images, `X_train`, and their classes, `y_train`.
        seed: Seed of the rows.
    """
    if name == "digits":
        x, y = load_digits(return_X_y=True)
    elif name == "texts":
        documents, packages = texts()
        x, y = TfidfVectorizer(max_features=4000).fit_transform(documents), np.array(packages)
    else:
        with np.load(str(features)) as file:
            x, y = file["X_train"], file["y_train"]
    chosen = np.random.default_rng(seed).permutation(len(y))[:_ROWS]
    x, y = x[chosen], y[chosen]
    if name != "texts":
        x = StandardScaler().fit_transform(x.astype(float))
    size = min(components, x.shape[1] - 1)
    return TruncatedSVD(size, random_state=seed).fit_transform(x), y


@final
@dataclass(frozen=True, kw_only=True)
class RightLabels(Benchmark):
    """Reports of `from_pred_probs` on right labels, by accuracy of the classifier."""

    features: Annotated[
        Path | None,
        typer.Option(help="NPZ file with X_train and y_train of images. Default: no images."),
    ] = None
    seed: Annotated[int, typer.Option(min=0, help="Seed of rows, folds and classifiers.")] = 0

    def measure(self, known: Collection[Case]) -> Iterator[Row]:
        """Yield the figures of each table, number of components and classifier."""
        tables = ("digits", "texts", "images") if self.features else ("digits", "texts")
        for name, components, method in product(tables, _COMPONENTS, CLASSIFIERS):
            case = Case(
                data=name, method=method, seed=self.seed, settings={"components": components}
            )
            if case in known:
                continue
            x, y = table_of(name, components, self.features, self.seed)
            folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=self.seed)
            model = CLASSIFIERS[method](self.seed)
            p = cross_val_predict(model, x, y, cv=folds, method="predict_proba")
            report = from_pred_probs(y, p / p.sum(1, keepdims=True))
            low, high = report.contamination_interval
            figures = {
                "rows": len(y),
                "accuracy": float((p.argmax(1) == y).mean()),
                "contamination": report.contamination,
                "low": low,
                "high": high,
                "covered": float(low <= 0),
                **calibration(report, np.zeros(len(y), bool)),
            }
            yield Row(case=case, figures=figures, notes={"level": report.verdict.level}, device=CPU)

    @staticmethod
    def summary(rows: pd.DataFrame) -> str:
        """Return means by table and by classifier, for accuracies from .7 to .99."""
        rows = rows[rows["accuracy"].between(*_ACCURACIES)].assign(number=1.0)
        shown = ["accuracy", "contamination", "high", "covered", "ece", "above"]
        return "\n\n".join(
            rows.groupby(by)["number"]
            .sum()
            .to_frame()
            .join(rows.groupby(by)[shown].mean().round(4))
            .to_string()
            for by in (["data"], ["data", "method"], ["level"])
        )
