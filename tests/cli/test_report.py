"""`nbam report`: one HTML file from a run folder, with the cells of the data if they are there."""

import shutil

import numpy as np
import pandas as pd
import pytest

from nbam_pyro.storage import write_manifest
from tests.cli.helpers import bugs, distances, nbam, refused
from tests.pages.helpers import Page


def made(*arguments):
    result = nbam(*arguments)
    assert result.exit_code == 0, result.output
    return result


def test_a_run_becomes_a_page_beside_it(fitted_bugs, tmp_path):
    folder, _, _, _ = fitted_bugs
    out = tmp_path / "bugs.html"
    result = made("report", folder / "run", "--out", out, "--by", "colour")
    assert f"The report is in {out}" in result.stdout
    page = Page(out)
    assert "Wrong labels in bugs.csv" in page.text
    assert "360 labels in 3 classes" in page.text
    assert "Rows by colour" in page.text
    assert "How labels flip" in page.text
    assert page.all("mark")
    assert f"nbam export {folder / 'run'} --to label-studio" in page.text
    assert "--label species --verified verified.csv" in page.text
    assert "exists already" in refused("report", folder / "run", "--out", out)
    made("report", folder / "run", "--out", out, "--overwrite")


def test_nothing_of_single_rows_is_in_a_page_without_rows(fitted_bugs, tmp_path):
    folder, frame, _, _ = fitted_bugs
    made("report", folder / "run", "--out", tmp_path / "r.html", "--no-rows")
    html = (tmp_path / "r.html").read_text()
    assert "left out of this report on purpose" in html
    assert "colour" not in html
    assert str(frame["length"].iloc[0])[:8] not in html


def test_data_that_changed_or_went_are_not_shown(tmp_path):
    frame, _ = bugs(120)
    frame.insert(0, "code", [f"cell {row}" for row in range(120)])
    probabilities = pd.DataFrame(np.full((120, 3), 1 / 3), columns=["ant", "bee", "cat"])
    probabilities.to_csv(tmp_path / "p.csv", index=False)
    data, run, out = tmp_path / "d.csv", tmp_path / "run", tmp_path / "r.html"
    frame.to_csv(data, index=False)
    made("fit", data, "--label", "species", "--pred-probs", tmp_path / "p.csv", "--out", run)
    assert "Note" not in made("report", run, "--out", out).stdout
    assert "cell 7" in out.read_text()
    page = Page(out)
    assert "given the true label, with 90% intervals" in page.text
    assert "Wrong labels by class" in page.text
    assert "What the data add to the prior" in page.text
    for change, words in [
        (lambda: frame.iloc[::-1].to_csv(data, index=False), "have changed since the run"),
        (lambda: frame[:50].to_csv(data, index=False), "the data have 50 rows"),
        (data.unlink, "does not exist"),
    ]:
        change()
        result = made("report", run, "--out", out, "--overwrite")
        assert "Note: Cells and images are not shown" in result.stdout
        assert words in " ".join(result.stdout.split())
        assert "Cells and images are not shown" in Page(out).text
        assert "cell 7" not in out.read_text()
    assert "does not exist" in refused("report", run, "--out", out, "--overwrite", "--by", "code")


def test_measurements_and_detectors(quick, tmp_path):
    frame, _ = distances(80)
    frame.to_csv(tmp_path / "far.csv", index=False)
    made("fit", tmp_path / "far.csv", "--label", "far", "--out", tmp_path / "far")
    made("report", tmp_path / "far")
    assert "Wrong measurements in far.csv" in Page(tmp_path / "far.html").text
    made("detect", tmp_path / "far.csv", "--out", tmp_path / "odd", "--drop", "far")
    made("report", tmp_path / "odd")
    page = Page(tmp_path / "odd.html")
    assert "Anomalies in far.csv" in page.text
    assert "What the data add to the prior" in page.text
    assert "nbam review" in page.text
    frame.rename(columns={"far": "score"})[["score"]].to_csv(tmp_path / "s.csv", index=False)
    made("detect", "--scores", tmp_path / "s.csv", "--out", tmp_path / "scored")
    made("report", tmp_path / "scored")
    page = Page(tmp_path / "scored.html")
    assert "P(anomaly)" in page.text
    assert "What the data add to the prior" in page.text
    shutil.rmtree(tmp_path / "scored" / "report")  # as an earlier version wrote it
    write_manifest(tmp_path / "scored")
    made("report", tmp_path / "scored", "--overwrite")
    page = Page(tmp_path / "scored.html")
    assert "What the data add to the prior" not in page.text
    assert "did not keep them" in page.text


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_rows_without_a_target_and_verified_rows_are_not_listed(quick, task, tmp_path):
    frame, _ = bugs(120)
    frame["species"] = pd.Series(np.arange(120) % 3).astype("Int64")
    frame.loc[:9, "species"] = pd.NA
    frame["right"] = pd.Series([pd.NA] * 20 + [0] * 5 + [pd.NA] * 95)
    frame["cell"] = [f"cell {row}." for row in range(120)]
    frame.to_csv(tmp_path / "d.csv", index=False)
    arguments = ["--label", "species", "--contaminated", "right", "--drop", "cell", "--task", task]
    made("fit", tmp_path / "d.csv", *arguments, "--out", tmp_path / "run")
    assert "Note" not in made("report", tmp_path / "run").stdout
    page = Page(tmp_path / "run.html")
    assert "105 of 105 rows that nobody has verified" in page.text
    assert "cell 5." not in page.text
    assert "cell 22." not in page.text
    assert "cell 30." in page.text


def test_images_are_shown(quick, tmp_path):
    from PIL import Image

    rng = np.random.default_rng(0)
    for number in range(40):
        label = ("dark", "light")[number % 2]
        folder = tmp_path / "photos" / label
        folder.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 100, (16, 16)) + 150 * (number % 2)
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{number}.png")
    made("fit", tmp_path / "photos", "--out", tmp_path / "run")
    made("report", tmp_path / "run")
    pictures = Page(tmp_path / "run.html").all("img")
    assert len(pictures) == 40
    assert pictures[0]["alt"].startswith("Image of row ")


def test_mistakes(fitted_bugs, tmp_path):
    folder, *_ = fitted_bugs
    run = folder / "run"
    assert "is in the run folder" in refused("report", run, "--out", run / "r.html")
    assert "no column 'nothing'" in refused(
        "report", run, "--out", tmp_path / "r.html", "--by", "nothing"
    )
    assert "nbam: " in refused("report", tmp_path, "--out", tmp_path / "r.html")
    assert not (tmp_path / "r.html").exists()
