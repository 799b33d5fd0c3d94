"""Tables of answers that a spreadsheet or pandas has saved again."""

import pandas as pd
import pytest

from nbam_pyro.exchange import Answer, RunRows, verified_table


@pytest.mark.parametrize(
    ("classes", "said", "meant"),
    [
        (("0", "1"), "1.0", "1"),
        (("False", "True"), "TRUE", "True"),
        (("False", "True"), "false", "False"),
        (("1", "1.0"), "1.0", "1.0"),
        (("TRUE", "True"), "TRUE", "TRUE"),
    ],
)
def test_rows_and_classes_keep_their_names(classes, said, meant):
    table = pd.DataFrame({"row": ["7"], "label": [classes[0]], "responsibility": [0.5]})
    rows = RunRows(task="classification", table=table, classes=classes)
    line = verified_table([Answer(row="7.0", true_label=said)], rows).iloc[0]
    assert line[["row", "true_label", "problem"]].tolist() == ["7", meant, ""]
    assert line["contaminated"] == str(int(meant != classes[0]))


def test_other_names_are_still_problems():
    table = pd.DataFrame({"row": ["7"], "label": ["a"], "responsibility": [0.5]})
    rows = RunRows(task="classification", table=table, classes=("a", "b"))
    answers = [Answer(row="8.0", true_label="a"), Answer(row="7", true_label="B")]
    assert (verified_table(answers, rows)["problem"] != "").all()
