"""What a report says and shows, whatever it is about."""

import re

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from nbam_pyro import LabelFlip, NBAMClassifier, NBAMRegressor, fit, from_pred_probs, report
from nbam_pyro.detection import MixedDetector
from nbam_pyro.errors import DataError, FolderError
from nbam_pyro.inference import Joint, RobustStart
from nbam_pyro.outputs import from_scores, from_series
from tests.pages.helpers import HOSTILE, Page, anomalies, labels, measurements

pytestmark = [
    pytest.mark.filterwarnings("ignore::nbam_pyro.errors.CannotTellWarning"),
    pytest.mark.filterwarnings("ignore::nbam_pyro.errors.CollapseWarning"),
]


def written(path, source, **options):
    report(source, path / "report.html", **options)
    return Page(path / "report.html")


def test_labels_tell_how_much_which_and_how_sure(tmp_path):
    found, table, wrong = labels()
    page = written(
        tmp_path, found, rows=table, by=table["place"], known=wrong, data="bugs.csv", names=None
    )
    assert "Wrong labels in bugs.csv" in page.text
    assert "Verdict:" in page.text
    assert re.search(r"of the labels are probably wrong: \d+ of 300 \(90% interval", page.text)
    assert re.search(r"ant is labelled bee in \d+% of cases \(\d+% to \d+%\)", page.text)
    assert "given the true label, with 90% intervals" in page.text
    assert "Wrong labels by class" in page.text
    assert "What the data add to the prior" in page.text
    assert re.search(r"rate of contamination: ant [\d.]+% to .* \(before the data", page.text)
    assert "Rows by observed label" in page.text
    assert "Rows by place" in page.text
    assert "Are the probabilities right?" in page.text
    assert len(page.all("mark")) > 10
    assert len(page.all("tr")) > 300


def test_marked_cells_speak_against_the_label(tmp_path):
    found, table, _ = labels()
    table["noise"] = np.random.default_rng(1).normal(size=len(table))
    report(found, tmp_path / "report.html", rows=table)
    first = (tmp_path / "report.html").read_text().split("<tbody>")[-1].split("</tr>")[0]
    assert first.count("<mark>") == 2  # length and width, not noise


def test_tables_may_be_untidy(tmp_path):
    found, table, _ = labels()
    table["count"] = pd.Series([None, 1, 2] * 100, dtype="Int64")
    table["endless"] = [np.inf, 1.0, np.nan] * 100
    table["empty"] = np.nan
    table["when"] = pd.Timestamp("2026-01-01")
    table["list"] = [[1]] * 300
    table.columns = [*table.columns[:-1], "length"]  # a name twice
    page = written(tmp_path, found, rows=table)
    assert page.text.count("2026-01-01") == 300
    import polars as pl

    written(tmp_path, found, rows=pl.DataFrame({"a": range(300)}), overwrite=True)


def test_measurements_and_anomalies(tmp_path):
    found, table = measurements()
    page = written(tmp_path, found, rows=table)
    assert "Of 10 flagged measurements, 10 lie above and 0 below the prediction" in page.text
    assert len(page.all("mark")) == 20
    share = r"contaminated share: all rows [\d.]+% to [\d.]+% \(before the data 0.0% to"
    assert re.search(share, page.text)
    found, table = anomalies()
    page = written(tmp_path, found, rows=table, overwrite=True)
    assert "Anomalies in data" in page.text
    assert re.search(share, page.text)
    assert "These draws contain only anomalies that the scores show" not in page.text
    assert "P(anomaly)" in page.text


def test_the_page_says_what_its_prior_and_posterior_are(tmp_path):
    found = from_scores(np.random.default_rng(0).normal(size=200))
    assert found.verdict.level == "cannot tell"
    page = written(tmp_path, found)
    assert "What the data add to the prior" in page.text
    assert "These draws contain only anomalies that the scores show" in page.text
    y, p = np.arange(90) % 45, np.full((90, 45), 0.05 / 44)
    p[np.arange(90), y] = 0.95
    page = written(tmp_path, from_pred_probs(y, p), overwrite=True)
    assert "What the data add to the prior" not in page.text
    assert "for up to 40 classes, and here are more" in page.text


def test_estimators_fits_and_detectors(tmp_path):
    rng = np.random.default_rng(0)
    true = np.arange(90) % 3
    x = (4 * np.eye(3)[true] + rng.normal(size=(90, 3))).astype(np.float32)
    y = np.array(["ant", "bee", "cat"])[true]
    steps = [Joint(epochs=2)]
    model = NBAMClassifier(network=nn.Linear, steps=steps, random_state=0).fit(x, y)
    page = written(tmp_path, model, rows=x)
    assert "How labels flip" in page.text
    assert "What the data add to the prior" in page.text
    fitted = fit(LabelFlip(nn.Linear(3, 3), 3), (torch.as_tensor(x), torch.as_tensor(true)),
                 steps=steps)  # fmt: skip
    with pytest.raises(DataError, match="Give y"):
        report(fitted, tmp_path / "fit.html")
    report(fitted, tmp_path / "fit.html", y=true, names=["ant", "bee", "cat"])
    assert "ant" in Page(tmp_path / "fit.html").text
    line = NBAMRegressor(network=nn.Linear, steps=[RobustStart(epochs=2), Joint(epochs=1)],
                         random_state=0).fit(x, x[:, 0])  # fmt: skip
    page = written(tmp_path, line, prediction=line.predict(x), overwrite=True)
    assert "predicted" in page.text
    detector = MixedDetector(random_state=0).fit(x)
    page = written(tmp_path, detector, rows=x, overwrite=True)
    assert "Anomalies in data" in page.text
    assert "What the data add to the prior" in page.text


