"""Probabilities, labels and names of any kind, given to `from_pred_probs`."""

import datetime
import enum
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nbam_pyro import FlipPrior, from_pred_probs
from nbam_pyro.checks.arguments import as_cells, as_number, as_numbers
from nbam_pyro.errors import DataError
from nbam_pyro.outputs.classes import class_columns
from nbam_pyro.outputs.intervals import transition_intervals
from nbam_pyro.outputs.transition import estimate_transition

NAMES = ["cat", "dog"]
P = np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]] * 20)
Y = [0, 1, 1] * 20
WORDS = [NAMES[y] for y in Y]
Kind = enum.Enum("Kind", NAMES)


def figures(report):
    return report.rows["responsibility"].to_numpy()


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
    assert turned.transition_matrix.columns.tolist() == NAMES[::-1]
    assert turned.transition_matrix.loc[NAMES, NAMES].equals(plain.transition_matrix)
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
        ([0, 1], [1, 0], "which is ambiguous"),
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


def test_arguments_may_be_numbers_of_numpy_and_torch():
    expected = from_pred_probs(Y, P, sharpness=2.0, class_prior=5, probability=0.5)
    for number in (np.float32, np.array, torch.tensor, Decimal):
        found = from_pred_probs(
            Y, P, sharpness=number(2.0), class_prior=number(5.0), probability=number(0.5)
        )
        assert found.rates.equals(expected.rates)
        assert type(found.sharpness) is float
    assert as_number(np.int8(3), "x") == 3.0


def test_probabilities_of_0_and_1_have_a_finite_interval_and_are_disclosed():
    p = np.eye(10)[np.arange(500) % 10]
    y = np.where(np.arange(500) < 60, (np.arange(500) + 1) % 10, np.arange(500) % 10)
    for kind in (np.float64, np.float32, np.int64):
        report = from_pred_probs(y, p.astype(kind))
        low, rate, high = report.contamination[["low", "rate", "high"]]
        assert low <= rate <= high
        assert rate == pytest.approx(0.12, abs=1e-3)
        assert np.isfinite(report.rates.drop(columns="class")).all(axis=None)
        assert "In 500 of 500 rows one class has probability 1" in report.note
    assert "has probability 1" not in from_pred_probs(Y, P).note


def test_a_share_of_nearly_nothing_has_an_interval_of_nearly_nothing():
    y = np.arange(300) % 3
    p = 0.97 * np.eye(3)[y] + 0.01
    contamination = from_pred_probs(y, p).contamination
    assert 0 <= contamination["low"] <= contamination["rate"] <= contamination["high"] < 0.01


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_precision_stays_as_it_was_given(kind):
    report = from_pred_probs(Y, P.astype(kind))
    rate = torch.tensor(report.rates["rate"].to_numpy(copy=True))
    matrix = torch.tensor(report.transition_matrix.to_numpy(copy=True))
    f = torch.tensor(P) ** 2.5
    joint = (f / f.sum(1, keepdim=True))[:, :, None] * matrix
    chosen = joint[torch.arange(60), :, torch.tensor(Y)]
    exact = 1 - chosen[torch.arange(60), torch.tensor(Y)] / chosen.sum(1)
    assert rate.dtype == torch.float64
    assert figures(report) == pytest.approx(
        exact.numpy(), abs=1e-13 if kind == np.float64 else 1e-6
    )


def test_double_precision_as_the_default_changes_nothing():
    torch.set_default_dtype(torch.float64)
    try:
        assert (figures(from_pred_probs(Y, P)) == PLAIN).all()
    finally:
        torch.set_default_dtype(torch.float32)


def test_threads_find_what_is_found_one_after_the_other():
    rng = np.random.default_rng(0)
    data = [(rng.integers(3, size=60), rng.dirichlet(np.ones(3), 60)) for _ in range(12)]

    def of(pair):
        torch.set_num_threads(1)
        return from_pred_probs(*pair, verified=np.where(np.arange(60) < 9, pair[0], -1))

    expected = [of(pair) for pair in data]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(of, 4 * data))
    for one, other in zip(found, 4 * expected, strict=True):
        assert one.rows.equals(other.rows)
        assert one.rates.equals(other.rates)
        assert one.band.equals(other.band)
        assert one.contamination.equals(other.contamination)


@pytest.mark.parametrize("classes", [21, 1000])
def test_a_class_without_rows_has_an_interval(classes):
    """With the default prior and 21 classes its prior information is exactly zero."""
    y = torch.arange(2 * classes) % (classes - 1)
    log_f = torch.nn.functional.one_hot(y, classes).double().log()
    transition = estimate_transition(log_f, y, prior=FlipPrior())
    found = transition_intervals(log_f, y, transition, prior=FlipPrior())
    assert (found.rate_low < transition.rate).all()
    assert (transition.rate < found.rate_high).all()
    assert found.share_low <= transition.share <= found.share_high


