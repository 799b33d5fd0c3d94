"""The encoding of arrays."""

import numpy as np
import pytest

from nbam_pyro.cli.files import (
    ArrayShape,
)
from tests.cli.files.helpers import (
    again,
    refused,
)


@pytest.mark.parametrize(("shape", "dtype"), [((4, 3), np.float64), ((4, 1, 8, 9), np.float32)])
def test_arrays_are_encoded_and_survive_json(shape, dtype):
    x = np.arange(np.prod(shape)).reshape(shape)
    encoding = ArrayShape.of(x)
    assert again(encoding) == encoding
    encoded = again(encoding).encode(x)
    assert encoded.x.dtype == dtype
    assert encoded.notes == []
    np.testing.assert_array_equal(encoded.x, x)


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (np.zeros((3, 4)), ["(4,)", "(2,)"]),
        (np.array([[0, 1], [np.nan, 0], [np.inf, 0]]), ["2 rows", "row 1"]),
        (np.array([["a", "b"]]), ["<U1", "numbers"]),
    ],
)
def test_arrays_that_are_not_like_the_training_array(x, words):
    refused(*words, call=lambda: ArrayShape((2,)).encode(x))


@pytest.mark.parametrize("shape", [(3,), (3, 4, 5), (3, 0), (3, 1, 2, 3, 4)])
def test_arrays_of_another_number_of_axes(shape):
    refused(str(shape[1:]), "channels", call=lambda: ArrayShape.of(np.zeros(shape)))


def test_values_beyond_float32_are_refused():
    x = np.full((1, 1, 2, 2), 1e300)
    refused("row 0", call=lambda: ArrayShape.of(x).encode(x))
