"""`ContaminationReport`: text, files, and the columns of cleanlab."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from nbam_pyro import ContaminationReport, from_pred_probs, load_report
from nbam_pyro.errors import FolderError, StoryError
from nbam_pyro.outputs import Explanation, ScoreCurve, Verdict
from tests.outputs.cases import figures, simulated

NAMES = ["cat", "dog", "fox"]


def scores():
    share = np.linspace(0, 1, 11)
    return ContaminationReport(
        kind="scores",
        rows=pd.DataFrame(
            {"score": [1.0, 2.0, 3.0], "responsibility": [0.1, 0.2, 0.93456]}, index=["a", "b", "c"]
        ),
        posterior=xr.Dataset(
            {
                "contamination": ("draw", share),
                "population_rate": ("draw", share / 2),
                "weight": (("draw", "part"), np.ones((11, 2))),
            },
            coords={"part": ["low", "high"]},
        ),
        prior=xr.Dataset({"contamination": ("draw", share**2)}),
        verdict=Verdict(
            level="weak",
            sure="Some rows are anomalies.",
            explanations=(Explanation(text="One.", contamination=0.2, weight=0.4),),
        ),
        note="Note.",
        probability=0.9,
        curve=ScoreCurve.through(np.array([1.0, 2.0, 3.0]), np.array([0.1, 0.2, 0.93456])),
    )


def test_the_adapter_has_cleanlab_s_columns():
    y, p, _ = simulated(100)
    report = from_pred_probs(np.array(NAMES)[y], p, classes=NAMES, sharpness=3.0)
    issues = report.to_cleanlab()
    assert list(issues) == ["is_label_issue", "label_quality", "given_label", "predicted_label"]
    assert issues["is_label_issue"].dtype == bool
    assert issues["is_label_issue"].sum() == (figures(report) > 0.5).sum() > 0
    assert (issues["label_quality"] == 1 - figures(report)).all()
    assert (issues["given_label"] == np.array(NAMES)[y]).all()
    assert (issues["predicted_label"] == np.array(NAMES)[p.argmax(1)]).all()
    with pytest.raises(StoryError, match="this report is about scores"):
        scores().to_cleanlab()
    with pytest.raises(StoryError, match="this report is about labels"):
        from_pred_probs([0, 1, 0], [[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]]).responsibility_of([1.0])


def test_a_report_is_printed_rounded_with_the_rows_that_are_suspicious():
    y = np.arange(300) % 3
    wrong = np.arange(300) < 30
    p = 0.97 * np.eye(3)[y] + 0.01
    clean = str(from_pred_probs(y, p))
    assert "No row is suspicious: the largest responsibility is <0.1%" in clean
    assert "0.000" not in clean
    labels = np.array(NAMES)[np.where(wrong, (y + 1) % 3, y)]
    report = from_pred_probs(labels, p, classes=NAMES, sharpness=2.0)
    found = str(report)
    assert "30 rows have a responsibility above 0.5; the 20 most suspicious:" in found
    assert found.startswith("Contaminated share of these 300 labels: 9.9% (90% interval ")
    assert f"Verdict: {report.verdict.level}\n" in found
    assert report.note in found


def test_a_report_of_scores_is_printed():
    report = scores()
    text = str(report)
    assert "Contaminated share of these 3 scores: 41.2% (90% interval 5.0% to 95.0%)" in text
    assert "Verdict: weak\nSome rows are anomalies.\nNote." in text
    assert report.verdict.table().to_numpy().tolist() == [["One.", 0.2, 0.4]]


@pytest.mark.parametrize("kind", ["texts", "numbers", "frame", "scores"])
def test_a_report_comes_back_from_its_folder(kind, tmp_path):
    y, p, _ = simulated(60)
    report = {
        "texts": lambda: from_pred_probs(np.array(NAMES)[y], p, classes=NAMES),
        "numbers": lambda: from_pred_probs(y, p, class_prior=5.0),
        "frame": lambda: from_pred_probs(
            pd.Series(y, index=pd.date_range("2026", periods=60)).to_numpy(), p
        ),
        "scores": scores,
    }[kind]()
    report.save(tmp_path / "report")
    found = load_report(tmp_path / "report")
    assert found.rows.equals(report.rows)
    assert found.posterior.identical(report.posterior)
    assert found.prior.identical(report.prior)
    assert found.verdict == report.verdict
    assert str(found) == str(report)
    assert found.contamination_interval == report.contamination_interval
    if report.labels is not None:
        for name, table in vars(report.labels).items():
            other = getattr(found.labels, name)
            assert other.equals(table) if isinstance(table, pd.DataFrame) else other == table


def test_a_report_is_not_overwritten_by_accident_nor_read_if_changed(tmp_path):
    scores().save(tmp_path / "report")
    with pytest.raises(FolderError, match="exists already"):
        scores().save(tmp_path / "report")
    scores().save(tmp_path / "report", overwrite=True)
    (tmp_path / "report" / "report.json").write_text("{}")
    with pytest.raises(FolderError, match="was changed"):
        load_report(tmp_path / "report")
    with pytest.raises(FolderError, match="not a run folder"):
        load_report(tmp_path)


def test_the_tree_has_posterior_and_rows():
    tree = scores().to_datatree()
    assert tree["posterior"]["weight"].dims == ("chain", "draw", "part")
    assert tree["prior"]["contamination"].dims == ("chain", "draw")
    assert tree["constant_data"]["responsibility"].sizes == {"row": 3}
