"""`from_annotations`: consensus, annotators, intervals, verdicts and input."""

import numpy as np
import pandas as pd
import pytest

from nbam_pyro.errors import DataError
from nbam_pyro.outputs import from_annotations, from_pred_probs

SKILL = np.array([0.95, 0.9, 0.85, 0.8, 0.75, 0.7, 0.65, 0.6])


def simulated(seed=0, *, items=300, labels=5, skill=SKILL, k=3):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, k, items)
    item = np.repeat(np.arange(items), labels)
    who = np.concatenate([rng.permutation(len(skill))[:labels] for _ in range(items)])
    right = rng.random(len(item)) < skill[who]
    label = np.where(right, truth[item], (truth[item] + rng.integers(1, k, len(item))) % k)
    return pd.DataFrame({"item": item, "annotator": who, "label": label}), truth


def test_consensus_annotators_and_responsibilities_are_right():
    table, truth = simulated()
    report = from_annotations(table)
    votes = table.groupby("item")["label"].agg(lambda one: one.mode()[0])
    right = (report.items["consensus"] == truth).mean()
    assert right > (votes == truth).mean() - 0.01
    wrong = table["label"] != truth[table["item"]]
    r = report.annotations["responsibility"]
    assert ((r - wrong) ** 2).mean() < 0.1
    assert r.mean() == pytest.approx(wrong.mean(), abs=0.03)
    assert report.wrong_share.low <= wrong.mean() <= report.wrong_share.high
    assert report.annotators["accuracy"].corr(pd.Series(SKILL)) > 0.85
    assert report.verdict.level == "weak"
    assert "No annotated item is verified" in report.verdict.assumed
    assert "independently" in str(report)
    assert np.allclose(report.probabilities.sum(axis=1), 1)


def test_intervals_contain_the_share_of_right_annotations():
    inside = []
    for seed in range(6):
        table, truth = simulated(seed, items=200, labels=3)
        found = from_annotations(table, seed=seed).annotators
        right = (table["label"] == truth[table["item"]]).groupby(table["annotator"]).mean()
        inside.append((found["low"] <= right[found.index]) & (right[found.index] <= found["high"]))
    assert 0.75 <= np.mean(inside) <= 1


def test_verified_items_show_whether_annotators_share_mistakes():
    table, truth = simulated()
    verified = {item: truth[item] for item in range(50)}
    assert from_annotations(table, verified=verified).verdict.level == "identified"
    shared = (table["item"] % 4 == 0) & (np.random.default_rng(1).random(len(table)) < 0.8)
    wrong = table.assign(label=np.where(shared, (truth[table["item"]] + 1) % 3, table["label"]))
    verdict = from_annotations(wrong, verified=verified).verdict
    assert verdict.level == "weak"
    assert "annotators may share mistakes" in verdict.assumed


def test_a_guesser_and_a_copy_are_found():
    table, _ = simulated(skill=np.array([0.9, 0.8, 0.8, 0.7, 0.6, 1 / 3]), labels=6)
    copied = table[table["annotator"] == 4].assign(annotator=9)
    report = from_annotations(pd.concat([table, copied]))
    assert report.annotators["guesses"].idxmax() == 5
    assert set(report.copies.loc[0, ["first", "second"]]) == {4, 9}
    assert report.verdict.level == "weak"
    assert "repeat" in report.verdict.assumed


def test_too_few_labels_per_item_cannot_tell():
    table, _ = simulated(labels=1)
    verdict = from_annotations(table).verdict
    assert verdict.level == "cannot tell"
    assert "overlap" in verdict.sure
    assert "three annotators" in verdict.decides


def test_difficult_items_fail_the_check_of_agreement():
    table, truth = simulated(items=400, labels=8, skill=np.full(8, 0.9))
    difficult = (table["item"] < 100) & (np.random.default_rng(1).random(len(table)) < 0.5)
    other = (truth[table["item"]] + 1) % 3
    report = from_annotations(table.assign(label=np.where(difficult, other, table["label"])))
    assert not report.agreement["agrees"].all()
    assert report.verdict.level != "identified"
    assert "intervals are too narrow" in report.verdict.assumed


