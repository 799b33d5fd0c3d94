"""Neither the level nor the unit of numbers changes a flag, or they are refused by name."""

import warnings

import hypothesis.extra.numpy as hnp
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.preprocessing import StandardScaler
from torch import nn

from nbam_pyro import LabelFlip, NBAMClassifier, NBAMRegressor, fit, responsibilities
from nbam_pyro.checks.spacing import check_spacing, middles, robust_widths, too_coarse
from nbam_pyro.errors import DataError
from nbam_pyro.inference import Joint, WarmUp
from nbam_pyro.inference import predict as predict_fit
from nbam_pyro.models import (
    BroadNormal,
    BroadStudentT,
    FixedSwitch,
    LatentSwitch,
    NormalLikelihood,
    Standardise,
    UniformRange,
    robust_regression,
)

MOVES = [(0.0, 1e-9), (0.0, 1e9), (1e6, 1.0), (1e9, 1.0), (1e12, 1.0), (1e12, 1e9)]
LOST = [(1e6, 1e-9), (1e9, 1e-6)]


@pytest.fixture(scope="module")
def labelled():
    rng = np.random.default_rng(0)
    true = np.arange(60) % 3
    y = true.copy()
    y[:6] = 1
    return 4 * np.eye(3)[true] + rng.normal(size=(60, 3)), y


@pytest.fixture(scope="module")
def measured():
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (39, 2))
    y = x @ [3.0, -2.0] + 0.1 * rng.normal(size=39)
    y[:4] += 6
    return x, y


def standardised(x):
    return StandardScaler().fit_transform(x)


def same(found, expected):
    assert ((found > 0.5) == (expected > 0.5)).all()
    np.testing.assert_allclose(found, expected, atol=1e-6)


def classifier(x, y):
    return NBAMClassifier(random_state=0, epochs=3).fit(x, y)


def regressor(x, y):
    return NBAMRegressor(random_state=0, epochs=10).fit(x, y)


@pytest.mark.parametrize(("offset", "scale"), MOVES)
@pytest.mark.filterwarnings("ignore::nbam_pyro.errors.CannotTellWarning")
def test_features_of_a_classifier(labelled, offset, scale):
    x, y = labelled[0] * scale + offset, labelled[1]
    ours, theirs = classifier(x, y), classifier(standardised(x), y)
    same(ours.responsibility_, theirs.responsibility_)
    same(ours.responsibility(x, y), theirs.responsibility(standardised(x), y))
    np.testing.assert_allclose(
        ours.predict_proba(x), theirs.predict_proba(standardised(x)), atol=1e-6
    )


@pytest.mark.parametrize(("offset", "scale"), MOVES)
def test_features_and_targets_of_a_regressor(measured, offset, scale):
    x, target = measured[0] * scale + offset, measured[1] * scale + offset
    plain, unit = standardised(x), standardised(target[:, None])[:, 0]
    ours, theirs = regressor(x, target), regressor(plain, unit)
    same(ours.responsibility_, theirs.responsibility_)
    same(ours.responsibility(x, target), theirs.responsibility(plain, unit))
    predicted = (ours.predict(x) - target.mean()) / target.std()
    coarse = np.spacing(abs(offset)) / target.std()
    np.testing.assert_allclose(predicted, theirs.predict(plain), atol=1e-6 + 2 * coarse)


@pytest.mark.parametrize(("offset", "scale"), LOST)
def test_lost_digits_are_refused_by_name(labelled, measured, offset, scale):
    x, y = labelled
    table = pd.DataFrame(x, columns=["a", "b", "time"]).assign(time=x[:, 2] * scale + offset)
    with pytest.raises(DataError, match="Column 'time' lies near"):
        classifier(table, y)
    with pytest.raises(DataError, match="Column 2 lies near"):
        classifier(table.to_numpy(), y)
    with pytest.raises(DataError, match="Column 'y' lies near"):
        regressor(measured[0], measured[1] * scale + offset)


@pytest.mark.filterwarnings("ignore::nbam_pyro.errors.CannotTellWarning")
def test_a_minute_of_milliseconds_since_1970():
    t = np.linspace(0, 60_000, 200)[np.random.default_rng(0).permutation(200)]
    x, y = (1.7e12 + t)[:, None], (t > 30_000).astype(int)
    model = NBAMClassifier(random_state=0, epochs=15).fit(x, y)
    assert model.score(x, y) > 0.95


def test_fit_keeps_the_digits_of_measurements_in_any_story(measured):
    x, y = measured

    def shares(target, precision):
        torch.manual_seed(0)
        story = robust_regression(nn.Linear(2, 1), torch.as_tensor(target)).to(precision)
        fitted = fit(story, (x, target), epochs=10)
        return fitted.training_rows.responsibility, responsibilities(fitted, x, target)

    for precision in (torch.float32, torch.float64):
        for found, expected in zip(shares(y + 1e9, precision), shares(y, precision), strict=True):
            assert ((found > 0.5) == (expected > 0.5)).all()
            np.testing.assert_allclose(found, expected, atol=1e-3)


