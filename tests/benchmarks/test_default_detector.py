"""The table of the default detector: means, counts, and rivals that failed."""

import numpy as np
import pandas as pd

from benchmarks.detection.default_detector import DefaultDetector, comparison


def test_means_and_counts():
    rows = pd.DataFrame(
        {
            "folder": "made up",
            "data": ["one", "one", "one", "two", "two", "two"],
            "method": ["mixed", "knn", "lof"] * 2,
            "auc": [0.9, 0.8, np.nan, 0.7, 0.8, 0.6],
            "brier": [0.05, 0.3, np.nan, 0.2, 0.3, 0.3],
            "truth": 0.1,
            "share": [0.1, np.nan, np.nan] * 2,
            "low": [0.0, np.nan, np.nan] * 2,
            "high": [0.5, np.nan, np.nan] * 2,
            "rows": 100.0,
            "features": 3.0,
            "seconds": 1.0,
            "level": ["weak", None, None] * 2,
        }
    )
    text = comparison(rows)
    assert "| *mean* | 0.800 | 0.800 | 0.600 |" in text
    assert "| one | 0.900 | 0.800 |  |" in text
    assert "at least the AUC of a rival: knn 1, lof 1." in text
    assert "in 2 of 2 fits. The Brier score is below that of the true share in 1 of 2" in text


def test_a_small_table_is_measured(tmp_path):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(60, 3)), np.arange(60) < 4
    x[y] += 6
    np.savez(tmp_path / "small.npz", X=x, y=y.astype(int))
    rows = list(DefaultDetector(data_root=tmp_path, methods=("mixed",), seeds=1).measure(set()))
    assert len(rows) == 1
    assert rows[0].figures["auc"] > 0.95
    assert rows[0].notes["level"] in ("identified", "weak", "cannot tell")