def test_a_class_whose_rows_weigh_nothing_keeps_its_prior():
    y = torch.arange(300) % 3
    log_f = torch.nn.functional.one_hot(y, 3).float().log()
    prior, weights = FlipPrior(rate=(1.0, 9.0)), (y != 2).float()
    transition = estimate_transition(log_f, y, prior=prior, weights=weights)
    found = transition_intervals(log_f, y, transition, prior=prior, weights=weights)
    assert transition.rate[2].item() == pytest.approx(0.1)
    assert found.rate_low[2] < 0.1 < found.rate_high[2]


def test_half_precision_and_graphs_are_taken_by_the_estimate():
    logits = torch.tensor(P).log().requires_grad_()
    y = torch.tensor(Y, dtype=torch.uint8)
    exact = estimate_transition(logits, y, prior=FlipPrior())
    coarse = estimate_transition(logits.bfloat16(), y, prior=FlipPrior())
    assert torch.allclose(exact.rate, coarse.rate, atol=0.05)
    weights = torch.ones(60, requires_grad=True)
    again = estimate_transition(logits, y, prior=FlipPrior(), weights=weights)
    assert torch.equal(again.rate, exact.rate)
    assert not again.rate.requires_grad


def test_a_report_is_printed_rounded_with_the_labels_that_are_suspicious():
    y = np.arange(300) % 3
    wrong = np.arange(300) < 30
    p = 0.97 * np.eye(3)[y] + 0.01
    clean = str(from_pred_probs(y, p))
    assert "No label is suspicious: the largest probability of being wrong is below 0.1 %" in clean
    assert "0.000" not in clean
    found = str(from_pred_probs(np.where(wrong, (y + 1) % 3, y), p))
    assert "30 labels are more probably wrong than right; the 20 most suspicious:" in found
    assert len(found.splitlines()) == 24


EXTREME = st.sampled_from([0.0, 1e-300, 1e-12, 1e-6, 0.5, 1.0])


@settings(deadline=None, max_examples=60)
@given(st.data(), st.integers(1, 12), st.integers(2, 5))
def test_figures_are_finite_or_refused(data, n, k):
    cells = st.lists(st.floats(0, 1) | EXTREME, min_size=k, max_size=k)
    p = np.array(data.draw(st.lists(cells, min_size=n, max_size=n)))
    p = p / np.where(p.sum(1, keepdims=True) > 0, p.sum(1, keepdims=True), 1)
    labels = data.draw(st.lists(st.integers(0, k - 1), min_size=n, max_size=n))
    verified = data.draw(st.none() | st.lists(st.integers(-1, k - 1), min_size=n, max_size=n))
    options = {
        "sharpness": data.draw(st.none() | st.floats(1e-3, 1e3)),
        "class_prior": data.draw(st.none() | st.floats(1e-3, 1e6)),
        "probability": data.draw(st.floats(0.01, 0.999)),
        "prior": FlipPrior(
            rate=(data.draw(st.floats(1e-3, 1e3)), data.draw(st.floats(1e-3, 1e3))),
            flip=data.draw(st.floats(1e-3, 1e3)),
        ),
    }
    try:
        report = from_pred_probs(labels, p, verified=verified, **options)
    except DataError:
        return
    assert np.isfinite(report.rows[["responsibility", "suggested_probability"]]).all(axis=None)
    assert np.isfinite(report.rates.drop(columns="class")).all(axis=None)
    for table in (report.contamination, report.transition_matrix, report.flip_matrix):
        assert np.isfinite(table).all(axis=None)
    known = verified is not None and max(verified) >= 0
    assert np.isfinite(report.band.drop(columns=[] if known else "verified_log_prob")).all(
        axis=None
    )
    low, rate, high = report.contamination[["low", "rate", "high"]]
    assert low <= rate + 1e-12
    assert rate <= high + 1e-12


@given(st.lists(st.none() | st.floats(width=32) | st.integers(-9, 9), min_size=1))
def test_numbers_of_any_kind_are_read_alike(values):
    expected = np.array([np.nan if value is None else value for value in values], dtype=float)
    for kind in (list, pd.Series, lambda v: pd.Series(v, dtype="Float64"), pl.Series):
        if kind is pl.Series:
            values = [None if value is None else float(value) for value in values]
        assert np.array_equal(as_numbers(kind(values), "x"), expected, equal_nan=True)
