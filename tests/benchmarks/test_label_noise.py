"""The label-noise benchmark from its commands: a tiny run, resumption, the report, bad usage."""

import json

import numpy as np
import pytest
import torch

from benchmarks.documents import markers
from benchmarks.label_noise import __main__ as command
from benchmarks.label_noise import grid, pruning, report
from benchmarks.label_noise.runner import KEY, Case
from benchmarks.rows import RowFile

ESTIMATES = {"rate_estimate", "directions_found", "directions_false", "transition_error"}
ACCURACIES = {"accuracy_last", "accuracy_selected", "accuracy_resolvable"}
FLAGS = {"auroc", "auroc_resolvable", "auroc_within_label", "average_precision", "ece"}
SHARES = FLAGS | {"brier", "brier_resolvable", "rate_overall", "rate_true", "rate_per_class"}
SHARES |= {"flagged", "recall"}
CASE = {"dataset", "kind", "method", "seed", "device", "versions", "train_size", "epochs"}
FIELDS = CASE | SHARES | ACCURACIES | ESTIMATES | {"directions_total", "verdict", "seconds"}
FIELDS |= {"false_discoveries"}  # of nothing where nothing is flagged
ESTIMATING = {"forward", "noise_layer"}
QUICK = ["cross_entropy", "nce_rce", "forward", "noise_layer", "elr", "label_only"]


def arguments(path, **changes):
    given = {"dataset": "digits", "kind": "asymmetric", "rate": "0.4", "epochs": "2"} | changes
    flags = [part for name, value in given.items() for part in (f"--{name}", value)]
    return [*flags, "--json", str(path)]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    torch.set_num_threads(1)
    for rate in ("0.0", "0.6"):
        given = arguments(folder / f"{rate}.json", rate=rate, methods=",".join(QUICK))
        command.main([*given, "--train-size", "200", "--seeds", "2", "--device", "cpu"])
    return folder


def test_a_run_has_every_field(results):
    rows = json.loads((results / "0.6.json").read_text())
    assert {(row["method"], row["seed"]) for row in rows} == {(m, s) for m in QUICK for s in (0, 1)}
    for row in rows:
        assert set(row) == FIELDS
        assert not any(isinstance(value, dict | list) for value in row.values())
        assert row["rate_overall"] == row["rate_true"] == pytest.approx(0.3, abs=0.02)
        assert row["directions_total"] == 5
        assert all(0 <= row[name] <= 1 for name in SHARES)
        predicts, estimates = row["method"] != "label_only", row["method"] in ESTIMATING
        assert all((row[name] is not None) == predicts for name in ACCURACIES)
        assert all((row[name] is not None) == estimates for name in ESTIMATES)


