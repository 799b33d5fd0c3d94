"""Priors that are given as texts on the command line."""

import pytest

from nbam_pyro import Beta
from nbam_pyro.cli.runs import parse_clean_error, parse_contamination
from nbam_pyro.errors import DataError


def test_a_prior_of_the_clean_error():
    assert parse_clean_error(None) is None
    assert parse_clean_error("open") == "open"
    assert parse_clean_error("0.2,0.5") == (0.2, 0.5)
    assert parse_clean_error("beta:2,6") == Beta(2, 6)


@pytest.mark.parametrize("text", ["0.2", "0.5,0.2", "beta:2", "beta:0,1", "closed", "1,2,3", ""])
def test_another_text_is_refused(text):
    with pytest.raises(DataError, match="--clean-error"):
        parse_clean_error(text)


def test_a_prior_of_the_share():
    assert parse_contamination("beta:2,8") == Beta(2, 8)
    assert parse_contamination("0.05") == 0.05
    for text in ("beta:2", "1.5", "many"):
        with pytest.raises(DataError, match="--contamination"):
            parse_contamination(text)
