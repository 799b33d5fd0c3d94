"""A wild row costs one row: features are scaled as if it were not there, and it is named."""

import re

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nbam_pyro import NBAMClassifier, NBAMRegressor
from nbam_pyro.checks.wild import column_limits, describe_wild, wild_values
from nbam_pyro.errors import WildValueWarning
from nbam_pyro.models import Standardise


@pytest.fixture(scope="module")
def blobs():
    rng = np.random.default_rng(0)
    true = np.arange(90) % 3
    y = true.copy()
    y[:6] = 1
    return 4 * np.eye(3)[true] + rng.normal(size=(90, 3)), y, true


@pytest.mark.parametrize("value", [1e3, 99999.0, -999.0, 1e15])
def test_one_wild_row_costs_one_row(blobs, value):
    x, y, true = blobs
    dirty = x.copy()
    dirty[50] = value
    with pytest.warns(
        WildValueWarning, match=re.escape(f"{value:.10g} in columns 0 (row 50), 1 (row 50)")
    ):
        model = NBAMClassifier(random_state=0).fit(dirty, y)
    others = np.arange(90) != 50
    assert (model.predict(dirty) == true)[others].mean() > 0.97
    wrong = y != true
    # Four wrong labels may also be four ambiguous rows, so they need not be above one half.
    r = model.responsibility_
    assert r[wrong].min() > max(0.3, 3 * r[~wrong & others].max())


def test_one_wild_cell_of_a_regression(blobs):
    x, _, _ = blobs
    rng = np.random.default_rng(1)
    target = x @ [3.0, -2.0, 1.0] + 0.1 * rng.normal(size=90)
    dirty = x.copy()
    dirty[50, 1] = 99999.0
    table = pd.DataFrame(dirty, columns=["a", "b", "c"])
    with pytest.warns(WildValueWarning, match=r"99999 in column 'b' \(row 50\)"):
        model = NBAMRegressor(random_state=0).fit(table, target)
    assert np.median(np.abs(model.predict(table) - target)) < 0.7


def test_a_code_for_missing_values_is_named_once(blobs):
    x, y, true = blobs
    dirty = x.copy()
    dirty[[3, 30, 40, 70], 2] = -999
    with pytest.warns(WildValueWarning, match=r"-999 in column 2 \(rows 3, 30, 40 and 1 more\)"):
        model = NBAMClassifier(random_state=0).fit(dirty, y)
    assert (model.predict(dirty) == true).mean() > 0.93
    assert "perhaps a code for missing values" in describe_wild(wild_values(dirty))


def test_ordinary_columns_are_scaled_by_mean_and_standard_deviation():
    rng = np.random.default_rng(0)
    columns = {
        "normal": rng.normal(5, 2, 300),
        "heavy": np.exp(2 * rng.normal(size=300)),
        "one_hot": (rng.random(300) < 0.03).astype(float),
        "counts": rng.poisson(0.3, 300).astype(float),
        "two_groups": np.where(rng.random(300) < 0.4, 0.0, 50.0) + 1e-3 * rng.normal(size=300),
    }
    x = np.stack([*columns.values()], 1)
    expected = (x - x.mean(0)) / x.std(0)
    found = Standardise.of(torch.as_tensor(x))(torch.as_tensor(x)).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-9)
    assert wild_values(x) == []


@given(
    st.integers(10, 60),
    st.floats(1e4, 1e12),
    st.sampled_from([-1.0, 1.0]),
    st.integers(0, 2**32 - 1),
)
def test_a_wild_value_does_not_move_the_others(rows, size, side, seed):
    x = np.random.default_rng(seed).normal(size=(rows, 1))
    clean = Standardise.of(torch.as_tensor(x))(torch.as_tensor(x))
    dirty = np.append(x, [[side * size]], 0)
    found = Standardise.of(torch.as_tensor(dirty))(torch.as_tensor(dirty))
    assert found[:-1].std() > clean.std() / 5
    assert found.abs().max() < 10
    assert [one.rows.tolist() for one in wild_values(dirty)] == [[rows]]


@given(st.integers(2, 40), st.integers(0, 2**32 - 1))
def test_limits_hold_what_is_not_wild(rows, seed):
    x = np.random.default_rng(seed).standard_t(2, size=(rows, 3))
    low, high = column_limits(x)
    inside = (x >= low) & (x <= high)
    assert inside.mean() >= 0.75
    assert inside.any(0).all()


def test_many_wild_columns_in_one_sentence():
    x = np.tile(np.arange(30.0)[:, None], 5)
    x[4] = 1e9
    x[5, 1], x[6, 2], x[7, 3] = -7e3, -8e3, -9e3
    assert describe_wild(wild_values(x), list("abcde")) == (
        "1000000000 in columns 'a' (row 4), 'b' (row 4), 'c' (row 4) and 2 more; -7000 in column "
        "'b' (row 5); -8000 in column 'c' (row 6); and more values: 1"
    )
    x[5:8] = 0
    assert describe_wild(wild_values(x)) == (
        "1000000000 in columns 0 (row 4), 1 (row 4), 2 (row 4) and 2 more"
    )


def test_gaps_between_present_values_and_columns_without_any():
    x = np.tile(np.arange(30.0)[:, None], 3)
    x[:, 1] = np.nan
    x[::2, 2] = np.nan
    x[5, [0, 2]] = 1e5
    assert [(one.column, one.rows.tolist()) for one in wild_values(x)] == [(0, [5]), (2, [5])]
    assert [wild_values(x[:n]) for n in (0, 1, 9)] == [[], [], []]


def test_a_group_or_a_tail_is_not_wild():
    rng = np.random.default_rng(0)
    group = np.append(rng.normal(size=80), rng.normal(50, 1, 12))
    counts = np.zeros(92)
    counts[:3] = 1, 1, 40
    assert wild_values(np.stack([group, counts], 1)) == []