def test_a_classifier_helps_and_verified_items_are_certain():
    table, truth = simulated(labels=2)
    p = np.full((300, 3), 0.1) + 0.7 * np.eye(3)[truth]
    alone, both = from_annotations(table), from_annotations(table, p)
    right = [(one.items["consensus"].sort_index() == truth).mean() for one in (alone, both)]
    assert right[1] > right[0]
    wrong_label = {0: (truth[0] + 1) % 3}
    known = from_annotations(table, p, verified=wrong_label)
    assert known.items.loc[0, "consensus"] == wrong_label[0]
    assert known.items.loc[0, "probability"] == 1


def test_items_without_annotations_do_not_change_the_trust_in_a_classifier():
    table, truth = simulated(items=150, labels=2)
    rng = np.random.default_rng(1)
    said = np.where(rng.random(150) < 0.8, truth, (truth + 1) % 3)
    sure = 0.02 / 2 + (0.98 - 0.02 / 2) * np.eye(3)[said]
    more = 0.02 / 2 + (0.98 - 0.02 / 2) * np.eye(3)[rng.integers(0, 3, 1500)]
    alone, together = (
        from_annotations(table, pd.DataFrame(p / p.sum(1, keepdims=True)))
        for p in (sure, np.vstack([sure, more]))
    )
    assert len(together.items) == 1650
    difference = alone.probabilities - together.probabilities.loc[alone.probabilities.index]
    assert difference.abs().max(axis=None) < 0.15
    assert difference.abs().mean(axis=None) < 0.01


def test_long_wide_and_array_agree_and_names_are_kept():
    table, _ = simulated(items=60)
    named = table.assign(
        label=np.array(["cat", "dog", "eel"])[table["label"]],
        annotator="a" + table["annotator"].astype(str),
    )
    wide = named.pivot_table(index="item", columns="annotator", values="label", aggfunc="first")
    reports = [from_annotations(one) for one in (named, wide, named.to_numpy())]
    for other in reports[1:]:
        accuracy = other.annotators["accuracy"].reindex(reports[0].annotators.index)
        assert np.allclose(accuracy, reports[0].annotators["accuracy"], atol=1e-3)
    tree = reports[0].to_datatree()
    assert set(tree["posterior"]["annotator"].values) == set(named["annotator"])


def test_the_same_seed_gives_the_same_numbers():
    table, _ = simulated(items=60)
    one, two = (from_annotations(table, seed=3).annotators for _ in range(2))
    pd.testing.assert_frame_equal(one, two)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (pd.DataFrame({"item": [0], "label": [1]}), "'annotator'"),
        (np.zeros((2, 2)), "three columns"),
        ([[0, "a", 1], [0, "a", 0]], "repeat"),
        ([[0, "a", None]], "no label"),
        ([[None, "a", 1], [0, "b", 0]], "item of annotation 0"),
        ([[0, "a", 1], [0, "b", "x"]], "one type"),
        ([[0, "a", 1], [0, "b", 1]], "at least two"),
    ],
)
def test_wrong_annotations_are_refused(given, message):
    with pytest.raises(DataError, match=message):
        from_annotations(given)


def test_wrong_probabilities_and_verified_items_are_refused():
    table, _ = simulated(items=20)
    with pytest.raises(DataError, match="sum to one"):
        from_annotations(table, np.ones((20, 3)))
    with pytest.raises(DataError, match="not a row"):
        from_annotations(table, np.full((10, 3), 1 / 3))
    with pytest.raises(DataError, match="no such item"):
        from_annotations(table, verified={0: 7})


def test_from_pred_probs_takes_annotations():
    table, truth = simulated(items=60)
    p = np.full((60, 3), 0.1) + 0.7 * np.eye(3)[truth]
    through = from_pred_probs(None, p, annotations=table)
    pd.testing.assert_frame_equal(through.items, from_annotations(table, p).items)
    with pytest.raises(DataError, match="labels must be None"):
        from_pred_probs(truth, p, annotations=table)
    with pytest.raises(DataError, match="do not apply"):
        from_pred_probs(None, p, annotations=table, sharpness=1.0)
    with pytest.raises(DataError, match="labels are None"):
        from_pred_probs(None, p)
