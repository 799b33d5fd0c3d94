"""The label-noise benchmark from its command: a tiny run, resumption, the report, bad usage."""

import numpy as np
import pytest
import torch

from benchmarks.benchmark import Case, Row
from benchmarks.label_noise import pruning
from benchmarks.label_noise.label_noise import GRID, LabelNoise, Part
from benchmarks.options import Names, Shares
from benchmarks.report import markers
from benchmarks.rows import long, read, wide, write

from .running import exit_code

ESTIMATES = {"rate_estimate", "directions_found", "directions_false", "transition_error"}
ACCURACIES = {"accuracy_last", "accuracy_selected", "accuracy_resolvable"}
FLAGS = {"auroc", "auroc_resolvable", "auroc_within_label", "average_precision", "ece"}
FLAGS |= {"average_precision_resolvable", "ece_resolvable"}
SHARES = FLAGS | {"brier", "brier_resolvable", "rate_overall", "rate_true", "flagged", "recall"}
CASE = {"data", "kind", "method", "seed", "device", "rate_per_class", "train_size", "epochs"}
FIELDS = CASE | SHARES | ACCURACIES | ESTIMATES | {"directions_total", "verdict", "seconds"}
FIELDS |= {"log_score", "interval_width", "interval_covers"}
FIELDS |= {f"{name}_in_bin[{k}]" for name in ("labels", "wrong") for k in range(10)}
FIELDS |= {"false_discoveries", "false_discoveries_strict"}  # of nothing where nothing is flagged
ESTIMATING = {"forward", "noise_layer"}
QUICK = ["cross_entropy", "nce_rce", "forward", "noise_layer", "elr", "label_only"]


def label_noise(path, *more, **changes):
    given = {"data": "digits", "kinds": "asymmetric", "rates": "0.4", "epochs": "2", "seeds": "1"}
    flags = [part for name, value in (given | changes).items() for part in (f"--{name}", value)]
    return exit_code("run", "label-noise", *flags, "--out", path, *more)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    path = tmp_path_factory.mktemp("results") / "rows.parquet"
    torch.set_num_threads(1)
    size = {"train-size": "200", "seeds": "2", "device": "cpu"}
    assert label_noise(path, rates="0.0,0.6", methods=",".join(QUICK), **size) == 0
    return path


def test_a_run_has_every_figure(results):
    rows = wide(read(results))
    assert set(rows) == FIELDS
    rows = rows[rows["rate_per_class"] == 0.6]
    assert {*zip(rows["method"], rows["seed"], strict=True)} == {
        (m, s) for m in QUICK for s in (0, 1)
    }
    np.testing.assert_array_equal(rows["rate_overall"], rows["rate_true"])
    np.testing.assert_allclose(rows["rate_true"], 0.3, atol=0.02)
    assert (rows["directions_total"] == 5).all()
    assert rows[list(SHARES)].apply(lambda values: values.between(0, 1)).all(axis=None)
    predicts, estimates = rows["method"] != "label_only", rows["method"].isin(ESTIMATING)
    assert all((rows[name].notna() == predicts).all() for name in ACCURACIES)
    assert all((rows[name].notna() == estimates).all() for name in ESTIMATES)


def test_a_run_goes_on_where_it_was(results, tmp_path, capsys):
    path = tmp_path / "rows.parquet"
    lines = read(results)
    lines = lines[lines["rate_per_class"] == 0.6]
    write(path, lines[lines["seed"] == 0])
    given = {"rates": "0.6", "methods": "label_only,elr", "train-size": "200", "device": "cpu"}

    def measured():
        out = capsys.readouterr().out
        return [line for line in out.splitlines() if line.startswith("digits, ")]

    assert label_noise(path, **given, seeds="2") == 0
    assert [line.split(",")[1] for line in measured()] == [" label_only", " elr"]
    later = given | {"first-seed": "1"}
    assert label_noise(path, **later) == 0
    assert measured() == []
    before = len(read(path))
    assert label_noise(path, "--again", **later) == 0
    assert len(measured()) == 2
    again = read(path)
    assert len(again) == before
    # The same seed gives the same figures.
    chosen = [
        one.query("method == 'elr' and seed == 1 and metric != 'seconds'").set_index("metric")
        for one in (lines, again)
    ]
    assert chosen[0]["value"].equals(chosen[1]["value"])


