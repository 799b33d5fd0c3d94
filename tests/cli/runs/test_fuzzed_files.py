"""Files with bytes at random, in run folders and as data: one line or a right answer."""

import shutil
import warnings

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from benchmarks.robustness.mutated_runs import prepare
from benchmarks.robustness.run_changes import sign
from nbam_pyro.cli import app
from nbam_pyro.cli.runs import read_report

SETTINGS = settings(
    deadline=None,
    max_examples=40,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
FILES = ["flags.csv", "summary.json", "run.json", "model.json", "model.safetensors"]
# Bytes with a meaning in CSV or JSON, and others.
BYTES = st.one_of(
    st.sampled_from(
        [b",", b'"', b"\n", b"\r", b"\0", b"\xff", b"\x1b[2J", b"nan", b"-1e999", b"="]
    ),
    st.binary(min_size=1, max_size=4),
)
PLACES = st.floats(0, 1, exclude_max=True)
EDITS = st.lists(
    st.tuples(st.sampled_from(["insert", "replace", "delete", "cut", "swap"]), PLACES, BYTES),
    min_size=1,
    max_size=3,
)


def edited(content, edits):
    for kind, place, new in edits:
        at = int(place * len(content))
        match kind:
            case "insert":
                content = content[:at] + new + content[at:]
            case "replace":
                content = content[:at] + new + content[at + len(new) :]
            case "delete":
                content = content[:at] + content[at + len(new) :]
            case "cut":
                content = content[: at + 1]
            case "swap":
                content = content[at:] + content[:at]
    return content


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved")
    prepare(folder, "labels")
    return folder


def ends(*arguments):
    """Exit code and output of a command that shows no traceback and no control character."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        done = CliRunner().invoke(app, [str(one) for one in arguments])
    assert isinstance(done.exception, SystemExit | None), (arguments, done.exception)
    assert done.exit_code in (0, 2), done.output
    assert "\x1b" not in done.output
    if done.exit_code:
        assert done.stderr.startswith("nbam: ")
        assert done.stderr.count("\n") == 1
    return done.exit_code, done.output


@SETTINGS
@given(st.sampled_from(FILES), EDITS)
def test_a_file_that_was_changed_is_named(saved, tmp_path, file, edits):
    run = tmp_path / "run"
    shutil.rmtree(run, ignore_errors=True)
    shutil.copytree(saved / "labels", run)
    before = (run / file).read_bytes()
    after = edited(before, edits)
    (run / file).write_bytes(after)
    code, output = ends("show", run)
    assert code == (2 if after != before else 0)
    assert code == 0 or file in output


@SETTINGS
@given(EDITS)
def test_flags_of_any_bytes_are_refused_or_shown(saved, tmp_path, edits):
    run = tmp_path / "run"
    shutil.rmtree(run, ignore_errors=True)
    shutil.copytree(saved / "labels", run)
    content = edited((run / "flags.csv").read_bytes(), edits)
    (run / "flags.csv").write_bytes(content)
    sign(run)
    code, output = ends("show", run)
    if code == 0:
        _, table = read_report(run)
        assert f"(of {len(table)})" in output


@settings(SETTINGS, max_examples=12)
@given(EDITS)
def test_data_of_any_bytes_are_refused_or_scored(saved, tmp_path, edits):
    data, out = tmp_path / "data.csv", tmp_path / "scores.csv"
    data.write_bytes(edited((saved / "labels.csv").read_bytes(), edits))
    out.unlink(missing_ok=True)
    code, _ = ends("score", saved / "labels", data, "--out", out)
    assert out.exists() == (code == 0)
    if code == 0:
        r = pd.read_csv(out)["responsibility"].dropna()
        assert r.between(0, 1).all()
