"""Rows of tables have numbers. A file whose rows may have other numbers is not used silently."""

import numpy as np
import pandas as pd
import pytest

from tests.cli.helpers import bugs, nbam, refused


def made(*arguments):
    result = nbam(*arguments)
    assert result.exit_code == 0, result.output
    return " ".join(result.stdout.split())


@pytest.fixture
def folder(tmp_path):
    """A run on anomalies and one on labels, whose rows change places within their label."""
    rng = np.random.default_rng(0)
    x = pd.DataFrame({"score": rng.normal(size=60), "name": [f"cell {row}" for row in range(60)]})
    x.loc[:5, "score"] += 8
    x.to_csv(tmp_path / "s.csv", index=False)
    made("detect", "--scores", tmp_path / "s.csv", "--out", tmp_path / "scored")
    frame = bugs(120)[0].sort_values("species", ignore_index=True)
    frame["name"] = [f"cell {row}" for row in range(120)]
    frame.to_csv(tmp_path / "d.csv", index=False)
    probabilities = pd.get_dummies(frame["species"]) * 0.8 + 0.1
    (probabilities.div(probabilities.sum(axis=1), axis=0)).to_csv(tmp_path / "p.csv", index=False)
    made("fit", tmp_path / "d.csv", *_options(tmp_path), "--out", tmp_path / "run")
    return tmp_path


def _options(folder):
    return ["--label", "species", "--pred-probs", folder / "p.csv"]


def _reordered(folder):
    scores = pd.read_csv(folder / "s.csv").iloc[::-1]
    scores.to_csv(folder / "s.csv", index=False)
    frame = pd.read_csv(folder / "d.csv")
    frame = frame.iloc[::-1].sort_values("species", kind="stable")
    frame.to_csv(folder / "d.csv", index=False)


@pytest.mark.parametrize("run", ["run", "scored"])
def test_cells_of_other_rows_are_not_shown(folder, run):
    tasks, table = folder / "t.json", folder / "c.csv"
    assert "Note" not in made("export", folder / run, "--to", "label-studio", "--out", tasks)
    assert "cell 7" in tasks.read_text()
    _reordered(folder)
    more = ("--out", tasks, "--overwrite")
    said = made("export", folder / run, "--to", "label-studio", *more)
    assert "has changed since the run" in said
    assert "cell 7" not in tasks.read_text()
    rule = ("--rule", "budget:3", "--anyway", "--out", table)
    assert "has changed since the run" in made("export", folder / run, "--to", "csv", *rule)
    assert "cell 7" not in table.read_text()
    made("report", folder / run, "--out", folder / "r.html")
    assert "has changed since the run" in (folder / "r.html").read_text().replace("&#x27;", "'")
    assert "has changed since the run" in refused(
        "report", folder / run, "--by", "name", "--out", folder / "s.html"
    )


def test_answers_are_not_used_for_other_rows(folder):
    (folder / "a.csv").write_text("row,verdict\n1,right\n9,right\n")
    fit = ["fit", folder / "d.csv", *_options(folder)]
    detect = ["detect", "--scores", folder / "s.csv"]
    for run, command in (("run", fit), ("scored", detect)):
        made("verify", folder / run, folder / "a.csv", "--out", folder / f"{run}.csv")
        again = [*command, "--verified", folder / f"{run}.csv", "--out", folder / f"{run}-2"]
        made(*again)
    _reordered(folder)
    for run, command in (("run", fit), ("scored", detect)):
        verified = folder / f"{run}.csv"
        again = [*command, "--verified", verified, "--out", folder / f"{run}-3"]
        assert "delete the column 'data_sha256'" in refused(*again)
        pd.read_csv(verified, dtype=str).drop(columns="data_sha256").to_csv(verified, index=False)
        made(*again)


def test_wrong_labels_without_a_true_label_are_named_by_their_row(folder):
    frame = pd.read_csv(folder / "d.csv")
    frame.loc[[0, 2], "species"] = None
    frame["checked"] = pd.Series(1, index=[7]).reindex(frame.index)
    frame.to_csv(folder / "d.csv", index=False)
    more = ["--contaminated", "checked", "--out", folder / "again"]
    said = refused("fit", folder / "d.csv", *_options(folder), *more)
    assert "1 label is verified as wrong without a true label, the first in row '7'" in said
    assert "column true_label" in said


def test_verify_says_which_true_labels_a_fit_would_need(folder):
    (folder / "a.csv").write_text("row,verdict,true_label\n7,wrong,\n8,right,\n", encoding="utf-8")
    said = made("verify", folder / "run", folder / "a.csv", "--out", folder / "v.csv")
    assert "1 row is wrong without a true label: '7'." in said
