"""Names of classes, and the columns that belong to them."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from nbam_pyro import from_pred_probs
from nbam_pyro.errors import DataError
from nbam_pyro.outputs.classes import class_columns
from tests.outputs.cases import figures

NAMES = ["cat", "dog"]

P = np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]] * 20)

Y = [0, 1, 1] * 20

WORDS = [NAMES[y] for y in Y]

PLAIN = figures(from_pred_probs(Y, P))


@pytest.mark.parametrize(
    "classes",
    [
        np.array(NAMES),
        pd.Index(NAMES),
        pd.Series(NAMES, dtype="string"),
        pd.Categorical(NAMES),
        pl.Series(NAMES),
        pa.array(NAMES),
        dict.fromkeys(NAMES),
    ],
    ids=lambda classes: type(classes).__name__,
)
def test_names_of_classes_may_be_in_any_collection(classes):
    assert (figures(from_pred_probs(WORDS, P, classes=classes)) == PLAIN).all()


def test_columns_are_matched_by_name():
    p = pd.DataFrame(P, columns=NAMES)
    plain, turned = from_pred_probs(WORDS, p), from_pred_probs(WORDS, p, classes=NAMES[::-1])
    assert (figures(turned) == PLAIN).all()
    assert turned.labels.transition_matrix.columns.tolist() == NAMES[::-1]
    assert turned.labels.transition_matrix.loc[NAMES, NAMES].equals(plain.labels.transition_matrix)
    assert (turned.rows["suggested_label"] == plain.rows["suggested_label"]).all()


@pytest.mark.parametrize(
    ("columns", "classes", "order"),
    [
        (["dog", "cat"], ["dog", "cat"], None),
        (["dog", "cat", "fox"], ["fox", "dog", "cat"], [2, 0, 1]),
        (["p_dog", "p_cat"], ["dog", "cat"], None),
        (["1", "0"], [0, 1], [1, 0]),
        ([1.0, 0.0], [0, 1], [1, 0]),
        (["01", "1"], ["1", "01"], [1, 0]),
        (None, [1, 0], None),
    ],
)
def test_the_column_of_each_class(columns, classes, order):
    names, found = class_columns(columns, classes, len(classes))
    assert names.tolist() == classes
    assert found == order


@pytest.mark.parametrize(
    ("columns", "classes", "says"),
    [
        (["cat", "x"], NAMES, "only some names agree"),
        ([0, 1], [1, 0], "unclear whether they name the columns"),
        (["1", 1], [1, "1"], "only some names agree"),
        (None, set(NAMES), "in a list"),
        (None, "ab", "in a list"),
        (None, 2, "in a list"),
        (None, [], "2 different names"),
        (None, [float("nan"), 1], "2 different names"),
    ],
)
def test_names_that_do_not_fit_are_refused(columns, classes, says):
    with pytest.raises(DataError, match=says):
        class_columns(columns, classes, 2)
