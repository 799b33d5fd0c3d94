import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbam_pyro.data import (
    Corruption,
    Flips,
    GrossErrors,
    InstanceFlips,
    Local,
    PairFlips,
    Shift,
    SymmetricFlips,
    contaminate,
    half_space,
)
from nbam_pyro.errors import DataError

NAMES = ("cat", "dog", "lynx", "snow leopard")
ALONG = np.random.default_rng(0).normal(size=(60, 2, 3))  # features of up to 60 rows

# Every kind of flip among four classes: from classes in order and the number of rows.
FLIPS = {
    "flips": lambda names, count: Flips({names[0]: names[1], names[1]: names[0]}),
    "pair": lambda names, count: PairFlips(names),
    "symmetric": lambda names, count: SymmetricFlips(names),
    "instance": lambda names, count: InstanceFlips(ALONG[:count], names),
    "local": lambda names, count: Local(PairFlips(names), np.arange(count) % 2 == 0),
    "local instance": lambda names, count: Local(
        InstanceFlips(ALONG[:count], names), np.arange(count) % 2 == 0
    ),
}
flips = pytest.mark.parametrize("kind", FLIPS)
labels = st.lists(st.integers(0, 3), min_size=1, max_size=60).map(np.array)
shares = st.floats(0, 1)
seeds = st.integers(0, 2**32 - 1)


@flips
@settings(deadline=None, max_examples=40)
@given(clean=labels, rate=shares, seed=seeds)
def test_exactly_what_is_contaminated_differs(kind, clean, rate, seed):
    how, before = FLIPS[kind](range(4), len(clean)), clean.copy()
    done = contaminate(clean, how, rate=rate, seed=seed)
    assert np.array_equal(done.observed != clean, done.contaminated)
    assert np.array_equal(clean, before)
    assert np.array_equal(done.clean, before)
    assert set(done.observed) <= set(range(4))
    groups = how.groups(clean)
    assert not np.delete(done.contaminated, np.concatenate(groups)).any()
    if "instance" not in kind:
        for rows in groups:
            assert done.contaminated[rows].sum() == round(rate * len(rows))
    elif rate == 0:
        assert done.rate == 0


@flips
@settings(deadline=None, max_examples=20)
@given(clean=labels, rate=shares, seed=seeds)
def test_a_seed_settles_everything_and_texts_flip_as_numbers_do(kind, clean, rate, seed):
    one, other = (
        contaminate(clean, FLIPS[kind](range(4), len(clean)), rate=rate, seed=seed)
        for _ in range(2)
    )
    assert np.array_equal(one.observed, other.observed)
    for names in (np.array(NAMES), np.array(NAMES, object)):
        how = FLIPS[kind](NAMES, len(clean))
        texts = contaminate(names[clean], how, rate=rate, seed=seed)
        assert np.array_equal(texts.observed, names[one.observed])
        by_class = {NAMES[c]: share for c, share in one.rate_by_class.items()}
        assert texts.rate_by_class == by_class
        assert np.array_equal(
            texts.transition_matrix(NAMES), one.transition_matrix(4), equal_nan=True
        )


@pytest.mark.parametrize("kind", [kind for kind in FLIPS if "instance" not in kind])
@settings(deadline=None, max_examples=60)
@given(clean=labels, rate=shares, seed=seeds)
def test_an_overall_rate_is_exact_or_refused(kind, clean, rate, seed):
    how = FLIPS[kind](range(4), len(clean))
    groups, wanted = how.groups(clean), round(rate * len(clean))
    sources = sum(len(rows) for rows in groups)
    if wanted > sources:
        with pytest.raises(DataError, match="largest possible") as refused:
            contaminate(clean, how, rate=rate, seed=seed, rate_kind="overall")
        rate = float(str(refused.value).removesuffix(".").split()[-1])
        wanted = sources
    done = contaminate(clean, how, rate=rate, seed=seed, rate_kind="overall")
    assert done.contaminated.sum() == wanted
    for rows in groups:
        assert abs(done.contaminated[rows].sum() * sources - wanted * len(rows)) <= sources


@settings(deadline=None)
@given(clean=labels, rate=shares, seed=seeds)
def test_the_realised_matrix_agrees_with_the_realised_rates(clean, rate, seed):
    done = contaminate(clean, SymmetricFlips(4), rate=rate, seed=seed)
    matrix = done.transition_matrix(4)
    for c in range(4):
        if c in done.rate_by_class:
            assert matrix[c].sum() == pytest.approx(1)
            assert 1 - matrix[c, c] == pytest.approx(done.rate_by_class[c])
        else:
            assert np.isnan(matrix[c]).all()
    sizes = np.bincount(clean, minlength=4)
    rates = [done.rate_by_class.get(c, 0) for c in range(4)]
    assert sizes @ rates / len(clean) == pytest.approx(done.rate)


@pytest.mark.parametrize(
    ("values", "how", "dtype"),
    [
        (np.array(["a", "b"]), Flips({"a": "far longer"}), "<U10"),
        (np.array(["a", "b"], object), Flips({"a": "far longer"}), object),
        (np.array([0, 1], np.uint8), Flips({0: 7}), np.uint8),
        (np.array([0, 1], np.uint8), Flips({0: 300}), np.int64),
        (np.array([False, True]), SymmetricFlips(2), bool),
        (np.array([0, 1]), Shift(0.5), float),
        (np.array([0, 1], np.float32), Shift(0.5), np.float32),
        (np.array([0, 1], np.float32), GrossErrors(3.0), np.float32),
    ],
)
@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_what_is_observed_is_neither_cut_nor_rounded(values, how, dtype, rate):
    done = contaminate(values, how, rate=rate, seed=0)
    assert np.array_equal(done.observed != values, done.contaminated)
    assert done.rate == (0 if rate == 0 else 0.5 if isinstance(how, Flips) else 1)
    if rate:
        assert done.observed.dtype == dtype


