"""Probabilities, labels and verified labels of any kind, given to `from_pred_probs`."""

import enum
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch

from nbam_pyro import from_pred_probs
from nbam_pyro.checks.arguments import as_cells
from tests.outputs.cases import (
    figures,
    simulated,
)

NAMES = ["cat", "dog"]

P = np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]] * 20)

Y = [0, 1, 1] * 20

WORDS = [NAMES[y] for y in Y]

ANIMALS = ["cat", "dog", "fox"]

PLAIN = figures(from_pred_probs(Y, P))

PROBABILITIES = {
    "lists": P.tolist(),
    "lists of arrays": list(P),
    "decimals": [[Decimal(str(value)) for value in row] for row in P.tolist()],
    "objects": P.astype(object),
    "series of lists": pd.Series(P.tolist()),
    "Float64": pd.DataFrame(P).astype("Float64"),
    "double[pyarrow]": pd.DataFrame(P).astype("double[pyarrow]"),
    "mixed": pd.DataFrame(P).astype({0: "Float64"}),
    "graph": torch.tensor(P, requires_grad=True) * 1.0,
    "tensors": [torch.tensor(row, requires_grad=True) for row in P],
    "polars": pl.DataFrame(P, schema=["0", "1"]),
    "lazy": pl.DataFrame(P, schema=["0", "1"]).lazy(),
    "polars lists": pl.Series(P.tolist()),
    "arrow": pa.table({"0": P[:, 0], "1": P[:, 1]}),
}


@pytest.mark.parametrize("kind", PROBABILITIES)
def test_probabilities_of_any_kind_say_the_same(kind):
    p = PROBABILITIES[kind]
    named = kind in {"polars", "lazy", "arrow"}  # their columns are always texts
    assert (figures(from_pred_probs(Y, p, classes=[0, 1] if named else None)) == PLAIN).all()


@pytest.mark.parametrize("coarse", [torch.bfloat16, torch.float16, torch.float32])
def test_tensors_of_less_precision_say_nearly_the_same(coarse):
    report = from_pred_probs(torch.tensor(Y), torch.tensor(P).to(coarse).requires_grad_())
    assert figures(report) == pytest.approx(PLAIN, abs=1e-2)


LABELS = {
    "tuple": tuple(WORDS),
    "string": pd.Series(WORDS, dtype="string"),
    "string[pyarrow]": pd.Series(WORDS, dtype="string[pyarrow]"),
    "ArrowDtype": pd.Series(WORDS, dtype=pd.ArrowDtype(pa.string())),
    "dictionary": pd.Series(WORDS, dtype=pd.ArrowDtype(pa.dictionary(pa.int32(), pa.string()))),
    "unused category": pd.Series(pd.Categorical(WORDS, categories=["ant", "dog", "cat"])),
    "StrEnum": [enum.StrEnum("Animal", NAMES)(word) for word in WORDS],
    "polars": pl.Series(WORDS),
    "polars category": pl.Series(WORDS, dtype=pl.Categorical),
    "polars enum": pl.Series(WORDS, dtype=pl.Enum(["cat", "dog", "fox"])),
    "arrow": pa.array(WORDS),
    "uint8": np.array(Y, np.uint8),
    "uint8 tensor": torch.tensor(Y, dtype=torch.uint8),
    "scalars": [torch.tensor(y) for y in Y],
    "Int64": pd.Series(Y, dtype="Int64"),
    "int64[pyarrow]": pd.Series(Y, dtype="int64[pyarrow]"),
    "decimals": [Decimal(y) for y in Y],
    "booleans": np.array(Y, bool),
    "polars numbers": pl.Series(Y),
}


@pytest.mark.parametrize("kind", LABELS)
def test_labels_of_any_kind_say_the_same(kind):
    labels = LABELS[kind]
    words = as_cells(labels).isin(NAMES).all()
    for verified in (None, labels):
        report = from_pred_probs(labels, P, classes=NAMES if words else None, verified=verified)
        expected = PLAIN if verified is None else np.zeros(len(Y))
        assert (figures(report) == expected).all()


