"""Which clean mean a regressor takes, and what it says of others."""

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from nbam_pyro import NBAMRegressor
from nbam_pyro.errors import DataError
from nbam_pyro.estimators.choices import ModelChoice
from nbam_pyro.estimators.means import candidate_means
from nbam_pyro.inference import ModesGuide
from tests.cli.helpers import nbam

STARS = Path(__file__).parent / "tables" / "stars_cyg.csv"
GIANTS = np.array([11, 20, 30, 34]) - 1


def assert_the_giants_are_flagged(responsibility):
    assert (responsibility[GIANTS] > 0.9).all()
    assert (np.delete(responsibility, GIANTS) > 0.5).sum() <= 3


@pytest.mark.filterwarnings("ignore::nbam_pyro.errors.CannotTellWarning")
def test_the_giants_among_47_stars_are_flagged():
    table = pd.read_csv(STARS)
    model = NBAMRegressor(random_state=0).fit(
        table[["log_temperature"]].to_numpy(), table["log_light"]
    )
    assert_the_giants_are_flagged(model.responsibility_)
    assert model.mean_.choice == "linear"
    assert list(model.mean_.scores.index) == ["linear", "spline"]
    assert model.mean_.scores["difference"].max() == 0
    assert (model.mean_.scores["standard_error"] >= 0).all()
    assert 4 / 47 - 0.02 < model.contamination_ < 0.2
    slope = model.predict([[4.6]]) - model.predict([[4.2]])
    assert slope > 0  # least squares of all rows gives a falling line


def test_the_giants_among_47_stars_are_flagged_on_the_command_line(tmp_path):
    result = nbam("fit", STARS, "--label", "log_light", "--out", tmp_path / "run")
    assert result.exit_code == 0, result.output
    flags = pd.read_csv(tmp_path / "run" / "flags.csv").set_index("row").sort_index()
    assert_the_giants_are_flagged(flags["responsibility"].to_numpy())


def table(n=60, seed=0):
    rng = np.random.default_rng(seed)
    return rng.uniform(-1, 1, (n, 1)), rng


def test_a_clean_curve_is_not_flagged():
    x, rng = table()
    y = np.sin(3 * x[:, 0]) + 0.1 * rng.normal(size=len(x))
    model = NBAMRegressor(random_state=0).fit(x, y)
    few = (model.responsibility_ > 0.5).mean() <= 0.03
    assert few or model.verdict_.level != "identified"
    assert model.mean_.choice == "spline"
    assert np.abs(model.predict(x) - np.sin(3 * x[:, 0])).mean() < 0.1


@pytest.mark.parametrize("mean", ["linear", "spline"])
def test_a_given_mean_is_taken_without_a_comparison(mean):
    x, rng = table(30)
    y = 2 * x[:, 0] + 0.1 * rng.normal(size=30)
    y[:3] += 3
    model = NBAMRegressor(mean=mean, random_state=0).fit(x, y)
    assert model.mean_.choice == mean
    assert model.mean_.scores.empty
    assert model.mean_.rivals == []
    assert isinstance(model.fit_.guide, ModesGuide)
    assert sum(mode.weight for mode in model.fit_.modes) == pytest.approx(1)
    assert ((model.responsibility_ > 0.5) == (np.arange(30) < 3)).all()
    if mean == "linear":
        again = NBAMRegressor(mean=mean, random_state=0).fit(x, y)
        assert np.array_equal(model.responsibility_, again.responsibility_)


def test_a_gaussian_process_has_interactions_of_columns():
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (60, 2))
    clean = 2 * x[:, 0] * x[:, 1]
    y = clean + 0.1 * rng.normal(size=60)
    y[:4] += 4
    model = NBAMRegressor(mean="gp", random_state=0).fit(x, y)
    assert (model.responsibility_[:4] > 0.9).all()
    assert np.abs(model.predict(x) - clean)[4:].mean() < 0.3


def test_a_described_network_is_used():
    x, _ = table(30)
    model = NBAMRegressor(epochs=1, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(x, x[:, 0])
    assert model.mean_.choice == "network"
    assert not isinstance(model.fit_.guide, ModesGuide)


@pytest.mark.parametrize(
    ("rows", "columns", "expected"),
    [
        (39, 2, ["linear", "spline"]),
        (40, 2, ["linear", "spline", "gp"]),
        (20, 1, ["linear"]),
        (5, 3, ["linear"]),
        (150, 3, ["linear", "spline", "gp"]),
        (150, 1, ["linear", "spline"]),
        (500, 3, ["linear", "spline", "gp", "network"]),
        (5000, 100, ["network"]),
    ],
)
def test_small_tables_have_simple_means(rows, columns, expected):
    assert candidate_means(rows, columns) == expected


def test_rivals_are_within_two_standard_errors():
    scores = pd.DataFrame(
        {"difference": [-1.0, 0.0, -1.5, -9.0], "standard_error": [1.5, 0.0, 1.0, 1.0]},
        index=["linear", "spline", "gp", "network"],
    )
    assert ModelChoice("linear", scores).rivals == ["spline", "gp"]
    assert ModelChoice("linear", pd.DataFrame()).rivals == []


@pytest.mark.parametrize("wrong", ["cubic", None, 3])
def test_unknown_means_are_refused(wrong):
    x, _ = table(20)
    with pytest.raises(DataError, match="Give 'auto', 'linear', 'spline', 'gp' or 'network'"):
        NBAMRegressor(mean=wrong).fit(x, x[:, 0])


@pytest.mark.parametrize("mean", ["linear", "spline", "gp"])
def test_images_need_a_network(mean):
    images = np.zeros((20, 1, 4, 4), dtype=np.float32)
    with pytest.raises(DataError, match="has images"):
        NBAMRegressor(mean=mean).fit(images, np.arange(20.0))


@pytest.mark.parametrize(
    "options",
    [
        {"network": torch.nn.Linear},
        {"epochs": 3},
        {"input_dependent_scale": True},
    ],
)
def test_what_describes_a_network_contradicts_another_mean(options):
    x, _ = table(20)
    with pytest.raises(DataError, match="describes a network"):
        NBAMRegressor(mean="linear", **options).fit(x, x[:, 0])


@pytest.mark.filterwarnings("ignore::nbam_pyro.errors.CannotTellWarning")
@pytest.mark.parametrize("noise", ["student-t", "skewed"])
@pytest.mark.parametrize("mean", ["linear", "network"])
def test_noise_may_have_tails_or_be_skewed(mean, noise):
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (120, 1))
    drawn = rng.standard_t(4, 120) if noise == "student-t" else rng.exponential(size=120)
    y = 5 * x[:, 0] + 0.3 * drawn
    y[:12] -= 8
    model = NBAMRegressor(mean=mean, noise=noise, random_state=0).fit(x, y)
    assert ((model.responsibility_ > 0.5) == (np.arange(120) < 12)).mean() > 0.95
    if noise == "skewed" and mean == "linear":
        assert model.fit_.modes[0].latents["skewness"] > 0.2


def test_an_unknown_noise_is_refused():
    with pytest.raises(DataError, match="'normal', 'student-t' or 'skewed'"):
        NBAMRegressor(mean="linear", noise="cauchy").fit(np.arange(9.0)[:, None], np.arange(9.0))
