import numpy as np
import pytest

from nbam_pyro.data import DIGITS_FLIPS, flip_labels, flipped_digits
from nbam_pyro.errors import DataError


def test_flips_are_judged_by_the_clean_copy():
    clean = np.repeat([0, 1, 2], 100)
    flipped = flip_labels(clean, {0: 1, 1: 0}, rate=0.4, seed=0)
    assert (flipped.labels != clean).sum() == flipped.contaminated.sum() == 80
    assert flipped.rate == pytest.approx(80 / 300)
    assert ((clean == 0) & (flipped.labels == 1)).sum() == 40
    assert ((clean == 1) & (flipped.labels == 0)).sum() == 40
    assert not flipped.contaminated[clean == 2].any()


@pytest.mark.parametrize(("directions", "rate"), [({0: 1}, 1.5), ({0: 0}, 0.5)])
def test_impossible_flips_are_refused(directions, rate):
    with pytest.raises(DataError):
        flip_labels(np.zeros(4, int), directions, rate=rate, seed=0)


def test_digits_are_reproducible_and_keep_their_rows():
    one, other, third = (flipped_digits(seed=s) for s in (3, 3, 4))
    assert np.array_equal(one.flipped.labels, other.flipped.labels)
    assert not np.array_equal(one.rows, third.rows)
    for c in range(10):
        share = one.flipped.contaminated[one.truth == c].mean()
        assert share == pytest.approx(0.4 if c in DIGITS_FLIPS else 0.0, abs=0.01)
    assert len(one.x_test) == 540
