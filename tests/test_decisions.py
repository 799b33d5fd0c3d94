"""Decisions from responsibilities."""

import math
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.special import expit, logit

from nbam_pyro.decisions import Costs, flags, relabel, review_queue, reviewed, weights
from nbam_pyro.errors import DataError

PROBABILITIES = hnp.arrays(float, st.integers(1, 30), elements=st.floats(0, 1))


@given(PROBABILITIES, st.floats(0.01, 0.99))
def test_the_largest_set_that_the_rate_allows_is_flagged(r, fdr):
    found = flags(r, fdr=fdr)
    flagged = found.flagged
    assert found.expected_false_discovery_rate <= fdr + 1e-12
    assert found.expected_true_positives == pytest.approx(r[flagged].sum())
    assert found.expected_missed == pytest.approx(r[~flagged].sum())
    assert not found.review.any()
    rest = r[~flagged]
    if len(rest):  # the next datum, with all that are equal to it, is one too many
        assert not flagged.any() or rest.max() < found.threshold
        wider = r >= rest.max()
        assert (1 - r[wider]).mean() > fdr - 1e-12


@given(PROBABILITIES, st.floats(0.1, 9), st.floats(0.1, 9), st.none() | st.floats(0.1, 9))
def test_no_other_action_costs_less(r, false_alarm, miss, review):
    found = flags(r, costs=Costs(false_alarm=false_alarm, miss=miss, review=review))
    actions = np.stack([r * miss, (1 - r) * false_alarm, np.full(len(r), review or math.inf)])
    chosen = np.where(found.review, 2, np.where(found.flagged, 1, 0))
    assert actions[chosen, np.arange(len(r))] == pytest.approx(actions.min(0))


def test_nothing_is_flagged_where_nothing_is_sure_enough():
    found = flags(np.array([0.3, 0.2]), fdr=0.1)
    assert not found.flagged.any()
    assert found.threshold == math.inf
    assert found.expected_false_discovery_rate == 0


def test_the_expected_rate_is_the_realised_one_where_responsibilities_are_calibrated():
    rng = np.random.default_rng(0)
    r = rng.beta(0.3, 0.7, 20_000)
    z = rng.random(20_000) < r
    found = flags(r, fdr=0.1)
    assert (~z[found.flagged]).mean() == pytest.approx(0.1, abs=0.01)
    assert z[found.flagged].sum() == pytest.approx(found.expected_true_positives, rel=0.02)


def test_the_queue_keeps_the_place_of_every_element():
    r = np.array([[0.1, 0.9], [0.8, 0.2]])
    queue = review_queue(r, budget=3)
    assert queue[["row", "dim_1"]].to_numpy().tolist() == [[0, 1], [1, 0], [1, 1]]
    assert queue["expected_true_positives"].iloc[-1] == pytest.approx(1.9)
    assert len(review_queue(r, budget=100)) == 4


def test_replaced_labels_are_sure_and_new():
    rng = np.random.default_rng(0)
    posterior = rng.dirichlet(np.full(4, 0.2), 200)
    labels = rng.integers(4, size=200)
    found = relabel(posterior, labels, threshold=0.8)
    assert (found["label"] != found["new_label"]).all()
    assert (found["probability"] >= 0.8).all()
    assert (posterior[found["row"], found["new_label"]] == found["probability"]).all()
    sure = posterior.max(1) >= 0.8
    assert len(found) == (sure & (posterior.argmax(1) != labels)).sum()


def test_weights_are_the_probability_of_being_clean():
    assert weights(np.array([[0.25], [1 + 1e-7]])) == pytest.approx(np.array([[0.75], [0.0]]))


def simulated(seed, share=0.17, rows=3000):
    """Return switches, and responsibilities that are too small and too certain."""
    rng = np.random.default_rng(seed)
    p = rng.beta(share / 2, (1 - share) / 2, rows).clip(1e-9, 1 - 1e-9)
    z = rng.random(rows) < p
    return z, expit(1.5 * logit(p) - 1)


