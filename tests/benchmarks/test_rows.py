"""The format of rows: what is written is read again, cases are replaced, tables are wide."""

import json

import pandas as pd
import pytest

from benchmarks.benchmark import Case, Row, flat, name_of
from benchmarks.catalogue import BENCHMARKS, REPORTS
from benchmarks.json_rows import records, write_json
from benchmarks.rows import cases_of, joined, long, read, wide, write
from nbam_pyro.errors import DataError

from .running import exit_code


def row(seed=0, value=0.5, **settings):
    case = Case(data="one", method="ours", seed=seed, settings=settings)
    return Row(case=case, figures={"auc": value, "brier": None}, notes={"verdict": "weak"})


def test_what_is_written_is_read_again(tmp_path):
    lines = long("toy", [row(rate=0.1), row(seed=None, rate=0.2, kind="odd")], command="run toy")
    path = tmp_path / "new" / "rows.parquet"
    write(path, lines)
    back = read(path)
    pd.testing.assert_frame_equal(back, lines, check_dtype=False)
    assert [file.name for file in path.parent.iterdir()] == ["rows.parquet"]
    assert list(back) == [
        *("benchmark", "data", "method", "rate", "kind", "seed", "metric", "value", "note"),
        *("device", "versions", "command"),
    ]
    assert back["versions"].str.contains("torch").all()
    first = Case(data="one", method="ours", seed=0, settings={"rate": 0.1, "kind": None})
    second = Case(data="one", method="ours", settings={"kind": "odd", "rate": 0.2})
    assert cases_of(back) == {first, second}


def test_a_case_that_is_measured_again_replaces_the_earlier_one():
    before = long("toy", [row(0, 0.1), row(1, 0.2)], command=None)
    after = long("toy", [row(1, 0.9, epochs=None), row(2, 0.3, epochs=4)], command=None)
    found = wide(joined(before, after))
    assert found["seed"].tolist() == [0, 1, 2]
    assert found["auc"].tolist() == [0.1, 0.9, 0.3]
    assert wide(joined(before, before[:0])).equals(wide(before))


def test_wide_has_a_row_for_each_case():
    found = wide(long("toy", [row(0, 0.1, rate=0.1), row(1, 0.2)], command=None))
    assert list(found) == ["data", "method", "rate", "seed", "device", "auc", "brier", "verdict"]
    assert found["auc"].tolist() == [0.1, 0.2]
    assert found["brier"].isna().all()
    assert found["verdict"].tolist() == ["weak", "weak"]


def test_json_has_a_flat_object_for_each_case(tmp_path):
    lines = long("toy", [row(0, 0.1, eps=16), row(None, 0.2, eps=0)], command=None)
    write_json(tmp_path / "new" / "rows.json", lines)
    found = json.loads((tmp_path / "new" / "rows.json").read_text())
    assert found == records(lines)
    assert [one["method"] for one in found] == ["ours", "ours"]
    assert [(one["seed"], one["eps"], one["auc"]) for one in found] == [
        (0, 16, 0.1),
        (None, 0, 0.2),
    ]
    assert found[0]["brier"] is None
    assert found[0]["verdict"] == "weak"
    assert records(lines[:0]) == []


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "rows.parquet"
    pd.DataFrame({"data": [1]}).to_parquet(path)
    with pytest.raises(DataError, match="has no columns benchmark, method"):
        read(path)


def test_nested_values_are_made_flat():
    assert flat({"a": 1, "b": {"c": [2, {"d": 3}]}, "e": []}) == {"a": 1, "b.c.0": 2, "b.c.1.d": 3}


def test_every_benchmark_is_listed_and_has_help(capsys):
    names = [name_of(benchmark) for benchmark in BENCHMARKS]
    assert len(set(names)) == len(names)
    assert exit_code("list") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == names
    assert all(line.endswith(".") for line in lines)
    for name in names:
        assert exit_code("run", name, "--help") == 0
        assert {"--out", "--json", "--again"} <= set(capsys.readouterr().out.split())


def test_kept_results_can_be_shown(capsys):
    from benchmarks.report import RESULTS

    files = sorted(RESULTS.glob("*.parquet"))
    assert {report.results for report in REPORTS} <= set(files)
    for file in files:
        assert exit_code("show", file) == 0
        assert len(capsys.readouterr().out) > 40
