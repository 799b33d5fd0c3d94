"""Queues for flags, for the verdict and for rates: which rows come first, and why."""

from types import SimpleNamespace

import numpy as np
import pytest

from nbam_pyro.decisions import review_queue
from nbam_pyro.errors import DataError
from nbam_pyro.inference.diagnostics.label_evidence import LabelEvidence, MutualPair

N, K = 400, 4


def evidence(**changed):
    entries = {
        "rows": N,
        "contamination": 0.2,
        "flagged": 0.2,
        "alarm": None,
        "margin": (0.2,) * K,
        "margin_probability": (1.0,) * K,
        "occupancy": (0.25,) * K,
        "share": (0.1, 0.3),
        "all_right": 0.0,
        "restarts": (0.0,) * K,
        "pairs": (),
    }
    return LabelEvidence(**(entries | changed))


def pair(a, b, *, exchanged=0.6, decided=False):
    return MutualPair((a, b), (0.3, 0.3), (exchanged, exchanged), decided, 0.3)


def fitted(level="weak", **changed):
    """A stand-in for a fit, whose rows 0 and 1 are verified."""
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.full(K, 0.3), N)
    p[0], p[1] = np.eye(K)[0], np.eye(K)[1]
    labels = rng.integers(K, size=N)
    labels[:2] = 0
    r = 1 - p[np.arange(N), labels]
    return SimpleNamespace(
        training_rows=SimpleNamespace(responsibility=r, true_label=p),
        label_evidence=evidence(**changed),
        verdict=SimpleNamespace(level=level),
    )


def test_rows_for_flags_are_those_whose_flags_are_most_often_wrong():
    fit = fitted()
    r = fit.training_rows.responsibility
    queue = review_queue(fit, budget=50, goal="flags")
    value = np.minimum(r, 1 - r)
    assert queue["value"].to_numpy() == pytest.approx(np.sort(value)[::-1][:50])
    assert queue["row"].tolist() == review_queue(r, budget=50, goal="flags")["row"].tolist()
    assert not {0, 1} & set(queue["row"])
    found = review_queue(fit, budget=5)["row"]
    assert not set(found) & set(queue["row"])  # the surest rows need no answer


def test_rows_for_the_verdict_are_of_open_pairs_and_classes():
    fit = fitted(pairs=(pair(1, 3), pair(0, 2, decided=True)), restarts=(0.0, 0.0, 0.5, 0.0))
    p = fit.training_rows.true_label
    queue = review_queue(fit, budget=40, goal="verdict")
    best = p.argmax(1)[queue["row"]]
    assert set(best[:20]) == {1, 3}
    assert (best[:20] == 1).sum() == 10
    assert set(best[20:]) == {1, 2, 3}
    assert 1 not in set(queue["row"])  # a verified row
    first = p[queue["row"][:20]].max(1)
    assert first.min() > 0.9
    again = review_queue(fit, budget=40, goal="verdict", seed=1)
    assert again["row"][:20].tolist() == queue["row"][:20].tolist()
    assert again["row"].tolist() != queue["row"].tolist()


def test_all_rows_are_drawn_if_only_the_share_is_open():
    queue = review_queue(fitted(), budget=N, goal="verdict")
    assert sorted(queue["row"]) == list(range(N))
    assert set(queue["row"].tail(2)) == {0, 1}
    assert (queue["value"].head(N - 2) == 1).all()


def test_an_implausible_or_decided_pair_is_not_open():
    found = evidence(pairs=(pair(0, 1, exchanged=0.9), pair(2, 3, decided=True)))
    assert found.open_pairs == []
    found = evidence(pairs=(pair(0, 1),), restarts=(0.5, 0.0, 0.5, 0.0))
    assert [one.classes for one in found.open_pairs] == [(0, 1)]
    assert found.open_classes == [2]


def test_rows_for_rates_make_the_least_known_rate_better():
    fit = fitted()
    p = fit.training_rows.true_label
    unknown = p * (1 - p) / p.sum(0) ** 2
    least = unknown.sum(0).argmax()
    queue = review_queue(fit, budget=60, goal="rates")
    assert queue["row"][0] == unknown[:, least].argmax()

    def worst(rows):
        return np.delete(unknown, rows, axis=0).sum(0).max()

    rng = np.random.default_rng(0)
    others = [worst(rng.permutation(N)[:60]) for _ in range(20)]
    assert worst(queue["row"]) < min(others)
    assert len(review_queue(fit, budget=N, goal="rates")) == N


def test_a_random_sample_may_have_a_goal():
    fit = fitted(pairs=(pair(1, 3),))
    queue = review_queue(fit, budget=60, goal="verdict", design="random")
    assert queue["inclusion_probability"].min() >= 0.5 * 60 / N - 1e-12
    inside = fit.training_rows.true_label[:, [1, 3]].max(1) > 0.5
    assert inside[queue["row"]].mean() > 1.3 * inside.mean()


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: review_queue([0.5], budget=1, goal="verdict"), "needs the posterior"),
        (lambda: review_queue([0.5], budget=1, goal="rates"), "needs the posterior"),
        (lambda: review_queue([0.5], budget=1, goal="fun"), "goal is 'fun'"),
        (lambda: review_queue(fitted("identified"), budget=1, goal="verdict"), "no answer"),
    ],
)
def test_goals_that_are_refused(call, said):
    with pytest.raises(DataError, match=said):
        call()
