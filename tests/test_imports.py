"""What is imported when: nothing that a command does not need, because imports take seconds."""

import subprocess
import sys

import pytest

from tests.cli.helpers import bugs, nbam

# Packages that are loaded only where their functions are called.
SLOW = ["lightning", "torchvision", "torchmetrics", "arviz_base", "arviz_stats", "matplotlib"]
SLOW += ["sklearn", "scipy.stats", "scipy.optimize", "rich", "networkx", "jinja2", "sympy"]
TABLES = ["pandas", "numpy", "pyarrow", "xarray", "scipy"]
ALL = ["torch", "pyro", *TABLES, *SLOW]


def loaded(code, packages):
    """Names of those packages that a new process has loaded after running code."""
    code += f"""
import sys
print(*[one for one in {packages!r} if one in sys.modules], file=sys.stderr)"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stderr.splitlines()[-1].split()


def command(*arguments):
    return f"""
import sys
from nbam_pyro.cli import app
try:
    app({list(map(str, arguments))!r})
except SystemExit as end:
    assert not end.code, end.code"""


@pytest.mark.parametrize("name", ["", ".inference", ".detection", ".estimators", ".cli.runs"])
def test_a_package_loads_nothing(name):
    assert loaded(f"import nbam_pyro{name}", ALL) == []


def test_the_library_loads_nothing_slow():
    assert loaded("from nbam_pyro import LabelFlip, fit, load, responsibilities, save", SLOW) == []


def test_estimators_and_detectors_load_only_scikit_learn():
    others = set(SLOW) - {"sklearn", "scipy.stats", "scipy.optimize", "rich"}
    code = """
from nbam_pyro import NBAMClassifier, NBAMRegressor
from nbam_pyro.detection import AnomalyDetector, MixedDetector, PatchDetector
from nbam_pyro.detection.representations import Representation"""
    assert loaded(code, list(others)) == []


def test_losses_load_neither_pyro_nor_tables():
    assert loaded("from nbam_pyro import NBAMLoss", ["pyro", "scipy", *SLOW]) == []


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_loads_nothing(option):
    assert loaded(command(option), ["pydantic", *ALL]) == []


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    bugs(60)[0].to_csv(folder / "bugs.csv", index=False)
    done = nbam(
        "fit", folder / "bugs.csv", "--label", "species", "--epochs", 1, "--out", folder / "r"
    )
    assert done.exit_code == 0, done.output
    return folder


def test_show_loads_neither_torch_nor_pandas(run):
    assert loaded(command("show", run / "r"), ALL) == []


def test_score_loads_what_the_story_needs(run):
    said = command("score", run / "r", run / "bugs.csv", "--out", run / "scores.csv")
    # torch loads its compiler, and with it sympy and networkx, to check the model in the folder
    others = [one for one in SLOW if one not in ("sympy", "networkx", "sklearn")]
    assert loaded(said, others) == []
