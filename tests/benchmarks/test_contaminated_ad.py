"""The benchmark of detectors from its command: a tiny run, resumption, the report, bad usage."""

import numpy as np
import pandas as pd
import pytest

from benchmarks.benchmark import Case, Row
from benchmarks.detection import rates
from benchmarks.detection.contaminated_ad import figures
from benchmarks.detection.methods import Found
from benchmarks.detection.protocol import Split, image_split, split, tables
from benchmarks.report import markers
from benchmarks.rows import long, read, wide, write
from nbam_pyro.errors import DataError

from .running import exit_code

FIELDS = {"data", "method", "seed", "alpha0", "alpha", "scale", "epochs", "auc", "f1"}
FIELDS |= {"average_precision", "rate_estimate", "seconds", "device"}


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    folder = tmp_path / "sets"
    folder.mkdir()
    for name in ("one", "two"):
        x = rng.normal(size=(80, 2)) @ rng.normal(size=(2, 4))
        y = np.arange(80) < 12
        x[y] += rng.normal(size=(12, 4))
        np.savez(folder / f"{name}.npz", X=x, y=y.astype(int))
    return folder


def run(folder, out, *more, methods="ntl-soft,ae-auto,deepsad"):
    given = ["--data-root", folder, "--methods", methods, "--epochs", 2, "--seeds", 2]
    return exit_code("run", "contaminated-ad", *given, "--out", out, *more)


def test_contaminants_are_of_the_right_share_and_unlike_their_sources(folder):
    name, x, anomaly = next(iter(tables(folder)))
    found = split(x, anomaly, alpha=0.2, seed=0)
    assert name == "one"
    assert found.contaminant.mean() == pytest.approx(0.2, abs=0.02)
    assert len(found.test) == 34 + 12
    assert found.anomaly.sum() == 12
    train = {tuple(row) for row in found.train}
    assert not train & {tuple(row) for row in found.test}
    clean = split(x, anomaly, alpha=0.0, seed=0)
    assert not clean.contaminant.any()


def test_f1_is_at_the_true_count():
    one = Split(
        train=np.zeros((1, 1)),
        contaminant=np.zeros(1, bool),
        test=np.zeros((4, 1)),
        anomaly=np.array([True, True, False, False]),
    )
    found = figures(one, Found(scores=np.array([3.0, 1.0, 2.0, 0.0])))
    assert (found["f1"], found["auc"]) == (0.5, 0.75)


def test_rows_are_flat_and_measured_once(folder, tmp_path, capsys):
    out = tmp_path / "results" / "rows.parquet"
    assert run(folder, out, "--alpha", "0.2") == 0
    rows = wide(read(out))
    assert len(rows) == 2 * 3 * 2
    assert set(rows) == FIELDS
    shares = rows[["auc", "average_precision", "f1"]]
    assert shares.apply(lambda values: values.between(0, 1)).all(axis=None)
    assert {*map(tuple, rows[["alpha0", "alpha", "epochs"]].to_numpy())} == {(0.1, 0.2, 2)}
    assert (rows["rate_estimate"].notna() == (rows["method"] == "ae-auto")).all()
    assert "one, ntl-soft" in capsys.readouterr().out
    assert run(folder, out, "--alpha", "0.2") == 0
    assert "one, ntl-soft" not in capsys.readouterr().out
    document = tmp_path / "document.md"
    document.write_text("before\n{}\n{}\nafter\n".format(*markers("contaminated-ad")))
    assert exit_code("report", "contaminated-ad", "--results", out, "--document", document) == 0
    text = document.read_text()
    assert "| one |" in text
    assert "assumed 0.2" in text
    assert text.startswith("before")


def test_what_a_wrong_rate_costs(tmp_path):
    """Told the truth 90, off by a tenth either way 80 and 70, blind 80, auto 85."""
    auc = {("ntl-blind", 0.1): 0.8, ("ntl-soft", 0.1): 0.9, ("ntl-soft", 0.2): 0.7}
    auc |= {("ntl-auto", 0.1): 0.85}
    rows = [
        Row(case=Case(data="one", method=method, seed=seed, settings=settings), figures=figures)
        for (method, alpha), value in auc.items()
        for seed in range(2)
        for settings in [{"alpha0": 0.1, "alpha": alpha, "scale": "range", "epochs": 2}]
        for figures in [{"auc": value + 0.01 * seed}]
    ]
    write(tmp_path / "rows.parquet", long("contaminated-ad", rows, command=None))
    document, picture = tmp_path / "document.md", tmp_path / "figure.png"
    document.write_text("{}\n{}\n".format(*markers("told-rates")))
    given = ["--results", tmp_path / "rows.parquet", "--document", document, "--figure", picture]
    assert exit_code("report", "told-rates", *given) == 0
    line = "| 0.1 | 85.5 | 90.5 | -5.00 ± 0.00 | +15.00 ± 0.00 | +5.00 ± 0.00 |"
    assert line in document.read_text()
    assert picture.stat().st_size > 1000


def test_rates_of_several_kinds_are_not_compared():
    row = {"data": "one", "method": "ntl-soft", "alpha0": 0.1, "alpha": 0.1, "seed": 0}
    rows = pd.DataFrame([row | {"auc": 1.0, "scale": "range", "epochs": n} for n in (1, 2)])
    with pytest.raises(DataError, match="one scale"):
        rates.by_told(rows)


def test_tables_that_cannot_be_read(tmp_path):
    path = tmp_path / "one.npz"
    for words, arrays in (
        ("no arrays X and y", {"X": np.zeros((3, 2))}),
        ("needs an anomaly", {"X": np.zeros((3, 2)), "y": np.zeros(3)}),
    ):
        np.savez(path, **arrays)
        with pytest.raises(DataError, match=words):
            next(tables(tmp_path))
    path.write_bytes(b"PK broken")
    with pytest.raises(DataError, match="cannot be read"):
        next(tables(tmp_path))
    with pytest.raises(DataError, match="nowhere"):
        image_split(tmp_path / "nowhere", 0, alpha=0.1, seed=0)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--tables", "three"], "no tables named three"),
        (["--alpha0", "1"], "below 1"),
        (["--images"], "cannot be used with these data"),
        (["--scale", "inches"], "range, none"),
        (["--methods", "mhrot-soft"], "cannot be used with these data"),
        (["--methods", "magic"], "magic"),
        (["--classes", "ten"], "ten"),
    ],
)
def test_mistakes_are_named(folder, tmp_path, capsys, more, words):
    assert run(folder, tmp_path / "rows.parquet", *more) == 2
    assert words in capsys.readouterr().err