def test_a_run_goes_on_where_it_was(results, tmp_path, capsys):
    path = tmp_path / "rows.json"
    rows = json.loads((results / "0.6.json").read_text())
    path.write_text(json.dumps([row for row in rows if row["seed"] == 0]))
    given = [*arguments(path, rate="0.6", methods="label_only,elr"), "--train-size", "200"]
    command.main([*given, "--seeds", "2", "--device", "cpu"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[3:5] for line in lines] == [["label_only", "1"], ["elr", "1"]]
    command.main([*given, "--first-seed", "1", "--device", "cpu"])
    assert capsys.readouterr().out == ""
    before = len(RowFile(path, KEY).read())
    command.main([*given, "--first-seed", "1", "--device", "cpu", "--overwrite"])
    assert len(capsys.readouterr().out.splitlines()) == 2
    after = RowFile(path, KEY).read()
    assert len(after) == before
    # The same seed gives the same figures.
    expected = {row["seed"]: row for row in rows if row["method"] == "elr"}
    again = next(row for row in after if row["method"] == "elr" and row["seed"] == 1)
    assert again | {"seconds": 0} == expected[1] | {"seconds": 0}


def test_report(results, tmp_path):
    document, picture = tmp_path / "docs" / "benchmarks.md", tmp_path / "docs" / "figure.png"
    document.parent.mkdir()
    document.write_text("before\n{}\nold\n{}\nafter\n".format(*markers(report.NAME)))
    given = ["--results", results, "--document", document, "--figure", picture]
    report.main([str(part) for part in given])
    text = document.read_text()
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    assert "old" not in text
    assert "(figure.png)" in text
    assert picture.stat().st_size > 1000
    assert text.count("### digits, asymmetric") == 2
    lines = [line for line in text.splitlines() if line.startswith("| `")]
    assert len(lines) == 2 * len(QUICK)
    assert len({line.count("|") for line in lines}) == 1
    rows = RowFile(results / "0.6.json", KEY).read()
    mean = np.mean([row["auroc"] for row in rows if row["method"] == "elr"])
    assert f"{mean:.3f}".removeprefix("0") in next(
        line for line in lines[len(QUICK) :] if "elr" in line
    )
    report.main([str(part) for part in given])
    assert document.read_text() == text


def test_report_needs_rows_and_markers(results, tmp_path, capsys):
    document = tmp_path / "document.md"
    document.write_text("no markers")
    rest = ["--document", str(document), "--figure", str(tmp_path / "figure.png")]
    for folder, word in ((tmp_path, "no rows"), (results, "has no lines")):
        with pytest.raises(SystemExit) as exit_:
            report.main(["--results", str(folder), *rest])
        assert exit_.value.code == 2
        assert word in capsys.readouterr().err
    assert document.read_text() == "no markers"


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"dataset": "mnist"}, "digits"),
        ({"kind": "odd"}, "symmetric"),
        ({"rate": "1.5"}, "[0, 1]"),
        ({"rate": "much"}, "much"),
        ({"methods": "nbam,magic"}, "magic"),
        ({"seeds": "0"}, "positive"),
        ({"epochs": "-1"}, "positive"),
        ({"device": "abacus"}, "abacus"),
        ({"train-size": "9999"}, "1257"),
        ({"dataset": "cifar10"}, "--data-root"),
        ({"dataset": "fashion_mnist", "data-root": "nowhere"}, "nowhere"),
    ],
)
def test_wrong_arguments_say_so_in_one_line(changes, word, tmp_path, capsys):
    path = tmp_path / "rows.json"
    with pytest.raises(SystemExit) as exit_:
        command.main(arguments(path, **({"methods": "label_only"} | changes)))
    assert exit_.value.code == 2
    message = capsys.readouterr().err
    assert word in message
    assert len(message.splitlines()) == 1
    assert not path.exists()


def test_a_file_of_something_else_is_left_alone(tmp_path, capsys):
    path = tmp_path / "rows.json"
    path.write_text('{"rows": []}')
    with pytest.raises(SystemExit) as exit_:
        command.main(arguments(path, methods="label_only"))
    assert exit_.value.code == 2
    assert "another file" in capsys.readouterr().err
    assert path.read_text() == '{"rows": []}'


def test_the_grid_is_made_of_cases(tmp_path, capsys):
    chosen = list(grid.cases(["digits"], ["pair"]))
    assert chosen == [(Case(dataset="digits", kind="pair", rate=rate), 6) for rate in (0.2, 0.4)]
    given = ["--datasets", "digits", "--kinds", "pair", "--methods", "label_only"]
    grid.main([*given, "--results", str(tmp_path), "--seeds", "2", "--device", "cpu"])
    assert {path.name for path in tmp_path.iterdir()} == {
        "digits-pair-0.2.json",
        "digits-pair-0.4.json",
    }
    assert len(capsys.readouterr().out.splitlines()) == 4


def test_missing_cleanlab_is_told_before_anything_is_measured(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(pruning, "find_spec", lambda name: None)
    with pytest.raises(SystemExit) as exit_:
        command.main(arguments(tmp_path / "rows.json", methods="label_only,cleanlab"))
    assert exit_.value.code == 2
    assert "pip install" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