def looked_at(z, places):
    verified = np.full(len(z), np.nan)
    verified[places] = z[places]
    return verified


@given(PROBABILITIES, st.integers(1, 20), st.integers(0, 9))
def test_a_sample_has_the_size_and_the_probabilities_that_it_says(r, budget, seed):
    queue = review_queue(r, budget=budget, design="random", seed=seed)
    assert len(queue) == queue["row"].nunique() == min(budget, len(r))
    assert (
        queue["inclusion_probability"].between(0.5 * min(budget, len(r)) / len(r) - 1e-12, 1).all()
    )


def test_data_are_drawn_as_often_as_their_probability_says():
    r = np.array([0.0, 0.0, 0.01, 0.3, 0.5, 1.0])
    drawn, said = np.zeros(6), np.zeros(6)
    for seed in range(3000):
        queue = review_queue(r, budget=2, design="random", seed=seed)
        drawn[queue["row"]] += 1
        said[queue["row"]] = queue["inclusion_probability"]
    assert drawn / 3000 == pytest.approx(said, abs=0.03)
    assert said.sum() == pytest.approx(2)


@pytest.mark.parametrize("design", ["uniform", "random"])
def test_the_share_after_reviews_is_that_of_all_data(design):
    covered, shorter = [], []
    for seed in range(60):
        z, r = simulated(seed)
        included = None
        if design == "random":
            queue = review_queue(r, budget=200, design="random", seed=seed)
            places = queue["row"].to_numpy()
            included = np.full(len(z), np.nan)
            included[places] = queue["inclusion_probability"]
        else:
            places = np.random.default_rng(seed).choice(len(z), 200, replace=False)
        found = reviewed(r, looked_at(z, places), inclusion_probability=included)
        low, high = found.contamination_interval
        covered.append(low <= z.mean() <= high)
        shorter.append((high - low) / (2 * 1.645 * math.sqrt(z.mean() * (1 - z.mean()) / 200)))
        assert found.responsibility.mean() == pytest.approx(found.contamination, abs=1e-9)
        assert found.responsibility[places].tolist() == z[places].tolist()
    assert np.mean(covered) > 0.8
    assert np.mean(shorter) < 0.7


@pytest.mark.parametrize("hidden", [0.2, 0.4])
@pytest.mark.parametrize("swapped", [False, True])
def test_data_that_look_certain_and_are_not_widen_the_interval(hidden, swapped):
    covered = []
    for seed in range(50):
        rng = np.random.default_rng(seed)
        z = rng.random(4000) < 0.09
        seen = z & (rng.random(4000) > hidden)  # the others look certainly clean
        r = expit(4 * (rng.normal(size=4000) + 4 * seen) - 10.3)
        if swapped:
            z, r = ~z, 1 - r
        queue = review_queue(r, budget=200, design="random", seed=seed)
        drawn = np.full(4000, np.nan)
        drawn[queue["row"]] = queue["inclusion_probability"]
        found = reviewed(r, looked_at(z, queue["row"].to_numpy()), inclusion_probability=drawn)
        low, high = found.contamination_interval
        covered.append(low <= z.mean() <= high)
    assert np.mean(covered) >= 0.85


def test_few_answers_are_counted():
    z, r = simulated(0, share=0.01)
    found = reviewed(r, looked_at(z, np.arange(100)))
    assert "Fewer than 10" in found.note
    low, high = found.contamination_interval
    assert low <= z.mean() <= high
    all_of_them = reviewed(r[:50], z[:50])
    assert all_of_them.contamination_interval == pytest.approx((z[:50].mean(),) * 2)


