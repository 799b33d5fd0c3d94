"""The report of `from_pred_probs`: text, note and the columns of cleanlab."""

import numpy as np

from nbam_pyro import from_pred_probs
from tests.outputs.cases import figures, simulated

NAMES = ["cat", "dog", "fox"]


def test_the_adapter_speaks_cleanlab_s_columns():
    y, p, _ = simulated(100)
    report = from_pred_probs(np.array(NAMES)[y], p, classes=NAMES)
    issues = report.to_cleanlab()
    assert list(issues) == ["is_label_issue", "label_quality", "given_label", "predicted_label"]
    assert issues["is_label_issue"].dtype == bool
    assert issues["is_label_issue"].sum() == (figures(report) > 0.5).sum() > 0
    assert (issues["label_quality"] == 1 - figures(report)).all()
    assert (issues["given_label"] == np.array(NAMES)[y]).all()
    assert (issues["predicted_label"] == np.array(NAMES)[p.argmax(1)]).all()


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
