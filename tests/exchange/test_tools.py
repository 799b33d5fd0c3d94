"""What is exported for each tool, also with hostile labels, and against the tools themselves."""

import json
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from nbam_pyro.decisions import Costs
from nbam_pyro.errors import DataError
from nbam_pyro.exchange import (
    Rule,
    RunRows,
    argilla_records,
    cleaned,
    cleanlab_issues,
    fiftyone_samples,
    label_studio_config,
    label_studio_tasks,
    spotlight_issues,
    spotlight_table,
)

HOSTILE = ("\x1b[31mred", "<script>alert(1)</script>", "=HYPERLINK(1)", 'a"&\nb', "café")


@pytest.fixture
def rows():
    table = pd.DataFrame(
        {
            "row": [2, 0, 10, 1, 3],
            "label": [*HOSTILE[:4], ""],
            "responsibility": [0.97, 0.93, 0.6, 0.1, 0.2],
            "suggested_label": [*HOSTILE[1:4], HOSTILE[3], HOSTILE[0]],
            "suggested_probability": [0.97, 0.91, 0.6, 0.9, 0.8],
        }
    )
    return RunRows(task="classification", table=table, classes=HOSTILE)


@pytest.fixture
def measured():
    table = pd.DataFrame(
        {"row": [1, 0], "label": [9.5, 1.0], "responsibility": [0.8, 0.1], "prediction": [2.0, 1.1]}
    )
    return RunRows(task="regression", table=table)


def no_control(value):
    return all(ord(one) >= 32 for one in json.dumps(value, ensure_ascii=False).replace("\\n", ""))


def test_label_studio_tasks_show_hostile_labels_as_text(rows):
    tasks = label_studio_tasks(rows)
    assert no_control(tasks)
    assert [task["data"]["row"] for task in tasks] == ["2", "0", "10", "1", "3"]
    first = tasks[0]
    assert first["data"]["label"] == r"\x1b[31mred"
    assert first["predictions"][0]["score"] == 0.97
    tree = ElementTree.fromstring(label_studio_config(rows))
    choices = [one.get("value") for one in tree.find("Choices[@name='true_label']")]
    assert choices == [r"\x1b[31mred", HOSTILE[1], HOSTILE[2], r'a"&\nb', HOSTILE[4]]
    assert {task["predictions"][0]["result"][0]["value"]["choices"][0] for task in tasks} <= set(
        choices
    )


def test_label_studio_accepts_the_tasks(rows, measured):
    reason = "the SDK of Label Studio is large, and not among the packages of the tests"
    interface = pytest.importorskip("label_studio_sdk.label_interface", reason=reason)
    for one in (rows, replace(rows, cells=CELLS), measured):
        studio = interface.LabelInterface(label_studio_config(one))
        studio.validate()
        for task in label_studio_tasks(one):
            assert studio._validate_object({"result": []}, return_errors=True) == []
            for prediction in task["predictions"]:
                assert studio.validate_prediction(prediction, return_errors=True) == []
            assert all(task["data"].get(item.value_name) is not None for item in studio.objects)


def test_argilla_accepts_the_records(rows):
    reason = "argilla is large, and not among the packages of the tests"
    argilla = pytest.importorskip("argilla", reason=reason)
    for made in argilla_records(rows):
        record = argilla.Record.from_dict(made)
        assert record.id == made["id"]
        assert record.suggestions["true_label"].score == made["suggestions"]["true_label"]["score"]


def test_spotlight_accepts_the_issues(rows):
    reason = "Spotlight is large, and not among the packages of the tests"
    analysis = pytest.importorskip("renumics.spotlight.analysis", reason=reason)
    for issue in spotlight_issues(rows):
        assert analysis.DataIssue(**issue).rows == issue["rows"]


def test_fiftyone_accepts_the_samples(rows):
    reason = "FiftyOne is large, and not among the packages of the tests"
    fiftyone = pytest.importorskip("fiftyone.core.sample", reason=reason)
    media = {name: f"in/{name}.png" for name in rows.table["row"].map(str)}
    for made in fiftyone_samples(replace(rows, media=media)):
        sample = fiftyone.Sample.from_dict(made)
        assert sample["mistakenness"] == made["mistakenness"]
        assert sample["suggestion"].label == made["suggestion"]["label"]


def test_argilla_records_have_suggestions(rows, measured):
    records = argilla_records(rows)
    assert no_control(records)
    assert records[0]["id"] == "2"
    assert records[0]["suggestions"]["true_label"]["value"] == HOSTILE[1]
    assert [one["suggestions"]["verdict"]["value"] for one in argilla_records(measured)] == [
        "wrong",
        "right",
    ]


def test_fiftyone_samples_need_pictures(rows):
    with pytest.raises(DataError, match="not one"):
        fiftyone_samples(rows)
    table = rows.table.assign(row=["b.png", "a.png", "c.png", "d.png", "e.png"])
    media = {name: f"in/{name}" for name in table["row"]}
    samples = fiftyone_samples(
        RunRows(task="classification", table=table, classes=HOSTILE, media=media)
    )
    assert samples[0] == {
        "filepath": "in/b.png",
        "tags": ["wrong"],
        "nbam_row": "b.png",
        "mistakenness": 0.97,
        "ground_truth": {"_cls": "Classification", "label": r"\x1b[31mred"},
        "suggestion": {"_cls": "Classification", "label": HOSTILE[1], "confidence": 0.97},
    }
    assert "ground_truth" not in samples[4]