def test_responsibilities_that_say_nothing_leave_the_interval_of_counting():
    z, _ = simulated(1)
    found = reviewed(np.full(len(z), 0.5), looked_at(z, np.arange(300)))
    low, high = found.contamination_interval
    assert low < z[:300].mean() < high
    assert high - low == pytest.approx(2 * 1.645 * math.sqrt(0.17 * 0.83 / 300), rel=0.2)


def test_a_guaranteed_rate_holds_where_responsibilities_are_too_large():
    false, found = [], []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        z = rng.random(4000) < 0.2
        r = expit(rng.normal(size=4000) + 5 * z)  # clean data have .5 on average
        verified = looked_at(z, rng.choice(4000, 400, replace=False))
        flagged = flags(r, fdr=0.1, verified=verified, guarantee=True).flagged
        rest = np.isnan(verified)
        false.append((flagged & rest & ~z).sum() / max(1, (flagged & rest).sum()))
        found.append((flagged & z).sum() / z.sum())
        assert flagged[verified == 1].all()
        assert not flagged[verified == 0].any()
    assert np.mean(false) < 0.1
    assert np.mean(found) > 0.7


def test_elements_are_verified_one_by_one():
    r = np.array([[0.9, 0.2], [0.6, 0.1]])
    verified = [[0, None], [None, 1]]
    assert flags(r, fdr=0.3, verified=verified).flagged.tolist() == [[False, False], [True, True]]
    found = reviewed(r, torch.tensor([[0.0, -1], [-1, 1]]))
    assert found.responsibility[0, 0] == 0
    assert found.responsibility[1, 1] == 1
    with pytest.raises(DataError, match=r"verified has shape \(2,\)"):
        flags(r, fdr=0.5, verified=[0, 1])


def test_verified_data_are_flagged_as_they_are():
    r = [0.99, 0.9, 0.6, 0.1]
    assert flags(r, fdr=0.1, verified=[0, None, None, 1]).flagged.tolist() == [
        False,
        True,
        False,
        True,
    ]
    costs = Costs(false_alarm=1, miss=1)
    assert flags(r, costs=costs, verified=[-1, False, -1, True]).flagged.tolist() == [
        True,
        False,
        True,
        True,
    ]
    assert flags([0.9, 0.1], fdr=0.1, verified=[1, 0], guarantee=True).flagged.tolist() == [1, 0]


R = [0.99, 0.9, 0.6, 0.1]
KINDS = {
    "list": R,
    "Float64": pd.Series(R, dtype="Float64"),
    "arrow": pd.Series(R, dtype="double[pyarrow]"),
    "polars": pl.Series(R),
    "graph": torch.tensor(R, dtype=torch.float64, requires_grad=True),
    "decimals": [Decimal(str(r)) for r in R],
}


@pytest.mark.parametrize("kind", KINDS)
def test_responsibilities_of_any_kind_say_the_same(kind):
    r = KINDS[kind]
    found = flags(r, fdr=np.float64(0.1))
    assert found.flagged.tolist() == [True, True, False, False]
    assert weights(r).tolist() == weights(np.array(R)).tolist()
    assert review_queue(r, budget=np.int64(2))["row"].tolist() == [0, 1]
    costs = Costs(false_alarm=np.float32(1), miss=np.int8(1), review=torch.tensor(0.2))
    assert flags(r, costs=costs).review.tolist() == [False, False, True, False]


