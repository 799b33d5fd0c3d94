"""The contract of a kind of scores."""

import numpy as np

from nbam_pyro.detection import Kind
from nbam_pyro.errors import ContractError, StoryError
from nbam_pyro.storage.description import build, describe
from nbam_pyro.testing.contract import require

__all__ = ["check_kind"]


def check_kind(kind: Kind, x: np.ndarray, *, saved: bool = True, seed: int = 0) -> None:
    """Check a kind of scores as `MixedDetector` uses it.

    These properties are checked: `learn` returns arrays of finite numbers by name, which are the
    same for the same seed. `scores` returns finite numbers, (R, N), which are not the same for all
    rows. A row has the same score alone, in all rows and in another order. The kind can be saved.

    Args:
        kind: Kind of scores.
        x: Rows, (N, D), at least three different ones.
        saved: Whether saving and loading is checked.
        seed: Seed for `learn`.

    Raises:
        ContractError: A property does not hold. The message states the cause and how to fix it.

    Example:
        >>> from nbam_pyro.detection import Neighbours
        >>> check_kind(Neighbours(), np.random.default_rng(0).normal(size=(30, 2)))
    """
    name = type(kind).__name__
    require(
        isinstance(kind, Kind), f"{name} is not a Kind: derive it from nbam_pyro.detection.Kind."
    )
    learned, again = (kind.learn(x, np.random.default_rng(seed)) for _ in range(2))
    for part, array in learned.items():
        require(
            isinstance(array, np.ndarray) and bool(np.isfinite(array).all()),
            f"{name}.learn returns no array of finite numbers as {part!r}: only such arrays can be "
            "saved.",
        )
        require(
            np.array_equal(array, again[part]),
            f"{name}.learn returns other arrays {part!r} for the same seed: draw random numbers "
            "from `rng` only.",
        )
    whole = kind.scores(learned, x)
    require(
        whole.ndim == 2 and whole.shape[1] == len(x) and bool(np.isfinite(whole).all()),
        f"{name}.scores returns shape {whole.shape} for {len(x)} rows, or numbers that are not "
        "finite: return finite numbers, (R, N).",
    )
    require(
        bool((np.ptp(whole, axis=1) > 0).all()),
        f"{name}.scores are the same for all rows: they must depend on the row.",
    )
    alone = np.concatenate([kind.scores(learned, row[None]) for row in x], axis=1)
    turned = kind.scores(learned, x[::-1].copy())[:, ::-1]
    require(
        np.array_equal(whole, alone) and np.array_equal(whole, turned),
        f"{name}.scores of a row depend on the rows that are scored with it: use only the row and "
        "what was learned. A matrix product rounds differently for one row and for many.",
    )
    if saved:
        other = _rebuilt(kind)
        require(
            np.array_equal(other.scores(learned, x), whole),
            f"A {name} that is built again from its arguments has other scores: make it a frozen "
            "dataclass of settings.",
        )


def _rebuilt(kind: Kind) -> Kind:
    try:
        description = describe(kind)
        again: Kind = build(description, allow=[description["class"]])
    except StoryError as error:
        raise ContractError(
            f"{type(kind).__name__} cannot be saved and loaded: {error} Make it a frozen "
            "dataclass at the top level of a module that can be imported; or leave this check out "
            "with saved=False."
        ) from error
    return again