def test_report(results, tmp_path):
    document, picture = tmp_path / "benchmarks.md", tmp_path / "figure.png"
    document.write_text("before\n{}\nold\n{}\nafter\n".format(*markers("label-noise")))
    given = ["--results", results, "--document", document, "--figure", picture]
    assert exit_code("report", "label-noise", *given) == 0
    text = document.read_text()
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    assert "old" not in text
    assert picture.stat().st_size > 1000
    assert text.count("### digits, asymmetric") == 2
    lines = [line for line in text.splitlines() if line.startswith("| `")]
    assert len(lines) == 2 * len(QUICK)
    assert len({line.count("|") for line in lines}) == 1
    rows = wide(read(results)).query("rate_per_class == 0.6 and method == 'elr'")
    assert f"{rows['auroc'].mean():.3f}".removeprefix("0") in next(
        line for line in lines[len(QUICK) :] if "elr" in line
    )
    assert exit_code("report", "label-noise", *given) == 0
    assert document.read_text() == text


def test_a_report_needs_rows_and_markers(results, tmp_path, capsys):
    document = tmp_path / "document.md"
    document.write_text("no markers")
    rest = ["--document", document, "--figure", tmp_path / "figure.png"]
    for file, word in ((tmp_path / "no.parquet", "cannot be read"), (results, "lacks the lines")):
        assert exit_code("report", "label-noise", "--results", file, *rest) == 2
        assert word in capsys.readouterr().err
    assert document.read_text() == "no markers"


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"data": "mnist"}, "digits"),
        ({"kinds": "odd"}, "symmetric"),
        ({"rates": "1.5"}, "[0, 1]"),
        ({"rates": "much"}, "much"),
        ({"methods": "nbam,magic"}, "magic"),
        ({"seeds": "0"}, "seeds"),
        ({"epochs": "-1"}, "epochs"),
        ({"device": "abacus"}, "abacus"),
        ({"train-size": "9999"}, "1257"),
        ({"data": "cifar10"}, "--data-root"),
        ({"data": "fashion_mnist", "data-root": "nowhere"}, "nowhere"),
    ],
)
def test_wrong_arguments_are_named(changes, word, tmp_path, capsys):
    path = tmp_path / "rows.parquet"
    assert label_noise(path, **({"methods": "label_only"} | changes)) == 2
    assert word in capsys.readouterr().err
    assert not path.exists()


def test_a_file_of_something_else_is_left_alone(tmp_path, capsys):
    path = tmp_path / "rows.parquet"
    path.write_text('{"rows": []}')
    assert label_noise(path, methods="label_only") == 2
    assert "cannot be read as a file of rows" in capsys.readouterr().err
    assert path.read_text() == '{"rows": []}'
    write(
        path,
        long("regression", [Row(case=Case(data="a", method="b"), figures={"c": 1})], command=None),
    )
    assert label_noise(path, methods="label_only") == 2
    assert "contains rows of regression" in capsys.readouterr().err


def test_the_grid_is_chosen_from():
    chosen = list(LabelNoise(data=Names(["digits"]), kinds=Names(["pair"])).parts())
    assert chosen == [Part("digits", "pair", (0.2, 0.4), 6)]
    assert len(list(LabelNoise().parts())) == len(GRID)
    given = LabelNoise(data=Names(["cifar10"]), rates=Shares([0.3]), seeds=2)
    assert [(part.rates, part.seeds) for part in given.parts()] == [((0.3,), 2)]
    odd = LabelNoise(data=Names(["cifar10"]), kinds=Names(["pair"]), rates=Shares([0.3]))
    assert list(odd.parts()) == [Part("cifar10", "pair", (0.3,), 1)]


def test_missing_cleanlab_is_told_before_anything_is_measured(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(pruning, "find_spec", lambda name: None)
    assert label_noise(tmp_path / "rows.parquet", methods="label_only,cleanlab") == 2
    assert "pip install" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
