"""`nbam annotators`: from a file of annotations to consensus labels."""

import numpy as np
import pandas as pd
import pytest

from tests.cli.helpers import nbam


@pytest.fixture
def table():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 80)
    right = rng.random((80, 4)) < [0.9, 0.8, 0.8, 0.7]
    labels = np.where(right, truth[:, None], 1 - truth[:, None])
    return pd.DataFrame(labels, columns=list("abcd")).rename_axis("item"), truth


def test_long_and_wide_files_give_a_consensus(table, tmp_path):
    wide, truth = table
    wide.to_csv(tmp_path / "wide.csv")
    long = wide.melt(var_name="annotator", value_name="label", ignore_index=False).reset_index()
    long.to_parquet(tmp_path / "long.parquet")
    p = pd.DataFrame({"item": wide.index, "0": 0.9 - 0.8 * truth, "1": 0.1 + 0.8 * truth})
    p.to_csv(tmp_path / "p.csv", index=False)
    for name, more in (("wide.csv", []), ("long.parquet", ["--pred-probs", tmp_path / "p.csv"])):
        out = tmp_path / name.partition(".")[0]
        result = nbam("annotators", tmp_path / name, "--out", out, *more)
        assert result.exit_code == 0, result.output
        items = pd.read_csv(out / "items.csv").set_index("item")["consensus"].sort_index()
        assert (items == truth).mean() > 0.85
        assert "Verdict" in (out / "report.txt").read_text()
    again = nbam("annotators", tmp_path / "wide.csv", "--out", tmp_path / "wide")
    assert again.exit_code != 0


def test_a_file_without_items_is_refused(tmp_path):
    (tmp_path / "x.csv").write_text("a,b\n1,2\n")
    result = nbam("annotators", tmp_path / "x.csv", "--out", tmp_path / "out")
    assert result.exit_code != 0
    assert "no column 'item'" in result.output
    assert not (tmp_path / "out").exists()