def test_images_are_in_the_page_with_words(tmp_path):
    found, _, _ = labels()
    for shape in ((300, 8, 8), (300, 1, 8, 8), (300, 3, 40, 40)):
        images = np.random.default_rng(0).random(shape)
        page = written(tmp_path, found, rows=images, overwrite=True)
        pictures = page.all("img")
        assert len(pictures) == 300
        assert all(one["src"].startswith("data:image/") for one in pictures)
        assert all(re.fullmatch(r"Image of row \d+, labelled .*, suggested .*", one["alt"])
                   for one in pictures)  # fmt: skip


def test_every_picture_has_a_text_and_no_identifier_is_used_twice(tmp_path):
    found, table, wrong = labels()
    page = written(tmp_path, found, rows=table, known=wrong)
    pictures = [one for one in page.all("div") if one.get("role") == "img"]
    assert len(pictures) == 6
    ids = [one["id"] for _, one in page.elements if "id" in one]
    assert len(set(ids)) == len(ids)
    for one in pictures:
        assert {one["aria-labelledby"], one["aria-describedby"]} <= set(ids)
    assert all(one["aria-hidden"] == "true" for one in page.all("svg"))


def test_texts_of_the_data_stay_texts(tmp_path):
    found, table, _ = labels(HOSTILE, n=600)
    table = pd.concat([table, pd.Series(HOSTILE * 100, name="<u>cells")], axis=1)
    table[HOSTILE[0]] = 1.0
    page = written(tmp_path, found, rows=table, data=HOSTILE[0], by=table["<u>cells"])
    assert len(page.all("script")) == 1
    assert len(page.all("style")) == 1 + len(page.all("svg"))
    assert not page.all("img")
    assert not page.all("u")
    assert not page.all("b")
    html = (tmp_path / "report.html").read_text()
    assert "\x1b" not in html
    assert "\\x1b[31mred" in html
    assert "x" * 200 not in html
    assert "{{ 7 * 7 }}" in page.text


def test_nothing_is_loaded(tmp_path):
    found, table, _ = labels()
    page = written(tmp_path, found, rows=table)
    for _, attributes in page.elements:
        for name in ("src", "href", "xlink:href", "action"):
            assert attributes.get(name, "#").startswith(("#", "data:"))
    policy = next(one for one in page.all("meta") if "http-equiv" in one)["content"]
    assert "default-src 'none'" in policy


def test_without_rows_there_are_no_contents_of_rows(tmp_path):
    found, table, _ = labels()
    table["secret"] = [f"secret {row}" for row in range(len(table))]
    page = written(tmp_path, found, rows=table, show_rows=False)
    html = (tmp_path / "report.html").read_text()
    assert "secret" not in html
    assert 'id="suspicious"' not in html
    assert "left out of this report on purpose" in page.text


def test_fifty_thousand_rows_are_less_than_five_megabytes(tmp_path):
    n = 50_000
    rng = np.random.default_rng(0)
    truth = rng.integers(4, size=n)
    y = np.where(rng.random(n) < 0.2, (truth + 1) % 4, truth)
    p = np.full((n, 4), 0.02)
    p[np.arange(n), truth] = 0.94
    from nbam_pyro import from_pred_probs

    found = from_pred_probs(y, p)
    wide = pd.DataFrame(rng.normal(size=(n, 30))).add_prefix("c").assign(text="é" * 3000)
    report(found, tmp_path / "table.html", rows=wide)
    noise = rng.integers(0, 256, (n, 3, 64, 64), dtype=np.uint8)
    report(found, tmp_path / "images.html", rows=noise)
    for name in ("table", "images"):
        assert (tmp_path / f"{name}.html").stat().st_size < 5_000_000
        assert Page(tmp_path / f"{name}.html").text.count("500 of 50,000 rows") == 1


def test_a_page_that_would_be_too_large_lists_fewer_rows(tmp_path):
    found, _, _ = labels(n=600)
    cells = pd.DataFrame({f"c{i}": [chr(0x1D54F) * 4000] * 600 for i in range(40)})
    page = written(tmp_path, found, rows=cells)
    assert (tmp_path / "report.html").stat().st_size < 5_000_000
    assert "250 of 600 rows" in page.text
    assert "16 columns of the data are not shown" in page.text


def test_mistakes_are_named(tmp_path):
    found, table, _ = labels()
    path = tmp_path / "report.html"
    for options, words in [
        ({"rows": table[:5]}, "rows have 5 rows, but the report is about 300"),
        ({"rows": np.zeros((300, 2, 8, 8))}, "shape"),
        ({"rows": 5}, "rows are a int"),
        ({"by": np.zeros(3)}, "by has shape"),
        ({"names": ["a", "a", "b"]}, "names has 2 different names for 3 classes"),
    ]:
        with pytest.raises(DataError, match=re.escape(words)):
            report(found, path, **options)
    with pytest.raises(DataError, match="has nothing to report"):
        report({"a": 1}, path)
    with pytest.raises(DataError, match="has nothing to report"):
        report(NBAMClassifier(), path)
    assert not path.exists()
    path.write_text("mine")
    with pytest.raises(FolderError, match="exists already"):
        report(found, path)


def test_the_page_of_a_series_names_its_rows(tmp_path):
    rng = np.random.default_rng(0)
    found = from_series(*rng.normal(size=(2, 60)))
    report(found, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert "P(contaminated)" in page
    assert "of the rows are probably contaminated" in page
