"""`--jobs` and `--deterministic`: they change how a command runs, and not what it finds."""

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from nbam_pyro.cli import app

# A fit of a few epochs has no reason to be sound.
pytestmark = [
    pytest.mark.filterwarnings("ignore::nbam_pyro.errors.CannotTellWarning"),
    pytest.mark.filterwarnings("ignore::nbam_pyro.errors.NuisanceWarning"),
]


def nbam(*arguments, code=0):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output
    return result.output


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    rng = np.random.default_rng(0)
    true = rng.integers(3, size=480)
    table = pd.DataFrame(4 * np.eye(3)[true] + rng.normal(size=(480, 3)), columns=list("abc"))
    table["kind"] = np.array(["x", "y", "z"])[true]
    table["colour"] = np.where(rng.random(480) < 0.5, "red", "green")
    path = tmp_path_factory.mktemp("jobs") / "data.csv"
    table.to_csv(path, index=False)
    return path


def test_fits_and_comparisons_are_the_same(data, tmp_path):
    options = ("--label", "kind", "--epochs", 3, "--drop", "colour")
    for name, more in (("one", ()), ("two", ("--jobs", 2, "--deterministic"))):
        nbam("fit", data, *options, *more, "--out", tmp_path / name)
    nbam("fit", data, *options, "--contamination", 0.02, "--out", tmp_path / "low")
    one, two = ((tmp_path / name / "flags.csv").read_bytes() for name in ("one", "two"))
    assert one == two
    tables = []
    for jobs in (1, 2):
        out = tmp_path / f"{jobs}.csv"
        runs = (tmp_path / "one", tmp_path / "low")
        nbam("compare", *runs, "--folds", 2, "--jobs", jobs, "--out", out)
        tables.append(out.read_bytes())
    assert tables[0] == tables[1]


def test_detectors_of_several_fits_are_the_same(data, tmp_path):
    options = ("--nuisance", "colour", "--class", "kind", "--epochs", 2)
    for jobs in (1, 2):
        nbam("detect", data, *options, "--jobs", jobs, "--out", tmp_path / str(jobs))
    one, two = ((tmp_path / name / "flags.csv").read_bytes() for name in "12")
    assert one == two


def test_where_processes_have_no_effect_they_are_refused(data, tmp_path):
    out = ("--out", tmp_path / "run")
    assert "--jobs is for --nuisance" in nbam("detect", data, "--jobs", 2, *out, code=2)
    assert "0 processes" in nbam("fit", data, "--label", "kind", "--jobs", 0, *out, code=2)
    given = ("fit", data, "--label", "kind", "--pred-probs", data, *out)
    for option in (("--jobs", 2), ("--deterministic",)):
        assert "nothing is trained" in nbam(*given, *option, code=2)