@pytest.mark.parametrize(
    "unknown",
    [
        pd.Series([pd.NA] * 60, dtype="Int64"),
        pd.Series([pd.NA] * 60, dtype="string"),
        pd.Series([None] * 60, dtype="int64[pyarrow]"),
        pl.Series([None] * 60, dtype=pl.Int64),
        torch.full((60,), -1),
        np.ma.masked_array(Y, mask=True),
    ],
)
def test_unknown_verified_labels_of_any_kind_say_nothing(unknown):
    assert (figures(from_pred_probs(Y, P, verified=unknown)) == PLAIN).all()


@pytest.mark.parametrize(
    "kind",
    ["list", "array", "object", "series", "categorical", "frame", "numbers"],
)
def test_labels_by_name_say_the_same_as_by_number(kind):
    y, p, _ = simulated(200)
    names = np.array(ANIMALS)[y]
    of = {
        "list": lambda: from_pred_probs(names.tolist(), p.tolist(), classes=ANIMALS),
        "array": lambda: from_pred_probs(names, p, classes=np.array(ANIMALS)),
        "object": lambda: from_pred_probs(names.astype(object), p, classes=tuple(ANIMALS)),
        "series": lambda: from_pred_probs(pd.Series(names), p, classes=ANIMALS),
        "categorical": lambda: from_pred_probs(pd.Categorical(names), p, classes=ANIMALS),
        "frame": lambda: from_pred_probs(names, pd.DataFrame(p, columns=ANIMALS)),
        "numbers": lambda: from_pred_probs(10.0 * y, p, classes=[0, 10, 20]),
    }
    report = of[kind]()
    plain = from_pred_probs(y, p)
    assert (figures(report) == figures(plain)).all()
    classes = [0, 10, 20] if kind == "numbers" else ANIMALS
    for frame in (report.labels.transition_matrix, report.labels.flip_matrix):
        assert frame.index.tolist() == frame.columns.tolist() == classes
        assert (frame.index.name, frame.columns.name) == ("true", "observed")
    assert report.labels.rates["class"].tolist() == classes
    expected = np.array(classes)[plain.rows["suggested_label"]]
    assert (report.rows["suggested_label"].to_numpy() == expected).all()


@pytest.mark.parametrize(
    "verified",
    [
        ["cat", None, "fox", None],
        np.array(["cat", np.nan, "fox", pd.NA], dtype=object),
        pd.Series(["cat", None, "fox", None]),
        ["cat", -1, "fox", -1],
    ],
    ids=["list", "object", "series", "minus one"],
)
def test_verified_labels_may_be_missing_in_any_way(verified):
    p = [[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.7, 0.2, 0.1], [0.1, 0.1, 0.8]]
    report = from_pred_probs(["cat", "dog", "cat", "fox"], p, verified=verified, classes=ANIMALS)
    assert figures(report)[[0, 2]].tolist() == [0, 1]
    assert (figures(report)[[1, 3]] > 0).all()


def test_verified_numbers_may_be_floats_and_minus_one_a_class():
    p = [[0.8, 0.2], [0.3, 0.7], [0.6, 0.4]]
    floats = from_pred_probs([0, 1, 1], p, verified=np.array([0.0, np.nan, 0.0]))
    signs = from_pred_probs([-1, 1, 1], p, verified=[-1, None, -1], classes=[-1, 1])
    assert figures(floats)[[0, 2]].tolist() == figures(signs)[[0, 2]].tolist() == [0, 1]


def test_rows_keep_their_index():
    y, p, true = simulated(50)
    index = pd.Index([f"row {i}" for i in range(50)])
    frame = pd.DataFrame(p, index=index)
    for report in (
        from_pred_probs(y, frame),
        from_pred_probs(pd.Series(y, index=index), p),
        from_pred_probs(y, p, verified=pd.Series(true, index=index)),
    ):
        assert report.rows.index.equals(index)
        assert report.to_cleanlab().index.equals(index)


def test_arguments_are_left_as_they_are():
    y, p, _ = simulated(50)
    p = p.astype(np.float32)
    before = p.copy()
    p.flags.writeable = False
    from_pred_probs(y, p)
    assert (p == before).all()
