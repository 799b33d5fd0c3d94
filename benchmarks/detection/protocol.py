"""Training sets with a known contamination rate, and their test sets.

Half of the normal rows are training rows. The other half and all anomalies are test rows.
Contaminants are test anomalies with Gaussian noise, as in Qiu et al. (2022). The noise has the
standard deviation of the anomalies in each feature. Therefore the training set contains noisy
copies of some test anomalies, without a label. The results say nothing about other kinds.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import scipy.io
from torchvision.datasets import FashionMNIST

from nbam_pyro.errors import DataError

# Number of training images (including contaminants) and of test images.
IMAGES, TEST_IMAGES = 6000, 2000


@dataclass(frozen=True, kw_only=True)
class Split:
    """Training rows and test rows.

    Attributes:
        train: Training rows, (N, ...).
        contaminant: Whether each training row is an anomaly, (N,) booleans.
        test: Test rows, (M, ...).
        anomaly: Whether each test row is an anomaly, (M,) booleans.
    """

    train: np.ndarray
    contaminant: np.ndarray
    test: np.ndarray
    anomaly: np.ndarray


def tables(
    folder: Path, *, only: Sequence[str] | None = None
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yield name, rows (N, D) and anomalies (N,) of each `.mat` and `.npz` file of a folder.

    Args:
        folder: Folder to read.
        only: Names of the tables to read, or None for all.

    Raises:
        DataError: The folder has no such files, a named table is missing, or a file cannot be
            read. A file without arrays X and y, anomalies or normal rows is also an error.
    """
    files = sorted(path for path in folder.iterdir() if path.suffix in (".mat", ".npz"))
    if not files:
        raise DataError(f"{folder} contains no .mat or .npz files.")
    missing = set(only or ()) - {path.stem for path in files}
    if missing:
        raise DataError(f"{folder} contains no tables named {', '.join(sorted(missing))}.")
    for path in files:
        if only is not None and path.stem not in only:
            continue
        yield path.stem, *_table(path)


def _table(path: Path) -> tuple[np.ndarray, np.ndarray]:
    try:
        held = scipy.io.loadmat(path) if path.suffix == ".mat" else np.load(path)
        x, anomaly = np.asarray(held["X"], float), np.asarray(held["y"]).ravel() == 1
    except KeyError as error:
        raise DataError(f"{path} has no arrays X and y.") from error
    # Exceptions of SciPy and NumPy for damaged files and newer formats.
    except (ValueError, OSError, NotImplementedError, BadZipFile) as error:
        raise DataError(f"{path} cannot be read: {error}.") from error
    if anomaly.sum() < 1 or (~anomaly).sum() < 2 or len(x) != len(anomaly):
        raise DataError(
            f"{path} needs an anomaly (y = 1), two normal rows, and one y for each row of X."
        )
    return x, anomaly


def split(x: np.ndarray, anomaly: np.ndarray, *, alpha: float, seed: int) -> Split:
    """Split a table into training rows with contaminants and test rows.

    Args:
        x: Rows, (N, D).
        anomaly: Whether each row is an anomaly, (N,).
        alpha: Share of contaminants among the training rows.
        seed: Seed for the split and the noise.
    """
    rng = np.random.default_rng(seed)
    normal, odd = rng.permutation(np.flatnonzero(~anomaly)), np.flatnonzero(anomaly)
    half = len(normal) // 2
    count = round(half * alpha / (1 - alpha))
    noise = rng.normal(size=(count, x.shape[1])) * x[odd].std(0)
    contaminants = x[rng.choice(odd, count)] + noise
    test = np.r_[normal[half:], odd]
    return Split(
        train=np.r_[x[normal[:half]], contaminants],
        contaminant=np.arange(half + count) >= half,
        test=x[test],
        anomaly=anomaly[test],
    )


def image_split(root: Path, normal: int, *, alpha: float, seed: int) -> Split:
    """Split Fashion-MNIST with one normal class. Contaminants are images of other classes.

    Args:
        root: Folder of the images, in the format of torchvision.
        normal: Index of the normal class, 0 to 9.
        alpha: Share of contaminants among the training images.
        seed: Seed for the choice of images.

    Raises:
        DataError: The folder does not contain the images.
    """
    rng = np.random.default_rng(seed)
    try:
        train, test = (FashionMNIST(root, train=part) for part in (True, False))
    except RuntimeError as error:
        raise DataError(f"{root}: {error}") from error
    labels, held_out = train.targets.numpy(), test.targets.numpy()
    count = round(IMAGES * alpha)
    own = rng.choice(np.flatnonzero(labels == normal), IMAGES - count, replace=False)
    others = rng.choice(np.flatnonzero(labels != normal), count, replace=False)
    chosen = rng.choice(len(held_out), TEST_IMAGES, replace=False)
    return Split(
        train=_pixels(train.data.numpy()[np.r_[own, others]]),
        contaminant=np.arange(IMAGES) >= len(own),
        test=_pixels(test.data.numpy()[chosen]),
        anomaly=held_out[chosen] != normal,
    )


def feature_split(path: Path, normal: int, *, alpha: float, seed: int) -> Split:
    """Split features of images with one normal class. Contaminants are images of other classes.

    All rows of the normal class of `X_train` are training rows, and all rows of `X_test` are test
    rows.

    Args:
        path: File of NumPy, .npz, with arrays `X_train`, `y_train`, `X_test` and `y_test`.
        normal: Normal class.
        alpha: Share of contaminants among the training rows.
        seed: Seed for the choice of contaminants.

    Raises:
        DataError: The file cannot be read, lacks an array, or has no rows of the class.
    """
    names = ("X_train", "y_train", "X_test", "y_test")
    try:
        with np.load(path) as file:
            x, y, x_test, y_test = (file[name] for name in names)
    except (OSError, ValueError, KeyError, BadZipFile) as error:
        raise DataError(f"{path} has no arrays {', '.join(names)}: {error}.") from error
    own, others = np.flatnonzero(y == normal), np.flatnonzero(y != normal)
    if not len(own):
        raise DataError(f"{path} has no training rows of class {normal}.")
    count = round(len(own) * alpha / (1 - alpha))
    chosen = np.random.default_rng(seed).choice(others, count, replace=False)
    return Split(
        train=x[np.r_[own, chosen]].astype(np.float32),
        contaminant=np.arange(len(own) + count) >= len(own),
        test=x_test.astype(np.float32),
        anomaly=y_test != normal,
    )


def _pixels(images: np.ndarray) -> np.ndarray:
    return (images[:, None] / 255).astype(np.float32)
