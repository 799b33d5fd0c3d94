"""Fixtures of the tests of commands."""

import pytest

from nbam_pyro.estimators import NBAMClassifier, NBAMRegressor
from nbam_pyro.inference import Joint, RobustStart, WarmUp
from tests.cli.helpers import bugs, nbam


@pytest.fixture
def quick(monkeypatch):
    """Estimators with short recipes, where a test is not about what is found."""
    labels = [WarmUp(epochs=2), Joint(epochs=1)]
    measurements = [RobustStart(epochs=2), Joint(epochs=1)]
    for kind, steps in ((NBAMClassifier, labels), (NBAMRegressor, measurements)):
        before = kind.__init__.__kwdefaults__
        monkeypatch.setattr(kind.__init__, "__kwdefaults__", before | {"steps": steps})


@pytest.fixture(scope="session")
def fitted_bugs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bugs")
    frame, wrong = bugs()
    frame.to_csv(folder / "bugs.csv", index=False)
    result = nbam("fit", folder / "bugs.csv", "--label", "species", "--out", folder / "run")
    assert result.exit_code == 0, result.output
    return folder, frame, wrong, result
