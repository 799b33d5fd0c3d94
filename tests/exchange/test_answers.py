"""Answers from each tool, and the verified rows that they become."""

import pandas as pd
import pytest

from nbam_pyro.errors import DataError
from nbam_pyro.exchange import (
    Answer,
    RunRows,
    VerifiedRows,
    answers_from_argilla,
    answers_from_label_studio,
    answers_from_table,
    verified_table,
)

ESCAPE = "\x1b[31mred"


@pytest.fixture
def rows():
    table = pd.DataFrame(
        {"row": ["0", "1", "2"], "label": ["a", ESCAPE, ""], "responsibility": [0.9, 0.5, 0.1]}
    )
    return RunRows(task="classification", table=table, classes=("a", "b", ESCAPE))


def annotation(by, *, cancelled=False, **said):
    results = [
        {"from_name": name, "type": "choices", "value": {"choices": [one]}}
        for name, one in said.items()
    ]
    return {"completed_by": by, "was_cancelled": cancelled, "result": results}


def test_annotations_of_label_studio():
    task = {
        "id": 1,
        "data": {"row": "7", "inclusion_probability": 0.25},
        "annotations": [
            annotation(3, true_label="b", verdict="wrong"),
            annotation({"id": 4, "email": "ann@x"}, cancelled=True, verdict="right"),
            annotation(5),
        ],
    }
    found = answers_from_label_studio([task, {"data": {"row": "8"}}])
    assert found == [
        Answer(row="7", verdict="wrong", true_label="b", by="3", inclusion="0.25"),
        Answer(row="7", by="ann@x", inclusion="0.25"),
        Answer(row="7", by="5", inclusion="0.25"),
    ]
    assert [one.skipped for one in found] == [False, True, True]


@pytest.mark.parametrize(
    "task", [{"data": {}}, {"data": 3}, {"data": {"row": 1}, "annotations": [3]}]
)
def test_tasks_that_are_refused(task):
    with pytest.raises(DataError):
        answers_from_label_studio([task])


def test_several_choices_are_refused():
    results = [{"from_name": "true_label", "value": {"choices": ["a", "b"]}}]
    with pytest.raises(DataError, match="several answers"):
        answers_from_label_studio([{"data": {"row": 1}, "annotations": [{"result": results}]}])


def test_responses_of_argilla_with_and_without_status():
    said = [{"value": "b", "user_id": "ann"}]
    nested = {"id": "7", "responses": {"true_label": said}, "metadata": {}}
    assert answers_from_argilla([{**nested, "status": "completed"}]) == [
        Answer(row="7", true_label="b", by="ann")
    ]
    # A pending record, or a discarded response of another person, may say nothing.
    assert answers_from_argilla([{**nested, "status": "pending"}])[0].skipped
    two = {"true_label": [*said, {"value": "a", "user_id": "bob"}]}
    assert all(
        one.skipped
        for one in answers_from_argilla([{**nested, "status": "completed", "responses": two}])
    )
    flat = {
        "id": "7",
        "status": "completed",
        "inclusion_probability": 0.5,
        "verdict.responses": ["wrong", "right", "wrong"],
        "verdict.responses.users": ["ann", "bob", "cat"],
        "verdict.responses.status": ["submitted", "discarded", "draft"],
        "true_label.responses": ["b"],
        "true_label.responses.users": ["ann"],
        "true_label.responses.status": ["submitted"],
    }
    assert answers_from_argilla([flat]) == [
        Answer(row="7", verdict="wrong", true_label="b", by="ann", inclusion="0.5"),
        Answer(row="7", by="bob", inclusion="0.5"),
        Answer(row="7", by="cat", inclusion="0.5"),
    ]
    with pytest.raises(DataError, match="no id"):
        answers_from_argilla([{"responses": {}}])


def test_a_table_needs_answers():
    for names in (["verdict"], ["row", "label"]):
        with pytest.raises(DataError, match="Answers need"):
            answers_from_table(pd.DataFrame([["1"] * len(names)], columns=names))
    filled = pd.DataFrame({"row": [1, 2, 3], "wrong": ["1", "False", None]})
    assert [one.verdict for one in answers_from_table(filled)] == ["wrong", "right", ""]


def one(rows, **answer):
    return verified_table([Answer(**answer)], rows).iloc[0]


