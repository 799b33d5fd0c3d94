"""`CleanError`: the prior of a network's own error among the rows that contradict their labels."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbam_pyro.errors import DataError
from nbam_pyro.models import Beta, CleanError

SHARES = st.floats(0, 1)


@given(limits=st.lists(SHARES, min_size=2, max_size=2, unique=True).map(sorted), cut=SHARES)
def test_probabilities_of_two_parts_add_up(limits, cut):
    if limits[1] - limits[0] < 1e-6:
        return
    prior = CleanError(low=limits[0], high=limits[1])
    total = prior.probability(0, cut) + prior.probability(cut, 1)
    assert total == pytest.approx(1)


def test_what_a_user_may_give():
    assert CleanError.of(None) is None
    assert CleanError.of("open").open
    assert CleanError.of((0.1, 0.4)) == CleanError(low=0.1, high=0.4)
    assert CleanError.of(Beta(2, 3)) == CleanError(a=2, b=3)


@pytest.mark.parametrize("wrong", ["shut", 0.3, (0.4, 0.1), (0.2, 1.3), (0.1,), Beta(0, 1), (1, 1)])
def test_anything_else_is_refused(wrong):
    with pytest.raises(DataError, match=r"clean.error|Beta"):
        CleanError.of(wrong)
