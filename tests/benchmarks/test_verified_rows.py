"""The benchmark of the share after rows were verified."""

import numpy as np
import pytest
import torch
from scipy.special import expit

from benchmarks.label_noise.verified_rows import METHODS, VerifiedRows, figures
from benchmarks.rows import read, wide

from .running import exit_code


@pytest.mark.parametrize("method", METHODS)
def test_figures_of_good_responsibilities(method):
    rng = np.random.default_rng(0)
    score = rng.normal(size=2000) - 2
    truth = rng.random(2000) < expit(3 * score)
    r = expit(3 * score)
    draws = [METHODS[method](r, 200, seed) for seed in range(20)]
    found = figures(r, truth, draws)
    assert found["rate_true"] == truth.mean()
    assert found["covers"] >= 0.7
    assert found["covers_counting"] >= 0.7
    assert found["width"] < found["width_counting"]
    assert found["width_ratio"] == pytest.approx(found["width"] / found["width_counting"])
    assert found["width_ratio"] < found["bound"] + 0.2
    assert found["error"] < 0.03
    assert found["ece"] < 0.05


@pytest.mark.filterwarnings("ignore::nbam_pyro.errors.NBAMWarning")
def test_a_fit_is_used_for_both_ways_to_draw_rows(tmp_path):
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 300)
    x = rng.normal(size=(300, 5)) + 4 * np.eye(3, 5)[y]
    given = np.where(rng.random(300) < 0.2, (y + 1) % 3, y)
    path, out = tmp_path / "features.npz", tmp_path / "rows.parquet"
    np.savez(path, X_train=x, y_train=y, labels_me=given)
    torch.set_num_threads(1)
    flags = ["--features", path, "--data", "features", "--noise", "people", "--epochs", "2"]
    flags += ["--verified", "40", "--repeats", "3", "--out", out]
    assert exit_code("run", "verified-rows", *flags) == 0
    rows = wide(read(out))
    assert set(rows["method"]) == set(METHODS)
    assert rows["brier_before"].nunique() == 1
    assert rows[["covers", "brier", "ece", "wider"]].stack().between(0, 1).all()
    assert "random design" in VerifiedRows.summary(rows)
