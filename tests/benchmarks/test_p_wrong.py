"""The benchmark of probabilities that labels are wrong, from its command."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from benchmarks.label_noise.features import features_data, people_problem
from benchmarks.label_noise.p_wrong import PWrong
from benchmarks.label_noise.reliability import reliability
from benchmarks.rows import read, wide
from nbam_pyro.errors import DataError

from .running import exit_code

FIGURES = ["auroc", "average_precision", "brier", "ece", "log_score", "rate_true"]


@pytest.fixture(scope="module")
def features(tmp_path_factory):
    """A file of features of three classes, with labels that people might have given."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 300)
    x = rng.normal(size=(300, 5)) + 4 * np.eye(3, 5)[y]
    given = np.where(rng.random(300) < 0.2, (y + 1) % 3, y)
    path = tmp_path_factory.mktemp("features") / "features.npz"
    np.savez(path, X_train=x, y_train=y, labels_me=given)
    return path


def p_wrong(*more, **changes):
    torch.set_num_threads(1)
    given = {"methods": "pred_probs,cross_entropy,label_only", "epochs": "2", "seeds": "1"}
    flags = [part for name, value in (given | changes).items() for part in (f"--{name}", value)]
    return exit_code("run", "p-wrong", *flags, *more)


def test_planted_noise_and_labels_of_people(features, tmp_path):
    out = tmp_path / "rows.parquet"
    flags = ("--features", str(features), "--out", out)
    assert p_wrong(*flags, data="features", noise="pair,people") == 0
    rows = wide(read(out))
    assert set(rows["noise"]) == {"pair", "people me"}
    assert rows[FIGURES].notna().all(axis=None)
    assert rows[FIGURES[:4]].apply(lambda values: values.between(0, 1)).all(axis=None)
    ours = rows[rows["method"] == "pred_probs"]
    assert ours["interval_width"].between(0, 1).all()
    assert rows["rate_true"].between(0.1, 0.5).all()
    table = PWrong.summary(rows)
    assert "### features, people me" in table
    assert "| `pred_probs` |" in table
    people = rows[rows["noise"] == "people me"]
    assert "people me" in PWrong.summary(people.assign(rate_per_class=None))


def test_reliability_has_a_panel_for_each_kind_of_noise_with_nbam(features, tmp_path):
    out = tmp_path / "rows.parquet"
    flags = ("--features", str(features), "--out", out)
    assert p_wrong(*flags, data="features", noise="pair,people", methods="cross_entropy") == 0
    rows = wide(read(out))
    counts = rows[[f"labels_in_bin[{k}]" for k in range(10)]].sum(axis=1)
    wrong = rows[[f"wrong_in_bin[{k}]" for k in range(10)]].sum(axis=1)
    assert (counts == rows["train_size"]).all()
    np.testing.assert_allclose(wrong / counts, rows["rate_true"])
    with pytest.raises(DataError, match="nbam"):
        reliability(rows)
    picture = reliability(rows.assign(method="nbam"))
    assert [bool(ax.get_title()) for ax in picture.axes] == [True, True]
    plt.close(picture)


def test_a_file_of_features_gives_its_flips_and_its_name(features, tmp_path):
    with np.load(features) as file:
        np.savez(tmp_path / "three.npz", flips=[[0, 2], [2, 0]], **file)
    assert features_data(tmp_path / "three.npz").flips == {0: 2, 2: 0}
    out = tmp_path / "rows.parquet"
    flags = ("--features", str(tmp_path / "three.npz"), "--out", out)
    assert p_wrong(*flags, data="features", noise="pair", methods="label_only") == 0
    assert set(wide(read(out))["data"]) == {"three"}


def test_without_a_file_of_features_other_data_are_measured(tmp_path):
    out = tmp_path / "rows.parquet"
    assert p_wrong("--out", out, methods="label_only", noise="symmetric") == 0
    assert set(wide(read(out))["data"]) == {"digits"}


def test_an_unknown_column_is_refused(features):
    with pytest.raises(DataError, match="labels_you"):
        people_problem(features_data(features), features, "you", seed=0)