@pytest.mark.parametrize("kind", [list, np.uint8, pl.Series, "Int64", "int64[pyarrow]"])
def test_labels_of_any_kind_are_replaced_alike(kind):
    posterior = pd.DataFrame([[0.97, 0.03], [0.6, 0.4], [0.02, 0.98]]).astype("Float64")
    labels = [1, 1, 0]
    of = pd.Series(labels, dtype=kind) if isinstance(kind, str) else kind(labels)
    assert relabel(posterior, of, threshold=np.float32(0.9)).to_numpy().tolist() == [
        [0, 1, 0, 0.97],
        [2, 0, 1, 0.98],
    ]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: flags(np.array([0.5])), "either fdr"),
        (lambda: flags(np.array([0.5]), fdr=0.1, costs=Costs(false_alarm=1, miss=1)), "either fdr"),
        (lambda: flags(np.array([0.5]), fdr=1.0), "fdr is 1.0"),
        (lambda: flags(np.array([0.5]), fdr="0.1"), "fdr is '0.1'"),
        (lambda: flags([], fdr=0.1), "no rows"),
        (lambda: weights(np.empty((0, 2))), "no rows"),
        (lambda: weights([0.5, None]), "nan in row 1"),
        (lambda: weights(pd.Series([0.5, pd.NA], dtype="Float64")), "nan in row 1"),
        (lambda: weights([[0.5, 0.1], [0.1, -0.2]]), "-0.2 in row 1, column 1"),
        (lambda: weights(["a"]), "expected numbers"),
        (lambda: Costs(false_alarm=math.nan, miss=1), "costs must be positive"),
        (lambda: Costs(false_alarm="1", miss=1), "false_alarm is '1'"),
        (lambda: review_queue(np.array([0.5]), budget=1.5), "whole number"),
        (lambda: relabel(np.eye(2), ["a", "b"]), "row 0 is 'a'"),
        (lambda: relabel(np.eye(2), [1, None]), "row 1 is None"),
        (lambda: relabel(pd.DataFrame(np.eye(2), columns=[1, 0]), [0, 1]), "in the order of"),
        (lambda: flags(np.array([np.nan]), fdr=0.1), "finite"),
        (lambda: flags(np.array([1.1]), fdr=0.1), "finite"),
        (lambda: Costs(false_alarm=0, miss=1), "costs must be positive"),
        (lambda: Costs(false_alarm=1, miss=1, review=math.inf), "costs must be positive"),
        (lambda: review_queue(np.array([0.5]), budget=0), "budget is 0"),
        (lambda: review_queue([0.5], budget=1, design="best"), "design is 'best'"),
        (lambda: flags([0.5], fdr=0.1, verified=[2]), "verified values.*'2' is not"),
        (lambda: flags([0.5, 0.4], fdr=0.1, verified=[1]), "1 rows, but the data have 2"),
        (lambda: flags([0.5] * 9, fdr=0.1, guarantee=True), "About 19 are needed"),
        (lambda: flags([0.5], costs=Costs(false_alarm=1, miss=1), guarantee=True), "needs fdr"),
        (lambda: reviewed([0.5, 0.2], [None, None]), "no verified datum"),
        (lambda: reviewed([0.5, 0.2], [1, 0], probability=1), "probability is 1"),
        (lambda: reviewed([0.5], [1], inclusion_probability=[0.0]), "0.0 in row 0"),
        (lambda: reviewed([0.5], [1], inclusion_probability=[0.1, 0.1]), "2 values"),
        (lambda: relabel(np.eye(2), np.array([0])), "expected"),
        (lambda: relabel(np.eye(2), np.array([0, 2])), "column numbers"),
        (lambda: relabel(np.eye(2), np.array([0.0, 1.0])), "column numbers"),
        (lambda: relabel(np.eye(2), np.array([0, 1]), threshold=0.5), "threshold is 0.5"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(DataError, match=message):
        call()


def test_an_interval_of_separate_data_contains_a_whole_number_of_them():
    wrong = np.arange(500) < 40
    inside = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        r = expit(8 * wrong - 6 + rng.normal(size=500))  # nothing is in doubt
        queue = review_queue(r, budget=200, design="random", seed=seed)
        verified, drawn = np.full((2, 500), np.nan)
        verified[queue["row"]] = wrong[queue["row"]]
        drawn[queue["row"]] = queue["inclusion_probability"]
        low, high = reviewed(r, verified, inclusion_probability=drawn).contamination_interval
        inside.append(low <= wrong.mean() <= high)
    assert np.mean(inside) > 0.8
