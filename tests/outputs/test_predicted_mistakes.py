"""Error messages of `from_pred_probs`."""

import datetime
import enum
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pytest

from nbam_pyro import from_pred_probs
from nbam_pyro.errors import DataError

NAMES = ["cat", "dog"]

P = np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]] * 20)

Y = [0, 1, 1] * 20

WORDS = [NAMES[y] for y in Y]

Kind = enum.Enum("Kind", NAMES)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            {"labels": [Kind.cat] * 60},
            "such as <Kind.cat: 1> in row 0, .* neither a number nor a text",
        ),
        ({"labels": [datetime.date(2020, 1, 1)] * 60}, "neither a number nor a text"),
        ({"labels": [Decimal("0.5")] * 60}, r"such as Decimal\('0.5'\)"),
        ({"labels": [{}] * 60}, "cannot be compared"),
        ({"labels": [(0, 1)] * 60}, r"labels have shape \(60, 2\)"),
        ({"labels": [y + 1 for y in Y]}, "such as 2 in row 1; .* If labels start at 1, subtract 1"),
        ({"labels": np.array(Y) + 1}, "If labels start at 1, subtract 1"),
        ({"labels": [-1, *Y[1:]]}, "If -1 means that there is no label, leave those rows out"),
        ({"labels": pl.Series([0, None, *Y[2:]])}, "1 labels are missing, the first in row 1"),
        ({"labels": np.ma.masked_array(Y, mask=[0, 1] + [0] * 58)}, "the first in row 1"),
        ({"pred_probs": pd.DataFrame(P).astype("Float64").replace(0.1, pd.NA)}, "row 0, column 1"),
        (
            {"pred_probs": pd.DataFrame(P, columns=NAMES).replace(0.1, np.nan)},
            "row 0, column 'dog'",
        ),
        ({"pred_probs": pd.DataFrame(P).assign(note="x")}, "'x' in row 0, column 'note'"),
        ({"pred_probs": P.astype(str)}, "expected numbers"),
        ({"pred_probs": P + 0j}, "expected numbers"),
        ({"pred_probs": [*P.tolist()[:-1], [1.0]]}, "different lengths"),
        ({"pred_probs": [], "labels": []}, "no rows"),
        ({"pred_probs": pd.DataFrame(columns=NAMES), "labels": []}, "no rows"),
        ({"pred_probs": pl.DataFrame(schema=NAMES), "labels": []}, "no rows"),
        ({"sharpness": "2.5"}, "sharpness is '2.5'; expected one number"),
        ({"sharpness": np.array([2.5, 1.0])}, "expected one number"),
        ({"class_prior": True}, "class_prior is True; expected one number"),
        ({"probability": np.nan}, "probability is nan"),
    ],
)
def test_what_cannot_be_read_is_refused_in_a_sentence(change, says):
    with pytest.raises(DataError, match=says):
        from_pred_probs(**{"labels": Y, "pred_probs": P, **change})


THREE = np.array([[0.8, 0.2], [0.3, 0.7], [0.6, 0.4]])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pred_probs": THREE[:, :1]}, r"shape \(3, 1\)"),
        ({"pred_probs": THREE[0]}, r"shape \(2,\)"),
        ({"pred_probs": THREE[:0], "labels": []}, "no rows"),
        ({"pred_probs": [["a", "b"]] * 3}, "expected numbers"),
        (
            {"pred_probs": np.where(THREE == 0.2, np.nan, THREE)},
            "1 values .* missing or infinite, the first is nan in row 0, column 1",
        ),
        ({"pred_probs": np.where(THREE == 0.4, np.inf, THREE)}, "inf in row 2, column 1"),
        ({"pred_probs": 3 * THREE}, "3 rows of pred_probs do not sum to one"),
        ({"pred_probs": [[1.5, -0.5], [1.0, 0.0], [1.0, 0.0]]}, "negative entries such as -0.5"),
        ({"labels": [0, 1]}, r"labels have shape \(2,\); expected \(3,\)"),
        ({"labels": [[0], [1], [1]]}, r"labels have shape \(3, 1\)"),
        (
            {"labels": [0, 1, 2]},
            "1 of labels are not classes, such as 2 in row 2; the classes are 0, 1",
        ),
        ({"labels": [0, 1, -1]}, "such as -1"),
        ({"labels": [0, 1, 0.5]}, "such as 0.5"),
        ({"labels": ["cat", "dog", "dog"]}, "such as 'cat'.*rename the columns"),
        ({"labels": [0, None, 1]}, "1 labels are missing"),
        ({"labels": [0, np.nan, 1]}, "1 labels are missing"),
        ({"classes": ["cat", "dog"]}, "3 of labels are not classes, such as 0"),
        ({"classes": ["cat", "cat"]}, "2 different names"),
        ({"classes": ["cat", None]}, "2 different names"),
        ({"classes": [0, 1, 2]}, "pred_probs has 2 columns"),
        ({"verified": [0, 1, 2]}, "1 of verified are not classes, such as 2"),
        ({"verified": [0, 1]}, r"verified have shape \(2,\)"),
        ({"verified": [0, 1, "cat"]}, "such as 'cat'"),
        ({"sharpness": 0}, "sharpness is 0"),
        ({"sharpness": -1.0}, "positive"),
        ({"sharpness": np.inf}, "finite"),
        ({"sharpness": np.nan}, "positive"),
        ({"probability": 1.0}, "probability is 1"),
        ({"class_prior": 0}, "class_prior is 0"),
        ({"class_prior": np.nan}, "class_prior is nan"),
        (
            {"labels": pd.Series([0, 1, 1], index=[2, 1, 0]), "pred_probs": pd.DataFrame(THREE)},
            "Align",
        ),
    ],
)
def test_bad_input_is_refused(change, message):
    arguments = {"labels": [0, 1, 1], "pred_probs": THREE, **change}
    with pytest.raises(DataError, match=message):
        from_pred_probs(**arguments)
