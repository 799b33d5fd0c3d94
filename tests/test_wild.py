"""Cells far from the rest: what is planted is named, ordinary tables are left alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbam_pyro.files import wild_cells

SEEDS = st.integers(0, 2**32 - 1)


def found(x, names=None):
    x = np.asarray(x, dtype=float)
    wild = wild_cells(x, names or [f"c{number}" for number in range(x.shape[1])])
    cells = {(cell.row, cell.column, cell.value) for cell in wild.cells}
    return cells, {one.value: one.columns for one in wild.sentinels}


@given(SEEDS, st.sampled_from([99999.0, 1e3, -999.0, 1e12]), st.integers(30, 200))
@settings(max_examples=50, deadline=None)
def test_one_wild_cell_is_named(seed, value, n):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 3))
    row = int(rng.integers(n))
    x[row, 1] = value
    assert found(x) == ({(row, "c1", value)}, {})


@given(SEEDS, st.floats(-1e6, 1e6), st.sampled_from([1e-6, 1.0, 1e6]))
@settings(max_examples=50, deadline=None)
def test_units_do_not_matter(seed, offset, scale):
    rng = np.random.default_rng(seed)
    x = rng.standard_t(3, size=(80, 2))
    x[:2, 0] = 1000, -2000
    rows = {cell[:2] for cell in found(x)[0]}
    assert {(0, "c0"), (1, "c0")} <= rows
    if scale * 1e9 > abs(offset):
        assert {cell[:2] for cell in found(offset + scale * x)[0]} == rows
    order = rng.permutation(80)
    assert {(order[row], name) for row, name, _ in found(x[order])[0]} == rows


@given(SEEDS, st.integers(2, 30), st.sampled_from([-999.0, 99999.0, -1.0e6]))
@settings(max_examples=50, deadline=None)
def test_a_value_that_repeats_is_a_sentinel(seed, many, value):
    x = np.random.default_rng(seed).normal(size=(90, 3))
    x[:many, 0] = value
    x[:1, 2] = value
    cells, sentinels = found(x)
    assert cells == set()
    assert sentinels == {value: {"c0": many, "c2": 1}}


def test_a_wild_row_is_no_sentinel():
    x = np.random.default_rng(0).normal(size=(90, 3))
    x[50] = 1000
    cells, sentinels = found(x)
    assert cells == {(50, f"c{column}", 1000.0) for column in range(3)}
    assert sentinels == {}


def test_several_sentinels_and_a_wild_cell_at_once():
    x = np.random.default_rng(0).normal(size=(100, 1))
    x[:20], x[20:30], x[40] = -999, -99999, 5000
    assert found(x) == ({(40, "c0", 5000.0)}, {-999.0: {"c0": 20}, -99999.0: {"c0": 10}})


ORDINARY = {
    "normal": lambda rng, n: rng.normal(size=n),
    "uniform": lambda rng, n: rng.random(n),
    "exponential": lambda rng, n: rng.exponential(size=n),
    "counts": lambda rng, n: rng.poisson(3, n),
    "rare ones": lambda rng, n: rng.random(n) < 0.02,
    "zeros and ones": lambda rng, n: rng.random(n) < 0.5,
    "constant": lambda rng, n: np.full(n, 7.0),
    "nothing": lambda rng, n: np.full(n, np.nan),
    "classes": lambda rng, n: 5.0 * rng.integers(3, size=n),
    "two clusters": lambda rng, n: np.where(rng.random(n) < 0.5, 0, 50) + rng.normal(size=n),
    "a small cluster": lambda rng, n: np.where(rng.random(n) < 0.3, 100, 0) + rng.normal(size=n),
    "years": lambda rng, n: np.arange(n) + 1950,
    "milliseconds": lambda rng, n: 1.7e12 + 1000.0 * np.arange(n),
    "mostly zeros": lambda rng, n: rng.poisson(0.2, n),
}


@pytest.mark.parametrize("kind", ORDINARY)
@pytest.mark.parametrize("n", [3, 20, 90, 2000])
def test_ordinary_columns_have_nothing_wild(kind, n):
    for seed in range(10):
        x = np.asarray(ORDINARY[kind](np.random.default_rng(seed), n), dtype=float)
        assert found(x[:, None]) == (set(), {}), seed


def test_missing_cells_and_empty_tables():
    x = np.random.default_rng(0).normal(size=(60, 1))
    x[:20] = np.nan
    x[30] = 1e5
    assert found(x) == ({(30, "c0", 1e5)}, {})
    assert found(np.zeros((0, 2))) == (set(), {})
    assert found(np.zeros((5, 0))) == (set(), {})


def test_what_is_said_stays_short():
    x = np.random.default_rng(0).normal(size=(2000, 40))
    x[:15, 0] = 1e6 + np.arange(15)
    x[100, :] = 5e5
    x[200:210, :] = -999
    notes = wild_cells(x, [f"c{number}" for number in range(40)]).notes("a.csv")
    assert len(notes) == 2
    assert all(len(note) < 500 and "\n" not in note for note in notes)
    assert "row 0 ('c0' is 1000000)" in notes[0]
    assert "and 11 more" in notes[0]
    assert "-999 in 'c0' (10 rows)" in notes[1]