def test_shifts_go_one_way_and_gross_errors_far_both_ways():
    clean = np.random.default_rng(0).normal(size=4000)
    shifted = contaminate(clean, Shift(-2.0), rate=0.25, seed=0)
    assert np.allclose(shifted.observed - clean, -2.0 * shifted.contaminated)
    gross = contaminate(clean, GrossErrors(5.0), rate=0.25, seed=0)
    errors = (gross.observed - clean)[gross.contaminated]
    assert np.abs(errors).min() >= 5
    assert np.abs(errors).mean() == pytest.approx(10, rel=0.1)
    assert (errors > 0).mean() == pytest.approx(0.5, abs=0.05)
    assert np.array_equal(gross.observed != clean, gross.contaminated)
    assert gross.contaminated.sum() == shifted.contaminated.sum() == 1000


def test_a_corruption_of_your_own_has_one_method():
    class Saturated(Corruption):
        def corrupt(self, values, rows, rng):
            return np.minimum(values, 0.5)

    done = contaminate(np.linspace(0, 1, 10), Saturated(), rate=1.0, seed=0)
    assert done.observed.max() == 0.5
    assert done.contaminated.all()  # also those on which saturation leaves no trace


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Flips({0: 0}), "itself"),
        (lambda: SymmetricFlips(1), "two"),
        (lambda: SymmetricFlips(["a", "a"]), "different"),
        (lambda: PairFlips(1), "two"),
        (lambda: PairFlips([0, 0]), "different"),
        (lambda: InstanceFlips(ALONG, 1), "two"),
        (lambda: InstanceFlips(np.array([[np.nan]]), 2), "finite"),
        (lambda: InstanceFlips(np.array([["a"]]), 2), "numbers"),
        (lambda: InstanceFlips(np.zeros((0, 2)), 2), "shape"),
        (lambda: Local(PairFlips(2), np.array([0, 1])), "booleans"),
        (lambda: Local(PairFlips(2), np.ones((2, 2), bool)), "shape"),
        (lambda: Local(PairFlips(2), np.zeros(2, bool)), "0 rows"),
        (lambda: half_space(ALONG, share=0.0), "share is 0.0"),
        (lambda: half_space(ALONG, share=1.5), "share is 1.5"),
        (lambda: half_space(np.ones((5, 2)), share=0.5), "are equal"),
        (
            lambda: half_space(np.array([[1, 2], [1, 3]]), share=0.5, direction=[1, 0]),
            "same projection",
        ),
        (lambda: half_space(ALONG, share=0.5, direction=[1, 0]), "direction has 2"),
        (lambda: half_space(ALONG, share=0.5, direction=[np.inf] * 6), "finite"),
        (lambda: Shift(0.0), "by is 0.0"),
        (lambda: Shift(float("nan")), "finite"),
        (lambda: GrossErrors(-1.0), "positive"),
    ],
)
def test_impossible_corruptions_are_refused(make, message):
    with pytest.raises(DataError, match=message):
        make()


@pytest.mark.parametrize(
    ("values", "how", "rate", "message"),
    [
        ([0, 1], Flips({0: 1}), 1.5, "rate"),
        ([0, 1], Flips({0: 1}), float("nan"), "rate"),
        ([], Flips({0: 1}), 0.5, "shape"),
        ([[0, 1]], Flips({0: 1}), 0.5, "shape"),
        ([0, 1], Flips({"0": "1"}), 0.5, "text"),
        (["0", "1"], Flips({0: 1}), 0.5, "text"),
        (["0", "1"], SymmetricFlips(2), 0.5, "text"),
        ([0, 1, 2], SymmetricFlips(2), 0.0, "Label 2"),
        ([0, 1, 2], PairFlips(2), 0.0, "Label 2"),
        (["0", "1"], PairFlips(2), 0.5, "text"),
        ([0, 2], InstanceFlips(ALONG[:2], 2), 0.0, "Label 2"),
        ([0, 1], InstanceFlips(ALONG, 2), 0.5, "60 rows"),
        ([0, 1], Local(PairFlips(2), np.array([True])), 0.5, "1 rows"),
        (["0", "1"], Local(PairFlips(2), np.array([True, True])), 0.5, "text"),
        (["0", "1"], Shift(1.0), 0.5, "numbers"),
        (["0", "1"], GrossErrors(1.0), 0.5, "numbers"),
    ],
)
def test_values_that_do_not_fit_are_refused(values, how, rate, message):
    with pytest.raises(DataError, match=message):
        contaminate(np.array(values), how, rate=rate, seed=0)


def test_other_kinds_of_rates_and_unknown_classes_are_refused():
    clean = np.array([0, 1])
    with pytest.raises(DataError, match="per_source_class"):
        contaminate(clean, PairFlips(2), rate=0.5, seed=0, rate_kind="each")
    done = contaminate(clean, Flips({0: 7}), rate=1.0, seed=0)
    with pytest.raises(DataError, match="Label 7"):
        done.transition_matrix(2)
