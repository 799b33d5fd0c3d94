"""`NBAMClassifier.fit` with the labels of several annotators."""

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_digits, make_blobs

from nbam_pyro import NBAMClassifier
from nbam_pyro.errors import CannotTellWarning, DataError
from nbam_pyro.inference import CrossFit, Joint, WarmUp

SKILL = np.array([0.95, 0.85, 0.75, 0.65, 0.5])
QUICK = [CrossFit(warm_up=WarmUp(epochs=10, lr=1e-2), epochs=5, rounds=0), Joint(epochs=2)]


def annotated(truth, *, labels, seed=0):
    """Annotations of items 0, 1, ... by annotators of different skill."""
    rng = np.random.default_rng(seed)
    n, k = len(truth), truth.max() + 1
    item = np.repeat(np.arange(n), labels)
    who = np.concatenate([rng.permutation(len(SKILL))[:labels] for _ in range(n)])
    right = rng.random(len(item)) < SKILL[who]
    label = np.where(right, truth[item], (truth[item] + rng.integers(1, k, len(item))) % k)
    return pd.DataFrame({"item": item, "annotator": who, "label": label})


def blobs(n=150):
    return make_blobs(n, centers=4 * np.eye(3, 4), cluster_std=1.0, random_state=0)


def majority(table):
    return table.groupby("item")["label"].agg(lambda one: one.mode()[0]).to_numpy()


def test_the_consensus_is_better_than_majority_votes_on_digits():
    x, truth = load_digits(n_class=5, return_X_y=True)
    used, table = slice(200), annotated(truth[:200], labels=3)
    model = NBAMClassifier(head="linear", epochs=60, random_state=0).fit(x[used], annotations=table)
    report = model.annotation_report_
    right = (report.items["consensus"].sort_index() == truth[used]).mean()
    assert right > (majority(table) == truth[used]).mean() + 0.05
    wrong = table["label"] != truth[table["item"]]
    assert ((report.annotations["responsibility"] - wrong) ** 2).mean() < 0.02
    # The labels that annotations alone suggest, and what is known about them.
    wrong = model.targets_.column.values != truth[used]
    assert ((model.responsibility_ - wrong) ** 2).mean() < 0.02
    low, high = model.contamination_interval_
    assert low <= wrong.mean() <= high
    assert model.contamination_ == pytest.approx(model.responsibility_.mean())
    low, high = model.population_rate_interval_
    assert low <= wrong.mean() <= high
    assert (model.predict(x[200:]) == truth[200:]).mean() > 0.8
    assert model.verdict_ == report.verdict == model.fit_.verdict
    assert np.allclose(model.transition_matrix_.sum(1), 1)
    assert np.allclose(model.flip_matrix_.sum(1), 1)
    assert not np.diag(model.flip_matrix_).any()


def test_one_annotation_per_item_cannot_tell_and_keeps_every_label():
    x, truth = blobs()
    table = annotated(truth, labels=1)
    with pytest.warns(CannotTellWarning, match="annotations do not identify"):
        model = NBAMClassifier(steps=QUICK, random_state=0).fit(x, annotations=table)
    assert (model.targets_.codes == table["label"]).all()
    assert model.verdict_.level == "cannot tell"
    low, high = model.contamination_interval_
    assert low == 0
    assert high >= 0.5
    right = (model.annotation_report_.items["consensus"] == truth).mean()
    assert right >= (table["label"] == truth).mean()


def test_rows_have_the_names_of_the_index_and_may_lack_annotations():
    x, truth = blobs()
    names = np.array(["ant", "bee", "cat"])
    frame = pd.DataFrame(x, columns=list("abcd"), index=[f"row{i}" for i in range(150)][::-1])
    long = annotated(truth[:120], labels=3)
    long = long.assign(item=frame.index[long["item"]], label=names[long["label"]])
    wide = long.pivot_table(index="item", columns="annotator", values="label", aggfunc="first")
    results = []
    for table in (long, wide):
        model = NBAMClassifier(steps=QUICK, random_state=0).fit(frame, annotations=table)
        results.append(model.annotation_report_.items["consensus"])
    pd.testing.assert_series_equal(*results)
    assert results[0].index.tolist() == frame.index[:120].tolist()
    assert (results[0] == names[truth[:120]]).mean() > 0.95
    assert model.classes_.tolist() == names.tolist()
    assert model.targets_.present.tolist() == [True] * 120 + [False] * 30
    assert (model.predict(frame[120:]) == names[truth[120:]]).mean() > 0.9
    new = model.responsibility_[120:]  # a label drawn for the row would be wrong
    assert model.population_rate_ == pytest.approx(new.mean(), abs=0.05)


def test_verified_rows_are_certain_and_raise_the_verdict():
    x, truth = blobs()
    table = annotated(truth, labels=3)
    known = np.where(np.arange(150) < 60, truth, np.nan)
    model = NBAMClassifier(steps=QUICK, random_state=0)
    model.fit(x, annotations=table, true_label=known)
    items = model.annotation_report_.items
    assert (items["probability"][:60] == 1).all()
    assert (items["consensus"][:60] == truth[:60]).all()
    wrong = model.targets_.codes[:60] != truth[:60]  # labels come from annotators alone
    assert wrong.any()
    assert (model.responsibility_[:60] == wrong).all()
    assert "No annotated item is verified" not in model.verdict_.assumed
    with pytest.raises(DataError, match="1 rows without annotations, the first is row 149"):
        model.fit(x, annotations=table[table["item"] < 149], true_label=truth)


def test_a_fit_of_labels_forgets_the_report():
    x, truth = blobs(60)
    model = NBAMClassifier(steps=[WarmUp(epochs=5, lr=1e-2), Joint(epochs=1)], random_state=0)
    model.annotation_report_ = "of an earlier fit"
    model.fit(x, truth)
    assert not hasattr(model, "annotation_report_")


@pytest.mark.parametrize(
    ("settings", "change", "message"),
    [
        ({}, {"y": np.zeros(150)}, "y must be None"),
        ({}, {"sample_weight": np.ones(150)}, "do not apply"),
        ({}, {"contaminated": np.zeros(150)}, "do not apply"),
        ({"intervals": "bootstrap"}, {}, "bootstrap"),
        ({"steps": QUICK, "epochs": 3}, {}, "Both epochs and steps"),
        ({"steps": [Joint(epochs=1)]}, {}, "out of fold"),
    ],
)
@pytest.mark.filterwarnings("ignore::nbam_pyro.errors.CannotTellWarning")
def test_what_does_not_apply_is_refused(settings, change, message):
    x, truth = blobs()
    with pytest.raises(DataError, match=message):
        NBAMClassifier(**settings).fit(x, annotations=annotated(truth, labels=2), **change)


def test_unknown_items_repeated_names_and_rare_classes_are_refused():
    x, truth = blobs()
    table, model = annotated(truth, labels=2), NBAMClassifier()
    with pytest.raises(DataError, match=r"10 of 150 items .* not rows of X: 140, 141, 142, \.\.\."):
        model.fit(x[:140], annotations=table)
    frame = pd.DataFrame(x, index=np.arange(150) // 2)
    with pytest.raises(DataError, match="index of X repeats"):
        model.fit(frame, annotations=table)
    rare = table.assign(label=np.where(table.index == 0, 7, table["label"]))
    with pytest.raises(DataError, match=r"1 of 4 classes .* fewer than two rows.* such as 7"):
        model.fit(x, annotations=rare)
    with pytest.raises(DataError, match="y to be passed"):
        model.fit(x)
