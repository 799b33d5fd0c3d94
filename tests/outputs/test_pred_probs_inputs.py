"""Types and extreme values of the numbers given to `from_pred_probs`."""

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nbam_pyro import FlipPrior, from_pred_probs
from nbam_pyro.checks.arguments import as_number
from nbam_pyro.errors import DataError
from tests.outputs.cases import (
    figures,
)

NAMES = ["cat", "dog"]

P = np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]] * 20)

Y = [0, 1, 1] * 20

WORDS = [NAMES[y] for y in Y]

PLAIN = figures(from_pred_probs(Y, P))


def test_arguments_may_be_numbers_of_numpy_and_torch():
    expected = from_pred_probs(Y, P, sharpness=2.0, class_prior=5, probability=0.5)
    for number in (np.float32, np.array, torch.tensor, Decimal):
        found = from_pred_probs(
            Y, P, sharpness=number(2.0), class_prior=number(5.0), probability=number(0.5)
        )
        assert found.labels.rates.equals(expected.labels.rates)
        assert found.posterior.identical(expected.posterior)
    assert as_number(np.int8(3), "x") == 3.0


def test_probabilities_of_0_and_1_have_a_finite_interval_and_are_disclosed():
    p = np.eye(10)[np.arange(500) % 10]
    y = np.where(np.arange(500) < 60, (np.arange(500) + 1) % 10, np.arange(500) % 10)
    for kind in (np.float64, np.float32, np.int64):
        report = from_pred_probs(y, p.astype(kind))
        low, high = report.contamination_interval
        assert low <= report.contamination <= high
        assert 0 < report.contamination < 0.2
        assert np.isfinite(report.labels.rates.drop(columns="class")).all(axis=None)
        assert "In 500 of 500 rows one class has probability 1" in report.note
    assert "has probability 1" not in from_pred_probs(Y, P).note


def test_a_share_of_nearly_nothing_has_an_interval_of_nearly_nothing():
    y = np.arange(300) % 3
    p = 0.97 * np.eye(3)[y] + 0.01
    report = from_pred_probs(y, p)
    low, high = report.contamination_interval
    assert 0 <= low <= high < 0.02
    assert report.contamination < 0.001


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_precision_stays_as_it_was_given(kind):
    report = from_pred_probs(Y, P.astype(kind), sharpness=2.5)
    rate = torch.tensor(report.labels.rates["rate"].to_numpy(copy=True))
    matrix = torch.tensor(report.labels.transition_matrix.to_numpy(copy=True))
    f = torch.tensor(P) ** 2.5
    f = 0.995 * f / f.sum(1, keepdim=True) + 0.005 * torch.tensor(P).mean(0)
    joint = f[:, :, None] * matrix
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
        assert one.labels.rates.equals(other.labels.rates)
        assert one.labels.sharpness.equals(other.labels.sharpness)
        assert one.posterior.identical(other.posterior)


EXTREME = st.sampled_from([0.0, 1e-300, 1e-12, 1e-6, 0.5, 1.0])


@settings(deadline=None, max_examples=30)
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
    tables = report.labels
    assert np.isfinite(tables.rates.drop(columns="class")).all(axis=None)
    for table in (tables.transition_matrix, tables.flip_matrix, tables.sharpness):
        assert np.isfinite(table).all(axis=None)
    weights = tables.sharpness["weight"].sum() + tables.all_right
    assert weights == pytest.approx(1)
    for draws in report.posterior.data_vars.values():
        assert np.isfinite(draws).all()
    low, high = report.contamination_interval
    assert 0 <= low <= high <= 1