@pytest.mark.parametrize(
    ("answer", "contaminated", "true_label"),
    [
        ({"verdict": "right"}, "0", "a"),
        ({"verdict": "WRONG"}, "1", ""),
        ({"verdict": "wrong", "true_label": "b"}, "1", "b"),
        ({"true_label": "a"}, "0", "a"),
        ({"true_label": r"\x1b[31mred"}, "1", ESCAPE),
        ({"verdict": "unsure"}, "", ""),
        ({"verdict": "skipped"}, "", ""),
        ({}, "", ""),
    ],
)
def test_what_answers_verify(rows, answer, contaminated, true_label):
    line = one(rows, row="0", **answer)
    assert (line["contaminated"], line["true_label"], line["problem"]) == (
        contaminated,
        true_label,
        "",
    )


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ({"row": "9", "verdict": "right"}, "does not have this row"),
        ({"row": "2", "verdict": "right"}, "no label"),
        ({"row": "0", "verdict": "right", "true_label": "b"}, "right, but"),
        ({"row": "0", "verdict": "wrong", "true_label": "a"}, "wrong, but"),
        ({"row": "0", "verdict": "unsure", "true_label": "a"}, "unsure, but"),
        ({"row": "0", "true_label": "dgo"}, "no class"),
        ({"row": "0", "verdict": "perhaps"}, "is not right"),
    ],
)
def test_problems_are_named_and_answers_kept(rows, answer, problem):
    line = one(rows, **answer)
    assert problem in line["problem"]
    assert line["contaminated"] == ""
    assert line["true_label"] == answer.get("true_label", "")
    assert line["answer"] == answer.get("verdict", "")


def test_measurements_and_anomalies():
    table = pd.DataFrame({"row": [0, 1], "label": [1.5, 2.0], "responsibility": [0.9, 0.1]})
    measured = RunRows(task="regression", table=table)
    assert one(measured, row="0", verdict="wrong")["contaminated"] == "1"
    assert "a verdict is needed" in one(measured, row="0", true_label="2")["problem"]
    line = one(measured, row="0", verdict="wrong", true_label="2")
    assert (line["contaminated"], line["true_label"], line["problem"]) == ("1", "2", "")
    assert "that it is wrong 0.900" in measured.described(measured.lines()[0])
    anomalies = RunRows(task="detection", table=table.drop(columns="label"))
    described = anomalies.described(anomalies.lines()[0])
    assert "probability that it is an anomaly 0.900" in described
    assert one(anomalies, row="1", verdict="anomaly")["contaminated"] == "1"
    assert one(anomalies, row="1", verdict="normal")["contaminated"] == "0"


def test_several_answers_to_a_row(rows):
    answers = [
        Answer(row="0", true_label="b", by="ann"),
        Answer(row="0", verdict="wrong", by="bob"),
        Answer(row="1", verdict="right", by="ann"),
        Answer(row="1", verdict="wrong", by="bob"),
        Answer(row="1", verdict="unsure", by="cat"),
        Answer(row="9", verdict="right", by="ann"),
    ]
    table = verified_table(answers, rows)
    assert len(table) == len(answers)
    found = VerifiedRows.of(table)
    assert found.contaminated == {"0": 1}
    assert found.true_label == {"0": "b"}
    assert found.disagreed == ("1",)
    assert found.left_out == 1
    split = VerifiedRows.of(
        verified_table([Answer(row="0", true_label="b"), Answer(row="0", true_label=ESCAPE)], rows)
    )
    assert (split.contaminated, split.true_label, split.disagreed) == ({"0": 1}, {}, ("0",))


def test_tables_that_are_refused():
    with pytest.raises(DataError, match="no column 'contaminated'"):
        VerifiedRows.of(pd.DataFrame({"row": ["1"]}))
    lines = pd.DataFrame({"row": ["1"], "contaminated": ["x"], "true_label": [""]})
    with pytest.raises(DataError, match="Write 1, 0"):
        VerifiedRows.of(lines)
    two = pd.DataFrame(
        {"row": ["1", "1"], "contaminated": ["0", "0"], "true_label": "", "label": ["a", "b"]}
    )
    with pytest.raises(DataError, match="different data"):
        VerifiedRows.of(two)
