"""Notes on what a fit leaves out because there are many rows."""

import pytest

from nbam_pyro.cli.runs import sizes
from tests.cli.helpers import distances, nbam


@pytest.mark.parametrize(("most", "said"), [(10_000, False), (100, True)])
def test_a_fit_says_which_means_were_not_tried(tmp_path, monkeypatch, most, said, quick):
    monkeypatch.setattr(sizes, "SEARCHED", most)
    frame, _ = distances()
    frame.to_csv(tmp_path / "d.csv", index=False)
    command = ["fit", tmp_path / "d.csv", "--label", "far", "--out", tmp_path / "run"]
    result = nbam(*command)
    assert result.exit_code == 0, result.output
    assert ("were not tried" in nbam("show", tmp_path / "run").stdout) == said
