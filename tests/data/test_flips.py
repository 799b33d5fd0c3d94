import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbam_pyro.data import (
    CIFAR10_FLIPS,
    DIGITS_FLIPS,
    FASHION_MNIST_FLIPS,
    Flips,
    InstanceFlips,
    Local,
    PairFlips,
    Shift,
    SymmetricFlips,
    contaminate,
    half_space,
)

NAMES = ("cat", "dog", "lynx", "snow leopard")


@pytest.mark.parametrize(
    ("directions", "mutual", "sources"),
    [(CIFAR10_FLIPS, {3, 5}, 5), (FASHION_MNIST_FLIPS, {3, 4}, 5), (DIGITS_FLIPS, {5, 6}, 5)],
)
def test_standard_flips_have_one_mutual_pair_that_does_not_flip_back(directions, mutual, sources):
    pairs = {c for c, target in directions.items() if directions.get(target) == c}
    assert pairs == mutual
    assert len(directions) == sources
    done = contaminate(np.repeat(range(10), 50), Flips(directions), rate=0.4, seed=0)
    expected = np.eye(10)
    for source, target in directions.items():
        expected[source, [source, target]] = 0.6, 0.4
    assert np.allclose(done.transition_matrix(10), expected)
    assert done.rate == pytest.approx(0.2)


def test_pair_flips_go_around_the_circle():
    done = contaminate(np.repeat(NAMES, 10), PairFlips(NAMES), rate=0.3, seed=0)
    expected = 0.7 * np.eye(4) + 0.3 * np.roll(np.eye(4), 1, axis=1)
    assert np.allclose(done.transition_matrix(NAMES), expected)


def test_flips_are_judged_by_the_clean_copy():
    clean = np.repeat([0, 1, 2], 100)
    flipped = contaminate(clean, Flips({0: 1, 1: 0}), rate=0.4, seed=0)
    assert (flipped.observed != clean).sum() == flipped.contaminated.sum() == 80
    assert flipped.rate == pytest.approx(80 / 300)
    assert ((clean == 0) & (flipped.observed == 1)).sum() == 40
    assert ((clean == 1) & (flipped.observed == 0)).sum() == 40
    assert not flipped.contaminated[clean == 2].any()


def test_flips_keep_the_random_stream_of_published_figures():
    clean, directions = np.arange(200) % 4, {3: 0, 0: 1, 1: 0}
    rng, expected = np.random.default_rng(7), clean.copy()
    for source, target in directions.items():
        members = np.flatnonzero(clean == source)
        expected[rng.permutation(members)[: round(0.3 * len(members))]] = target
    flipped = contaminate(clean, Flips(directions), rate=0.3, seed=7)
    assert np.array_equal(flipped.observed, expected)
    assert np.array_equal(flipped.contaminated, expected != clean)


@pytest.mark.parametrize("names", [4, np.int64(4), [0, 1, 2, 3], ["a", "b", "c", "dd"]])
def test_symmetric_flips_reach_every_other_class_alike(names):
    classes = np.arange(4) if np.ndim(names) == 0 else np.array(names)
    clean = np.repeat(classes, 3000)
    flipped = contaminate(clean, SymmetricFlips(names), rate=0.5, seed=0)
    assert flipped.contaminated.sum() == 6000
    assert np.array_equal(flipped.observed != clean, flipped.contaminated)
    for source in classes:
        rows = flipped.contaminated & (clean == source)
        for target in classes[classes != source]:
            assert (flipped.observed[rows] == target).mean() == pytest.approx(1 / 3, abs=0.05)


@pytest.mark.parametrize(("rate", "expected"), [(0.1, 0.1288), (0.2, 0.2055), (0.4, 0.4)])
@pytest.mark.parametrize("rate_kind", ["per_source_class", "overall"])
def test_instance_flips_are_as_many_as_truncated_normal_rates_say(rate, expected, rate_kind):
    x = np.random.default_rng(0).normal(size=(40_000, 2))
    clean = np.arange(40_000) % 4
    how = InstanceFlips(x, 4)
    done = contaminate(clean, how, rate=rate, seed=0, rate_kind=rate_kind)
    assert done.rate == pytest.approx(expected, abs=0.01)  # four standard deviations


def test_instance_flips_go_where_the_projected_features_say():
    # Two places in feature space; standardised, they are -1 and 1.
    x = np.tile([[[3, 7]], [[5, 9]]], (20_000, 1, 1)).astype(np.uint8)
    rows = np.arange(len(x))
    targets = InstanceFlips(x, 3).corrupt(np.zeros(len(x), int), rows, np.random.default_rng(0))
    projection = np.random.default_rng(0).normal(size=(2, 3))  # of class 0
    for place in (0, 1):
        scores = np.exp((2 * place - 1) * projection.sum(axis=0)[1:])
        found = np.bincount(targets[place::2], minlength=3) / 20_000
        assert np.allclose(found, [0, *scores / scores.sum()], atol=0.015)


def test_features_that_do_not_vary_change_nothing_of_instance_flips():
    x = np.full((30, 2), 0.1, np.float32)
    done = contaminate(np.zeros(30, int), InstanceFlips(x, 2), rate=1.0, seed=0)
    assert np.array_equal(done.observed, done.contaminated)


@settings(deadline=None)
@given(share=st.floats(0.01, 1), seed=st.integers(0, 2**32 - 1))
def test_a_half_space_holds_its_share_on_one_side(share, seed):
    x = np.random.default_rng(seed).normal(size=(50, 1, 2)) * [1, 9]
    direction = np.array([0.6, 0.8])
    inside = half_space(x, share=share, direction=direction)
    heights = x[:, 0] @ direction
    assert inside.sum() == max(1, round(50 * share))
    assert heights[inside].min() > heights[~inside].max(initial=-np.inf)
    principal, second = half_space(x, share=0.5), x[:, 0, 1]
    agree = (principal == (second >= np.median(second))).mean()
    assert max(agree, 1 - agree) > 0.8


def test_rows_that_are_level_are_on_the_same_side():
    x = np.array([0, 1, 1, 1, 2])
    assert half_space(x, share=0.4).tolist() == [False, True, True, True, True]
    x = np.random.default_rng(0).normal(size=(11, 37)).astype(np.float32)
    copies = half_space(np.tile(x, (9, 1)), share=0.5).reshape(9, 11)
    assert (copies == copies[0]).all()


def test_local_contamination_keeps_to_its_region():
    x = np.random.default_rng(0).normal(size=(1000, 4))
    region, clean = half_space(x, share=0.25), np.arange(1000) % 4
    done = contaminate(clean, Local(SymmetricFlips(4), region), rate=0.4, seed=0)
    assert not done.contaminated[~region].any()
    assert done.contaminated[region].sum() == 100
    how = Local(SymmetricFlips(4), region)
    overall = contaminate(clean, how, rate=0.2, seed=0, rate_kind="overall")
    assert not overall.contaminated[~region].any()
    assert overall.rate == 0.2
    measured = contaminate(x[:, 0], Local(Shift(1.0), region), rate=1.0, seed=0)
    assert np.allclose(measured.observed - x[:, 0], region)
