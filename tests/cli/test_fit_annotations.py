"""`nbam fit --annotations`: features in one file, labels of several annotators in another."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from nbam_pyro import NBAMClassifier
from nbam_pyro.inference import CrossFit, Joint, WarmUp
from tests.cli.helpers import bugs, nbam, refused

SKILL = [0.9, 0.8, 0.8, 0.7]


@pytest.fixture
def quick_folds(monkeypatch):
    steps = [CrossFit(warm_up=WarmUp(epochs=8, lr=1e-2), epochs=4, rounds=0), Joint(epochs=1)]
    before = NBAMClassifier.__init__.__kwdefaults__
    monkeypatch.setattr(NBAMClassifier.__init__, "__kwdefaults__", before | {"steps": steps})


def wide(truth, items, names, seed=0):
    rng = np.random.default_rng(seed)
    right = rng.random((len(truth), len(SKILL))) < SKILL
    other = (truth[:, None] + rng.integers(1, len(names), right.shape)) % len(names)
    labels = pd.DataFrame(names[np.where(right, truth[:, None], other)], columns=list("abcd"))
    return labels.set_axis(pd.Index(items, name="item"))


def test_a_table_and_annotations_give_a_run(quick_folds, tmp_path):
    frame = bugs(120)[0].drop(columns="species")
    truth, names = np.arange(120) % 3, np.array(["ant", "bee", "cat"])
    frame["checked"] = np.where(np.arange(120) < 30, names[truth], "")
    table = wide(truth[:110], range(110), names)
    data, labels, run = tmp_path / "d.csv", tmp_path / "a.csv", tmp_path / "run"
    frame.to_csv(data, index=False)
    table.to_csv(labels)
    fit = ["fit", data, "--annotations", labels, "--true-label", "checked"]
    result = nbam(*fit, "--out", run)
    assert result.exit_code == 0, result.output
    assert "Fitting 440 annotations" in result.stdout
    flags = pd.read_csv(run / "flags.csv").set_index("row").sort_index()
    assert (flags["suggested_label"] == names[truth]).mean() > 0.95
    assert flags["label"][110:].isna().all()
    items = pd.read_csv(run / "items.csv").set_index("item")
    assert items["consensus"].tolist() == flags["suggested_label"][:110].tolist()
    assert np.allclose(items["probability"], flags["suggested_probability"][:110], atol=1e-6)
    assert len(pd.read_csv(run / "annotations.csv")) == 440
    assert set(pd.read_csv(run / "annotators.csv")["annotator"]) == set("abcd")
    assert "annotations of 110 items" in (run / "report.txt").read_text()
    summary = json.loads((run / "summary.json").read_text())
    assert summary["annotators"] == 4
    assert summary["labelled"] == 110
    shown = nbam("show", run)
    assert shown.exit_code == 0
    assert "among 440 annotations of 4 annotators" in shown.stdout
    scores = tmp_path / "s.csv"
    assert nbam("score", run, data, "--out", scores).exit_code == 0
    suggested = pd.read_csv(scores).set_index("row").sort_index()["suggested_label"]
    assert (suggested == names[truth]).mean() > 0.95
    page = nbam("report", run, "--out", tmp_path / "page.html")
    assert page.exit_code == 0, page.output
    assert "The data are not" not in page.output
    review = nbam("review", run, "--budget", 5, "--out", tmp_path / "review.csv")
    assert review.exit_code == 0, review.output
    shutil.copytree(run, tmp_path / "other")
    assert "several annotators" in refused("compare", run, tmp_path / "other")


def test_images_are_named_by_their_paths(quick_folds, tmp_path):
    rng, names = np.random.default_rng(0), np.array(["dark", "light"])
    truth, folder, run = np.arange(60) % 2, tmp_path / "images", tmp_path / "run"
    folder.mkdir()
    for number, light in enumerate(truth):
        pixels = rng.integers(0, 100, (8, 8)) + 150 * light
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{number:02d}.png")
    items = [f"{number:02d}.png" for number in range(60)]
    long = wide(truth, items, names).melt(
        var_name="annotator", value_name="label", ignore_index=False
    )
    long.reset_index().to_parquet(tmp_path / "a.parquet")
    result = nbam("fit", folder, "--annotations", tmp_path / "a.parquet", "--out", run)
    assert result.exit_code == 0, result.output
    found = pd.read_csv(run / "items.csv").set_index("item")
    assert found.index.tolist() == items
    assert (found["consensus"] == names[truth]).mean() > 0.9
    assert set(pd.read_csv(run / "annotations.csv")["item"]) == set(items)
    assert nbam("score", run, folder, "--out", tmp_path / "s.csv").exit_code == 0


def test_mistakes_are_told(tmp_path):
    frame = bugs(30)[0]
    data, labels, out = tmp_path / "d.csv", tmp_path / "a.csv", ["--out", tmp_path / "run"]
    frame.to_csv(data, index=False)
    wide(np.arange(31) % 2, range(31), np.array(["x", "y"])).to_csv(labels)
    fit = ["fit", data, "--annotations", labels]
    assert "'30'" in refused(*fit, *out)
    assert "1 item of" in refused(*fit, *out)
    assert "Leave out --label" in refused(*fit, "--label", "species", *out)
    assert "nbam annotators" in refused(*fit, "--pred-probs", labels, *out)
    labels.write_text("a,b\n1,2\n")
    assert "no column 'item'" in refused(*fit, *out)
