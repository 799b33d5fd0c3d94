"""The Skoltech Anomaly Benchmark (SKAB): sensors of a water loop, with one burst of faults a file.

The files are distributed under the GPL-3 licence by https://github.com/waico/SKAB.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from nbam_pyro.errors import DataError

__all__ = ["PUBLISHED", "TRAINED", "SkabFile", "skab_files"]

TRAINED = 400
"""Number of first rows of a file that methods may use; the other rows are judged."""

PUBLISHED = {
    "Conv-AE": (0.78, 13.6, 28.0),
    "MSET": (0.78, 39.7, 14.1),
    "T-squared+Q": (0.76, 26.6, 24.9),
    "isolation forest": (0.29, None, None),
    "LSTM-AE": (0.74, None, None),
    "T-squared": (0.66, None, None),
    "LSTM-VAE": (0.56, None, None),
    "vanilla AE": (0.39, None, None),
    "MSCRED": (0.36, None, None),
}
"""F1, false alarms and missed anomalies in percent, from the table of the repository."""

_FOLDERS = ("other", "valve1", "valve2")
_COLUMNS = 10


@dataclass(frozen=True, kw_only=True)
class SkabFile:
    """One file.

    Attributes:
        train: Standardised sensors of the first rows, (400, 8).
        test: Sensors of the other rows, in the same units, (T, 8).
        anomaly: Whether each of the other rows is an anomaly, (T,).
    """

    train: np.ndarray
    test: np.ndarray
    anomaly: np.ndarray


def skab_files(folder: Path) -> list[SkabFile]:
    """Read all files with faults, in alphabetical order.

    Sensors are standardised by the median and the standard deviation of the first 400 rows.

    Args:
        folder: Folder with the folders "other", "valve1" and "valve2".

    Raises:
        DataError: There are no files, or a file has other columns.
    """
    paths = [path for name in _FOLDERS for path in sorted((folder / name).glob("*.csv"))]
    if not paths:
        raise DataError(f"{folder} has no CSV files in {', '.join(_FOLDERS)}. Give --data-dir.")
    return [_read(path) for path in paths]


def _read(path: Path) -> SkabFile:
    table = pd.read_csv(path, sep=";")
    if "anomaly" not in table or table.shape[1] < _COLUMNS or len(table) <= TRAINED:
        raise DataError(f"{path} is not a file of SKAB: it lacks columns or rows.")
    x = table.iloc[:, 1:9].to_numpy(float)
    train = x[:TRAINED]
    x = (x - np.median(train, 0)) / (train.std(0) + 1e-9)
    return SkabFile(
        train=x[:TRAINED], test=x[TRAINED:], anomaly=table["anomaly"].to_numpy()[TRAINED:] > 0
    )
