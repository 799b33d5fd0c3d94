"""`Learned`: one fit of an encoder, with what is computed from its representation of rows."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn

from nbam_pyro.detection.assignments import Exact
from nbam_pyro.detection.representations.background import Background
from nbam_pyro.detection.representations.critic import Independence
from nbam_pyro.detection.representations.encoder import centred, encoded, train_encoder
from nbam_pyro.detection.representations.erasure import Erased, Erasure
from nbam_pyro.detection.representations.gaussians import ClassGaussians
from nbam_pyro.detection.representations.latent_classes import (
    LatentClasses,
    latent_classes,
    parts,
)
from nbam_pyro.detection.representations.switches import assigned
from nbam_pyro.detection.settings import Schedule
from nbam_pyro.training.contexts import exclusive
from nbam_pyro.training.parallel import processes

__all__ = ["Learned", "learn"]

_ITERATIONS = 1000


@dataclass(frozen=True, eq=False, kw_only=True)
class Learned:
    """One fit of an encoder.

    Attributes:
        encoder: Trained network.
        erased: Map that removes the nuisance; None without `Erasure`.
        densities: Densities of normal rows and of anomalies.
        classifier: Logistic regression of the class.
        transition: Probability of each given class (column) by true class (row), (K, K); None if
            the given classes are taken as right.
        rate: Share of anomalies, learned or given.
        history: One record per epoch.
    """

    encoder: nn.Module
    erased: Erased | None
    densities: ClassGaussians
    classifier: LogisticRegression
    transition: np.ndarray | None
    rate: float
    history: list[dict[str, Any]]

    def represented(self, x: np.ndarray) -> np.ndarray:
        """Return the representation of scaled rows, (N, E).

        Args:
            x: Rows that a detector has scaled.
        """
        r = encoded(self.encoder, centred(x))
        return r if self.erased is None else self.erased(r)


def learn(
    settings: Any,
    x: np.ndarray,
    known: Background,
    codes: Tensor,
    rows: tuple[np.ndarray, np.ndarray],
    *,
    seed: int,
) -> Learned:
    """Train an encoder, remove the nuisance, and estimate densities.

    Args:
        settings: A `Representation`, whose settings are used.
        x: All rows, scaled, (N, D).
        known: Classes, nuisances and weights of all rows.
        codes: Integer codes of verified rows, (N,).
        rows: Indices of the rows to learn from, and of the rows that choose the epoch.
        seed: Seed of weights and batches.

    Raises:
        DataError: Nothing would be left of the representation, or all rows of a class are
            anomalies.
        StoryError: The assignment cannot learn the share of anomalies.
    """
    own = rows[0]
    normal = (codes != 1).numpy()
    usual, others = own[normal[own]], rows[1][normal[rows[1]]]
    encoder, history = _trained(settings, x, known, (usual, others), seed)
    r = encoded(encoder, centred(x))
    erased = None
    if isinstance(settings.removal, Erasure):
        erased = _erased(settings, r[usual], known[usual])
        r = erased(r)
    classes = _classes(settings, r[own], known[own], normal[own])
    found = assigned(
        r[own],
        classes.probabilities,
        known.weights[own],
        assignment=Exact() if settings.assignment is None else settings.assignment,
        contamination=settings.contamination,
        verified=codes[own],
    )
    place, k = parts(classes.probabilities)
    total = known.weights[own] * found.clean
    classifier = LogisticRegression(max_iter=_ITERATIONS).fit(
        r[own][place], k, sample_weight=total[place] * classes.probabilities[place, k]
    )
    return Learned(
        encoder=encoder,
        erased=erased,
        densities=found.gaussians,
        classifier=classifier,
        transition=classes.transition,
        rate=found.rate,
        history=history,
    )


def _trained(
    settings: Any,
    x: np.ndarray,
    known: Background,
    rows: tuple[np.ndarray, np.ndarray],
    seed: int,
) -> tuple[nn.Module, list[dict[str, Any]]]:
    from nbam_pyro.training.lightning import Options

    with exclusive(), torch.random.fork_rng():
        torch.manual_seed(seed)
        encoder = settings.encoder(x.shape[1])
        history = train_encoder(
            encoder,
            centred(x).to(torch.get_default_dtype()),
            known,
            penalty=settings.removal if isinstance(settings.removal, Independence) else None,
            rows=rows,
            schedule=Schedule(
                epochs=settings.epochs, lr=settings.lr, weight_decay=settings.weight_decay
            ),
            options=Options(
                batch_size=settings.batch_size,
                progress=settings.progress and processes(settings.n_jobs) == 1,
                trainer=settings.trainer or {},
            ),
        )
    # Training uses torch's default type. Scores are computed in float64 from here on.
    return encoder.double(), history


def _erased(settings: Any, r: np.ndarray, known: Background) -> Erased:
    first: Erased = settings.removal.learn(r, known.labels, known.nuisance, weights=known.weights)
    if not settings.wrong_labels:
        return first
    # Rows of a given class are a mixture of true classes. Within it, effects of the nuisance on the
    # true classes are small against the distance of these classes, and could partly cancel.
    found = latent_classes(first(r), known.codes, known.weights)
    labels = known.classes.names[found.probabilities.argmax(1)]
    second: Erased = settings.removal.learn(r, labels, known.nuisance, weights=known.weights)
    return replace(
        second, accuracy_before=first.accuracy_before, accuracy_after=first.accuracy_after
    )


def _classes(settings: Any, r: np.ndarray, known: Background, normal: np.ndarray) -> LatentClasses:
    given = LatentClasses.given(known.codes, len(known.classes.names))
    if not settings.wrong_labels:
        return given
    found = latent_classes(r[normal], known.codes[normal], known.weights[normal])
    given.probabilities[normal] = found.probabilities
    return given._replace(transition=found.transition)