def test_columns_of_cleanlab_and_issues_of_spotlight(rows, measured):
    table = cleanlab_issues(rows)
    assert table["row"].tolist() == ["0", "1", "2", "3", "10"]
    assert table["is_label_issue"].tolist() == [True, False, True, False, True]
    assert table["label_score"].to_numpy() == pytest.approx([0.07, 0.9, 0.03, 0.8, 0.4])
    assert list(table)[3:] == ["given_label", "predicted_label"]
    assert list(cleanlab_issues(measured)["predicted_label"]) == [1.1, 2.0]
    issues = spotlight_issues(rows)
    assert [one["rows"] for one in issues] == [[0, 2], [4]]
    assert [one["severity"] for one in issues] == ["high", "medium"]


def test_a_cleaned_table_drops_or_replaces(rows):
    table = cleaned(rows, Rule(fdr=0.06))
    assert table["row"].tolist() == [1, 10]  # row 3 has no label
    assert table["weight"].to_numpy() == pytest.approx([0.9, 0.4])
    table = cleaned(rows, Rule(fdr=0.2), flagged="relabel")  # row 10 is not sure enough
    assert table["action"].tolist() == ["relabel", "keep", "relabel"]
    assert table["old_label"].tolist() == [HOSTILE[1], HOSTILE[3], HOSTILE[0]]
    assert table["label"].tolist() == [HOSTILE[2], HOSTILE[3], HOSTILE[1]]
    assert table["weight"].to_numpy() == pytest.approx([0.91, 0.9, 0.97])
    assert table["responsibility"].to_numpy() == pytest.approx([0.93, 0.1, 0.97])
    assert cleaned(rows, Rule(budget=1))["row"].tolist() == [0, 1, 10]
    assert len(cleaned(rows, Rule(budget=0))) == 4
    asked = cleaned(rows, Rule(costs=Costs(false_alarm=1, miss=1, review=0.2)))
    assert asked.set_index("row")["action"].to_dict() == {1: "keep", 10: "review"}


def test_measurements_are_not_replaced(measured):
    assert cleaned(measured, Rule(fdr=0.3))["row"].tolist() == [0]
    with pytest.raises(DataError, match="Only labels"):
        cleaned(measured, Rule(fdr=0.3), flagged="relabel")


@pytest.mark.parametrize(
    "text", ["", "fdr", "fdr:2", "fdr:0.1,2", "costs:1", "budget:1.5", "budget:-1", "budget:inf"]
)
def test_rules_that_are_refused(text):
    with pytest.raises(DataError):
        Rule.parse(text)


def test_rules_are_parsed():
    assert Rule.parse("costs:1,4,0.3").costs == Costs(false_alarm=1, miss=4, review=0.3)
    assert Rule.parse("budget:200").budget == 200
    flagged, review = Rule.parse("costs:1,4").chosen(np.array([0.1, 0.3]))
    assert flagged.tolist() == [False, True]
    assert not review.any()
    with pytest.raises(DataError, match="exactly one"):
        Rule()


def test_classes_that_look_the_same_are_refused():
    table = pd.DataFrame({"row": [0], "label": ["a"], "responsibility": [0.1]})
    with pytest.raises(DataError, match="cannot be shown"):
        RunRows(task="classification", table=table, classes=("\x1b", "\\x1b"))


CELLS = pd.DataFrame(
    {"code": ["007", "=1+1", "\x1b[2Jx", "<b>", None], "label": [1.5, np.nan, 2, 3, 4]},
    index=["0", "1", "2", "3", "10"],
)


def test_tasks_show_the_columns_of_the_data(rows):
    shown = replace(rows, cells=CELLS)
    tasks = label_studio_tasks(shown)
    assert no_control(tasks)
    assert {task["data"]["row"]: task["data"]["cells"]["code"] for task in tasks} == {
        "0": "007",
        "1": "=1+1",
        "2": r"\x1b[2Jx",
        "3": "<b>",
        "10": "",
    }
    assert tasks[3]["data"]["cells"]["label"] == ""
    tree = ElementTree.fromstring(label_studio_config(shown))
    assert tree.find("Table").get("value") == "$cells"
    assert "Table" not in label_studio_config(rows)
    record = argilla_records(shown)[0]
    assert record["fields"]["text"].splitlines()[1:] == [r"code: \x1b[2Jx", "label: 2.0"]


def test_columns_that_look_the_same_are_refused(rows):
    with pytest.raises(DataError, match="Two columns differ"):
        replace(rows, cells=CELLS.set_axis(["a\n", "a\\n"], axis=1))


def test_a_cleaned_table_has_the_columns_of_the_data(rows):
    table = cleaned(replace(rows, cells=CELLS), Rule(budget=0), flagged="relabel")
    assert list(table)[-2:] == ["code", "label (data)"]
    assert table["code"].fillna("").tolist() == ["007", "=1+1", "\x1b[2Jx", ""]
    assert table["label (data)"].tolist()[2:] == [2, 4]


def test_the_table_of_spotlight(rows, measured):
    table = spotlight_table(replace(rows, cells=CELLS))
    assert list(table)[-3:] == ["flagged", "code", "label (data)"]
    assert table["row"].tolist() == [0, 1, 2, 3, 10]
    assert table["flagged"].tolist() == [True, False, True, False, True]
    shown = [HOSTILE[1], r'a"&\nb', r"\x1b[31mred"]
    assert table["label"].astype(object).tolist()[:3] == shown
    # Spotlight opens texts that are no categories.
    assert {str(table[name].dtype) for name in ("label", "suggested_label", "code")} == {"category"}
    assert table["code"].isna().tolist() == [False] * 4 + [True]
    assert spotlight_table(measured)["prediction"].tolist() == [1.1, 2.0]
    pictures = {str(name): f"/in/{name}.png" for name in rows.table["row"]}
    pictures["0"] = "data:image/png;base64,YQ=="
    images = spotlight_table(replace(rows, media=pictures))["image"]
    assert images.tolist()[:2] == [b"a", "/in/1.png"]
