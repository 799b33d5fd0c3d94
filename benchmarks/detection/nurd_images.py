"""Images with a nuisance: coloured digits, and Fashion-MNIST with a texture at the border.

The class that the images are labelled with is wrong in a quarter of the training rows, and the
nuisance follows the label. Therefore it predicts the label better than the content of the image.
Anomalies are images of other classes with nuisances like those of normal rows.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

from benchmarks.options import given
from nbam_pyro.data import torchvision_data

__all__ = ["Pictures", "borders", "digits"]

_WRONG = 0.25
_RHO = 0.9
_Parts = tuple[np.ndarray, np.ndarray, np.ndarray]
_Paint = Callable[[np.ndarray, np.ndarray, np.random.Generator], np.ndarray]
# The border of 14x14 pixels, and the number of independent sizes in its texture.
_BORDER = np.pad(np.zeros((10, 10), bool), 2, constant_values=True).ravel()
_SIZES = 16


@dataclass(frozen=True, kw_only=True)
class Pictures:
    """Training rows, and test rows whose nuisance is independent of their class.

    Attributes:
        train: Rows, labels and nuisances for training.
        x: Test rows, (M, D).
        y: True class of the test rows, (M,).
        u: Nuisance of the test rows: colour, or sign of the texture, (M,).
        odd: Rows of other classes, with nuisances like the test rows, (L, D).
    """

    train: tuple[np.ndarray, np.ndarray, np.ndarray]
    x: np.ndarray
    y: np.ndarray
    u: np.ndarray
    odd: np.ndarray


def digits(seed: int, root: Path | None) -> Pictures:
    """Return 8x8 digits 0 and 1 of scikit-learn in red or green, with digits 2 to 9 as anomalies.

    Args:
        seed: Seed of the split, the labels and the colours.
        root: Ignored.
    """
    rng = np.random.default_rng(seed)
    pixels, target = load_digits(return_X_y=True)
    pixels = pixels / 16
    own = rng.permutation(np.flatnonzero(target < 2))
    train, test = own[: len(own) * 3 // 5], own[len(own) * 3 // 5 :]
    return _pictures(pixels, target, (train, test, np.flatnonzero(target >= 2)), _coloured, rng)


def borders(seed: int, root: Path | None) -> Pictures:
    """Return trousers and boots of Fashion-MNIST with a texture at the border.

    The texture covers two pixels of 14 at each side. Its 16 parts have independent sizes and the
    sign of the nuisance.

    Args:
        seed: Seed of labels, nuisances and textures.
        root: Folder with the files of Fashion-MNIST, as torchvision stores them.
    """
    rng = np.random.default_rng(seed)
    parts = [torchvision_data("FashionMNIST", given(root), train=train) for train in (True, False)]
    # Means of 2x2 pixels have the same content for a small network.
    small = [x.reshape(len(x), 14, 2, 14, 2).mean((2, 4)).reshape(len(x), -1) for x, _ in parts]
    pixels, target = np.concatenate(small), np.concatenate([y for _, y in parts])
    first = len(parts[0][1])
    kinds = np.where(target == 1, 0, np.where(target == 9, 1, 2))
    own = np.flatnonzero(kinds < 2)
    odd = np.flatnonzero((kinds == 2) & (np.arange(len(kinds)) >= first))
    return _pictures(pixels, kinds, (own[own < first], own[own >= first], odd), _bordered, rng)


def _pictures(
    pixels: np.ndarray, target: np.ndarray, parts: _Parts, paint: _Paint, rng: np.random.Generator
) -> Pictures:
    train, test, odd = parts
    label = np.where(rng.random(len(train)) < _WRONG, 1 - target[train], target[train])
    nuisance = np.where(rng.random(len(train)) < _RHO, label, 1 - label)
    u, v = rng.integers(0, 2, len(test)), rng.integers(0, 2, len(odd))
    return Pictures(
        train=(paint(pixels[train], nuisance, rng), label, nuisance),
        x=paint(pixels[test], u, rng),
        y=target[test],
        u=u,
        odd=paint(pixels[odd], v, rng),
    )


def _coloured(pixels: np.ndarray, nuisance: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return pixels of a red and a green channel, one of which is empty, (N, 2 D)."""
    red = (nuisance == 0)[:, None]
    return np.concatenate([pixels * red, pixels * ~red], 1)


def _bordered(pixels: np.ndarray, nuisance: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return pixels whose border of two pixels is a texture of 16 sizes, (N, D)."""
    sizes = np.abs(rng.normal(size=(len(pixels), _SIZES)))
    texture = 0.5 + 0.25 * (2 * nuisance[:, None] - 1) * sizes
    places = np.flatnonzero(_BORDER)
    painted = pixels.copy()
    painted[:, places] = texture[:, np.arange(len(places)) * _SIZES // len(places)]
    return painted