def test_fit_refuses_what_single_precision_cannot_hold(labelled, measured):
    x, y = labelled
    with pytest.raises(DataError, match=r"Column 0 lies near 1e\+09 .* Standardise"):
        fit(LabelFlip(nn.Linear(3, 3), 3), (x + 1e9, y), steps=[])
    torch.manual_seed(0)
    network = nn.Sequential(Standardise.of(torch.as_tensor(x + 1e9)), nn.Linear(3, 3))
    fitted = fit(LabelFlip(network, 3).double(), (x + 1e9, y), steps=[WarmUp(epochs=40, lr=0.05)])
    assert (predict_fit(fitted, x + 1e9).argmax(1) == np.arange(60) % 3).mean() > 0.9
    far = NormalLikelihood(nn.Linear(2, 1))
    story = LatentSwitch(switch=FixedSwitch(0.1), clean=far, anomaly=BroadNormal(1e9, 9.0))
    with pytest.raises(DataError, match=r"Column 'y' lies near 1e\+09 .* centre"):
        fit(story, (measured[0], measured[1] + 1e9), steps=[])


@pytest.mark.parametrize(
    "anomaly",
    [
        lambda c: BroadNormal(c, 9.0),
        lambda c: BroadStudentT(c, 9.0),
        lambda c: UniformRange(c - 20, c + 20),
    ],
)
def test_anomalies_far_from_zero(anomaly):
    y = torch.linspace(-3, 3, 7, dtype=torch.float64)
    h = torch.zeros(7, 1)
    near, far = (anomaly(c)(h, {}).log_prob(y + c) for c in (0.0, 1e9))
    torch.testing.assert_close(near, far, check_dtype=False)
    drawn = anomaly(1e9)(h, {}).sample((100,))
    assert (drawn - 1e9).abs().median() < 20


@pytest.mark.filterwarnings("ignore::nbam_pyro.errors.CannotTellWarning")
def test_double_precision_as_the_default_type(labelled, measured):
    torch.set_default_dtype(torch.float64)
    try:
        ours = classifier(*labelled)
        assert np.isfinite(ours.predict_proba(labelled[0])).all()
        assert np.isfinite(regressor(*measured).responsibility_).all()
        story = LabelFlip(nn.Linear(3, 3), 3)
        fitted = fit(story, labelled, steps=[Joint(epochs=2)])
        assert np.isfinite(responsibilities(fitted, *labelled)).all()
    finally:
        torch.set_default_dtype(torch.float32)


def test_fits_inside_inference_mode(labelled):
    with torch.inference_mode():
        x = torch.as_tensor(labelled[0]).float()
        model = NBAMClassifier(random_state=0, steps=[Joint(epochs=2)]).fit(x, labelled[1])
        inside = model.responsibility_
        story = LabelFlip(nn.Linear(3, 3), 3)
        with pytest.raises(TypeError, match="inference_mode"):
            fit(story, (x, labelled[1]), steps=[Joint(epochs=1)])
    with torch.no_grad():
        outside = NBAMClassifier(random_state=0, steps=[Joint(epochs=2)]).fit(x, labelled[1])
    np.testing.assert_array_equal(inside, outside.responsibility_)


columns = hnp.arrays(
    float, st.tuples(st.integers(2, 30), st.integers(1, 4)), elements=st.floats(-1e3, 1e3)
)


@given(columns, st.floats(0.1, 10.0), st.floats(-100, 100))
def test_middle_and_width_follow_unit_and_level(x, scale, offset):
    assert all(middle in column for middle, column in zip(middles(x), x.T, strict=True))
    x = np.where(np.abs(x) < 1e-290, 0.0, x)  # numbers near the smallest one lose digits
    # In powers of two nothing is rounded.
    factor = 2.0 ** np.round(np.log2(scale))
    np.testing.assert_array_equal(robust_widths(factor * x), factor * robust_widths(x))
    whole = np.round(x)  # and whole numbers are moved without rounding
    np.testing.assert_array_equal(robust_widths(whole + np.round(offset)), robust_widths(whole))


@given(st.integers(8, 40), st.floats(1.0, 1e15))
def test_a_quarter_of_wild_values_does_not_change_the_width(rows, wild):
    x = np.arange(float(rows))[:, None]
    dirty = x.copy()
    dirty[-(rows // 4) :] = rows + wild
    assert robust_widths(dirty)[0] <= 1.6 * robust_widths(x)[0]


def test_columns_of_equal_values_are_fine():
    assert not too_coarse(np.full((9, 1), 1e18)).any()
    check_spacing(np.full((9, 2), 0.1 + 0.2))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        layer = Standardise.of(torch.full((9, 2), 1e18, dtype=torch.float64))
    assert (layer(torch.full((3, 2), 1e18, dtype=torch.float64)) == 0).all()
