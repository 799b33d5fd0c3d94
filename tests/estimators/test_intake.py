"""Targets, weights and settings as people have them, and scores of rows that have a target."""

import datetime
import enum
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from nbam_pyro import Beta, NBAMClassifier, NBAMRegressor
from nbam_pyro.checks.column import Column
from nbam_pyro.errors import DataError
from nbam_pyro.estimators.row_weights import as_weights
from nbam_pyro.estimators.targets import encode_measurements
from nbam_pyro.inference import Joint, RobustStart, WarmUp

pytestmark = pytest.mark.filterwarnings("ignore::nbam_pyro.errors.CannotTellWarning")

LABELS = NBAMClassifier(steps=[WarmUp(epochs=15, lr=1e-2), Joint(epochs=2)], random_state=0)
NUMBERS = NBAMRegressor(
    steps=[RobustStart(epochs=10, lr=1e-2), Joint(epochs=2, lr=1e-2)], random_state=0
)
TRUE = np.arange(60) % 3
X = 4 * np.eye(3)[TRUE] + np.random.default_rng(0).normal(size=(60, 3))
Y = np.array(["ant", "bee", "cat"])[TRUE]
MEASURED = X @ [3.0, -2.0, 1.0]
DAY = datetime.date(2020, 1, 1)
KIND = enum.Enum("Kind", ["ANT", "BEE"])


def with_gaps(y, missing=None):
    y = y.astype(object)
    y[40:] = missing
    return y


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA])
def test_a_score_is_that_of_the_labelled_rows(missing):
    model = LABELS.fit(X[:40], Y[:40])
    assert model.score(X, with_gaps(Y, missing)) == model.score(X[:40], Y[:40])
    weights = np.r_[np.zeros(20), np.arange(40)]
    expected = np.average(model.predict(X[:40]) == Y[:40], weights=weights[:40])
    assert model.score(X, with_gaps(Y, missing), sample_weight=weights) == pytest.approx(expected)


def test_a_score_of_measurements_is_that_of_the_measured_rows():
    model = NUMBERS.fit(X[:40], MEASURED[:40])
    weights = np.arange(60.0)
    expected = r2_score(MEASURED[:40], model.predict(X[:40]), sample_weight=weights[:40])
    assert model.score(X, with_gaps(MEASURED), weights) == pytest.approx(expected)
    assert model.score(X, pl.Series(with_gaps(MEASURED).tolist()), weights) == model.score(
        X, np.where(np.arange(60) < 40, MEASURED, np.nan), weights
    )


