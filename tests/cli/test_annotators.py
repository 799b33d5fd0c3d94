"""`nbam annotators`: from a file of annotations to consensus labels."""

import numpy as np
import pandas as pd
import pytest

from tests.cli.helpers import nbam, refused


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


def test_names_with_leading_zeros_stay_texts(tmp_path):
    codes = np.array(["007", "010"])
    truth = np.arange(60) % 2
    cells = dict.fromkeys("abc", codes[truth]) | {"d": np.append(codes[truth[:-1]], "")}
    wide = pd.DataFrame({"item": [f"{row:03}" for row in range(60)], **cells})
    wide.to_csv(tmp_path / "wide.csv", index=False)
    p = pd.DataFrame({"item": wide["item"], "007": 0.9 - 0.8 * truth, "010": 0.1 + 0.8 * truth})
    p.to_csv(tmp_path / "p.csv", index=False)
    out = tmp_path / "out"
    result = nbam(
        "annotators", tmp_path / "wide.csv", "--pred-probs", tmp_path / "p.csv", "--out", out
    )
    assert result.exit_code == 0, result.output
    items = pd.read_csv(out / "items.csv", dtype=str).set_index("item")["consensus"]
    assert items.loc[wide["item"]].tolist() == codes[truth].tolist()


def test_labels_of_all_annotators_have_one_type(tmp_path):
    """Items and classes of both files agree, even if only one file shows that they are texts."""
    truth = np.arange(60) % 2
    labels = np.array(["1", "2"])[truth]
    wide = pd.DataFrame(
        {"item": range(60), "a": labels, "b": labels, "c": np.append("x", labels[1:])}
    )
    wide.to_csv(tmp_path / "wide.csv", index=False)
    p = pd.DataFrame({"item": [*range(60), "060"], "1": 0.8, "2": 0.1, "x": 0.1})
    p.to_csv(tmp_path / "p.csv", index=False)
    for more in ([], ["--pred-probs", tmp_path / "p.csv"]):
        out = tmp_path / f"out{len(more)}"
        result = nbam("annotators", tmp_path / "wide.csv", "--out", out, *more)
        assert result.exit_code == 0, result.output
        items = pd.read_csv(out / "items.csv", dtype=str).set_index("item")["consensus"]
        assert items["1"] == "2"


def test_a_missing_label_leaves_whole_numbers_whole(table, tmp_path):
    wide, _ = table
    cells = wide.astype(object)
    cells.iloc[0, 0] = ""
    cells.to_csv(tmp_path / "wide.csv")
    out = tmp_path / "out"
    assert nbam("annotators", tmp_path / "wide.csv", "--out", out).exit_code == 0
    assert set(pd.read_csv(out / "items.csv", dtype=str)["consensus"]) == {"0", "1"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"item,a,a\n1,2,3\n", "two columns"),
        (b"item,a,b\n1,2\n", "ragged"),
        (b"item,a,b\n", "no rows"),
        (b"item,a,b\n1,\xe9,2\n", "UTF-8"),
        (b",item,a,b\n0,1,2,3\n", "without a name"),
        (b"", "is empty"),
    ],
)
def test_defects_of_files_are_refused(text, message, tmp_path):
    (tmp_path / "x.csv").write_bytes(text)
    assert message in refused("annotators", tmp_path / "x.csv", "--out", tmp_path / "out")


def test_other_kinds_of_data_are_refused(table, tmp_path):
    np.savez(tmp_path / "x.npz", X=np.zeros((3, 2)))
    table[0].to_csv(tmp_path / "wide.csv")
    assert "not a table" in refused("annotators", tmp_path / "x.npz", "--out", tmp_path / "out")
    (tmp_path / "p.csv").write_text("item,0,1\n0,x,1\n")
    more = ["--pred-probs", tmp_path / "p.csv", "--out", tmp_path / "out"]
    assert "pred_probs" in refused("annotators", tmp_path / "wide.csv", *more)
