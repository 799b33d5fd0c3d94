"""Settings of the estimators: NumPy scalars are taken, mistakes are named."""

import numpy as np
import pytest
import torch

from nbam_pyro import Beta, LabelFlip, NBAMClassifier, NBAMRegressor, fit
from nbam_pyro.errors import NBAMError
from nbam_pyro.inference import Joint, WarmUp

pytestmark = pytest.mark.filterwarnings("ignore::nbam_pyro.errors.CannotTellWarning")

TRUE = np.arange(60) % 3
X = 4 * np.eye(3)[TRUE] + np.random.default_rng(0).normal(size=(60, 3))
Y = np.array(["ant", "bee", "cat"])[TRUE]
MEASURED = X @ [3.0, -2.0, 1.0]


@pytest.mark.parametrize(
    "settings",
    [
        {"epochs": np.int64(2)},
        {"epochs": 2, "batch_size": np.int64(16)},
        {"epochs": 2, "held_out": np.float32(0.25)},
        {"epochs": 2, "contamination": np.float32(0.125)},
        {"epochs": 2, "contamination": Beta(np.float32(1), np.int64(9))},
        {"epochs": 2, "random_state": np.int64(3), "progress": np.bool_(False)},
        {"steps": [WarmUp(epochs=np.int64(2)), Joint(epochs=np.int32(2), lr=np.float32(0.125))]},
    ],
    ids=str,
)
def test_numpy_scalars_are_settings(settings):
    def plain(value):
        return value.item() if isinstance(value, np.generic) else value

    settings = {"random_state": 0} | settings
    one = NBAMClassifier(**settings).fit(X, Y)
    other = NBAMClassifier(**{name: plain(value) for name, value in settings.items()}).fit(X, Y)
    assert np.array_equal(one.predict_proba(X), other.predict_proba(X))


def test_numpy_scalars_are_settings_of_a_regression():
    settings = {"epochs": 2, "random_state": np.int64(0)}
    model = NBAMRegressor(
        input_dependent_scale=np.bool_(True), contamination=np.float32(0.1), **settings
    )
    assert model.fit(X, MEASURED).predict(X).shape == (60,)


@pytest.mark.parametrize(
    "settings",
    [
        {"epochs": 2.5},
        {"epochs": "3"},
        {"epochs": 0},
        {"batch_size": 0},
        {"batch_size": 2.5},
        {"held_out": "a"},
        {"random_state": "a"},
        {"random_state": -1},
        {"class_weight": "even"},
        {"class_weight": {"ant": -1}},
    ],
    ids=str,
)
def test_settings_that_are_none_are_named(settings):
    with pytest.raises(NBAMError, match=r"epochs|batch_size|held_out|[sS]eed|weight"):
        NBAMClassifier(**settings).fit(X, Y)


def test_a_fit_takes_numpy_scalars():
    x, y = torch.as_tensor(X).float(), torch.as_tensor(TRUE)
    settings = {"batch_size": np.int16(16), "seed": np.uint8(1), "held_out": np.float32(0.2)}
    for more, held_out in (({"epochs": np.int64(2)}, 0), ({"steps": [Joint(epochs=2)]}, 12)):
        fitted = fit(LabelFlip(torch.nn.Linear(3, 3), 3), (x, y), **more, **settings)
        assert fitted.held_out.sum() == held_out  # the recipe trains on all of few rows
