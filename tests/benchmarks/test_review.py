"""The benchmarks of answers in several orders, from their commands."""

import pytest
import torch

from benchmarks.rows import read, wide

from .running import exit_code

WARNED = pytest.mark.filterwarnings("ignore::nbam_pyro.errors.CollapseWarning")


@WARNED
def test_answers_in_two_orders(tmp_path):
    torch.set_num_threads(1)
    out = tmp_path / "rows.parquet"
    given = ("--orders", "flags,random", "--answers", "40", "--train-size", "400")
    assert exit_code("run", "review", *given, "--epochs", "3", "--out", out) == 0
    rows = wide(read(out)).set_index("method")
    assert list(rows.index) == ["no answers", "flags", "random"]
    assert (rows["wrong_left"] <= rows["wrong"]).all()
    assert rows.loc["no answers", "found"] == 0
    assert (rows["found"] <= 40).all()
    assert rows["brier"].between(0, 1).all()


@WARNED
def test_answers_about_names(tmp_path):
    torch.set_num_threads(1)
    out = tmp_path / "rows.parquet"
    given = ("--budgets", "5", "--seeds", "1", "--train-size", "400", "--epochs", "3")
    assert exit_code("run", "review-names", *given, "--out", out) == 0
    rows = wide(read(out))
    assert set(rows["method"]) == {"verdict", "random"}
    assert rows["answers_needed"].isin([5]).sum() == rows["answers_needed"].notna().sum()