@pytest.mark.parametrize(("model", "y"), [(LABELS, Y), (NUMBERS, MEASURED)])
def test_a_score_of_too_few_rows_is_refused(model, y):
    model.fit(X, y)
    with pytest.raises(DataError, match="0 of 60 rows have a target and a weight"):
        model.score(X, [None] * 60)
    with pytest.raises(DataError, match="weights"):
        model.score(X, y, sample_weight=np.zeros(60))
    with pytest.raises(DataError, match="0 of 60 rows"):
        model.score(X, with_gaps(y), sample_weight=np.arange(60) // 40)
    with pytest.raises(DataError, match="must agree"):
        model.score(X, y[:5])
    with pytest.raises(DataError, match=r"[Nn]egative"):
        model.score(X, y, sample_weight=-np.ones(60))


def test_a_label_that_was_not_learned_is_predicted_wrongly():
    model = LABELS.fit(X[TRUE < 2], Y[TRUE < 2])
    assert model.score(X, Y) == pytest.approx(2 / 3, abs=0.05)
    with pytest.raises(DataError, match="classes of training, such as 'ant'"):
        model.score(X, TRUE)


@pytest.mark.parametrize(
    ("model", "y"), [(LABELS, Y), (LABELS, TRUE * 1.0), (NUMBERS, MEASURED)], ids=str
)
def test_searches_and_cross_validation_go_with_unlabelled_rows(model, y):
    y, folds = with_gaps(y), KFold(2, shuffle=True, random_state=0)
    grid = {"contamination": [Beta(1, 9), np.float32(0.05)]}
    search = GridSearchCV(model, grid, cv=folds, error_score="raise").fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    pipeline = make_pipeline(StandardScaler(), model)
    assert (cross_val_score(pipeline, X, y, cv=folds, error_score="raise") > 0.5).all()


def columns_of(values, missing):
    """The same column in every container, with a gap at the end where there is one to be."""
    cells = [*values, None] if missing else list(values)
    yield cells
    yield tuple(cells)
    yield np.array(cells, dtype=object)
    yield pd.Series(cells, dtype=object)
    yield pd.Series(cells, dtype=object).convert_dtypes()
    yield pd.Series(cells, dtype=object).convert_dtypes(dtype_backend="pyarrow")
    codes = [0, 1, -1][: len(cells)]
    yield pd.Series(pd.Categorical.from_codes(codes, categories=[*values, "unused"]))
    yield pl.Series(cells)
    yield pl.DataFrame({"y": cells})["y"]
    yield pa.array(cells)
    yield pa.chunked_array([cells])


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("values", [["a", "b"], [2, 1], [True, False], [2**40 + 1, 7]])
def test_labels_are_taken_from_every_container(values, missing):
    for y in columns_of(values, missing):
        column = Column.of(y)
        assert column.values.tolist() == values, type(y)
        assert column.values.dtype.kind in "Uib"
        assert column.present.tolist() == [True, True, False][: len(column)]


@pytest.mark.parametrize("make", [list, pl.Series, pa.array, lambda y: np.array(y, dtype=object)])
def test_large_labels_beside_gaps_keep_their_digits(make):
    assert Column.of(make([2**53 + 1, None])).values.tolist() == [2**53 + 1]


@pytest.mark.parametrize("missing", [False, True])
def test_measurements_are_taken_from_every_container(missing):
    for values in ([0.5, 2.0], [Decimal("0.5"), Decimal(2)], [Fraction(1, 2), 2]):
        makers = columns_of(values, missing)
        for y in list(makers) if isinstance(values[0], float) else [next(makers)]:
            column = Column.of(y)
            assert encode_measurements(column.values).tolist() == [0.5, 2.0]


@pytest.mark.parametrize(
    "y",
    [
        pd.DataFrame({"y": [1, None]}, dtype="Int64"),
        pl.DataFrame({"y": [1, None]}),
        pl.LazyFrame({"y": [1, None]}),
        pa.table({"y": [1, None]}),
        [[1], [None]],
        np.array([[1], [None]], dtype=object),
    ],
)
def test_a_table_of_one_column_is_taken_with_a_warning(y):
    with pytest.warns(UserWarning, match="column-vector"):
        column = Column.of(y)
    assert column.values.tolist() == [1]
    assert column.values.dtype.kind == "i"
    assert column.present.tolist() == [True, False]


@pytest.mark.parametrize(
    "y",
    [
        torch.tensor([1, 0]),
        torch.tensor([1.0, 0.0], dtype=torch.bfloat16, requires_grad=True),
        np.ma.array([1, 0], mask=False),
        np.array([1, 0], np.uint8),
    ],
)
def test_tensors_and_masked_arrays_are_targets(y):
    assert Column.of(y).values.tolist() == [1, 0]
    gap = np.ma.array([1, 0], mask=[False, True])
    assert Column.of(gap).present.tolist() == [True, False]


@pytest.mark.parametrize(
    ("y", "says"),
    [
        (np.array(["2020-01-01", "2021-01-01"], "M8[s]"), "dates or times such as '2020"),
        (np.array(["2020-01-01", "2021-01-01"], "M8[ns]"), "dates or times such as '2020"),
        (pd.to_datetime(["2020", "2021"], utc=True), "dates or times"),
        (pd.Series(pd.to_datetime(["2020", None])), "dates or times"),
        (np.array([1, 2], "m8[s]"), "dates or times"),
        (pd.to_timedelta([1, 2], unit="s"), "dates or times"),
        (pd.period_range("2020", periods=2, freq="M"), "dates or times"),
        ([DAY, DAY], "dates or times such as '2020-01-01'"),
        (pl.Series([DAY, None]), "dates or times"),
        (pa.array([datetime.timedelta(1)]), "dates or times"),
        ([KIND.ANT, KIND.BEE], "Kind.*str"),
        (np.array([KIND.ANT, KIND.BEE], dtype=object), "Kind.*str"),
        (pd.Series(pd.Categorical([KIND.ANT, KIND.BEE])), "Kind.*str"),
        ([(1, 2), (3, 4)], "1d array"),
        (pd.Series([(1, 2), (3, 4)]), "type tuple"),
        ([{"a": 1}, {"a": 2}], "type dict"),
        ([1j, 2.0], "[Cc]omplex"),
        (np.array([1j, 2.0]), "[Cc]omplex"),
        (pd.cut([1, 2], 2), "type Interval"),
        (["a", 1], "mix"),
        (pl.DataFrame({"a": [1], "b": [2]}), "1d array"),
        (7, "1d array"),
    ],
)
def test_targets_that_are_neither_numbers_nor_texts_are_refused(y, says):
    with pytest.raises(DataError, match=says) as caught:
        Column.of(y)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("model", "y", "says"),
    [
        (LABELS, [Decimal(1), Decimal(2)] * 30, "Decimal.*texts"),
        (LABELS, [2**70, 2**71] * 30, "64 bits"),
        (LABELS, [2**63, -1] * 30, "64 bits"),
        (LABELS, np.array(TRUE, "M8[D]"), "dates"),
        (NUMBERS, np.array(MEASURED, "M8[s]"), "dates"),
        (NUMBERS, np.array(MEASURED, "m8[s]"), "times"),
        (NUMBERS, TRUE > 1, "booleans"),
        (NUMBERS, [True, False] * 30, "booleans"),
        (NUMBERS, [10**400, 1] * 30, "too large"),
    ],
)
def test_targets_of_another_kind_are_refused(model, y, says):
    with pytest.raises(DataError, match=says):
        model.fit(X, y)


def test_labels_may_be_booleans_and_categories():
    model = LABELS.fit(X, TRUE == 1)
    assert model.classes_.tolist() == [False, True]
    assert model.score(X, pl.Series(TRUE == 1)) > 0.9
    unused = pd.Series(pd.Categorical(Y, categories=["dog", "cat", "bee", "ant"]))
    assert LABELS.fit(X, unused).classes_.tolist() == ["ant", "bee", "cat"]


def test_frames_of_every_library_are_fitted_and_scored_alike():
    names = ["a", "b", "c"]
    model = LABELS.fit(pd.DataFrame(X, columns=names), Y)
    expected = model.predict_proba(pd.DataFrame(X, columns=names))
    assert model.feature_names_in_.tolist() == names
    columns = dict(zip(names, X.T, strict=True))
    for frame in (pl.DataFrame(columns), pl.LazyFrame(columns), pa.table(columns)):
        assert np.array_equal(LABELS.fit(frame, Y).predict_proba(frame), expected)
        assert LABELS.score(frame, pl.Series(Y)) == model.score(pd.DataFrame(columns), Y)
    with pytest.raises(DataError, match="feature names"):
        model.predict(pl.DataFrame(X, ["a", "b", "x"]))
    with pytest.raises(DataError, match=r"'when'.*dates"):
        model.fit(pl.DataFrame({"x": X[:, 0], "when": [DAY] * 60}), Y)
    with pytest.raises(DataError, match="minimum of 2"):
        model.fit(pl.DataFrame({"x": []}, schema={"x": pl.Float64}), [])


@pytest.mark.parametrize("value", [3, np.float32(3), np.int64(3)])
def test_one_weight_is_that_of_all_rows(value):
    assert as_weights(value, 2).tolist() == [3, 3]


@pytest.mark.parametrize(
    "weights",
    [[1, 2.5], pl.Series([1.0, 2.5]), pd.Series([1, 2.5], dtype="Float64"), np.r_[1, 2.5]],
)
def test_weights_are_taken_from_every_container(weights):
    assert as_weights(weights, 2).tolist() == [1, 2.5]
    assert as_weights(None, 2).tolist() == [1, 1]


@pytest.mark.parametrize(
    "weights", [[1, None], [1, pd.NA], pl.Series([1, None]), [1, -1], [1, np.inf], ["a", "b"], [1]]
)
def test_weights_that_are_none_are_refused(weights):
    with pytest.raises(DataError) as caught:
        as_weights(weights, 2)
    assert "\n" not in str(caught.value)


def test_a_class_whose_rows_all_weigh_nothing_is_named():
    with pytest.raises(DataError, match="All rows of class cat have weight 0"):
        LABELS.fit(X, Y, sample_weight=(TRUE < 2) * 1.0)
    with pytest.raises(DataError, match="All rows of class bee have weight 0"):
        NBAMClassifier(class_weight={"ant": 1, "bee": 0, "cat": 1}).fit(X, Y)
    kept = np.where(TRUE < 2, Y, None)  # unlabelled, as the message says
    assert LABELS.fit(X, kept, sample_weight=(TRUE < 2) * 1.0).classes_.tolist() == ["ant", "bee"]
