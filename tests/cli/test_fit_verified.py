"""Columns of what is verified, on the command line."""

import json

import numpy as np
import pandas as pd
import pytest

from nbam_pyro.cli.files import read
from tests.cli.helpers import bugs, distances, nbam, refused


def known_bugs(n=180):
    """Every fourth row has a true label, every other fourth one is said to be right or wrong."""
    frame, wrong = bugs(n)
    truth = np.array(["ant", "bee", "cat"])[np.arange(n) % 3]
    frame["truth"] = np.where(np.arange(n) % 4 == 0, truth, None)
    frame["checked"] = np.where(np.arange(n) % 4 == 1, wrong.astype(int), np.nan)
    return frame, wrong


def fit(path, out, *more):
    columns = ["--label", "species", "--true-label", "truth", "--contaminated", "checked"]
    return nbam("fit", path, *columns, "--out", out, *more)


@pytest.mark.parametrize("kind", ["csv", "parquet", "npz"])
def test_verified_columns_are_heard_and_are_no_features(quick, tmp_path, kind):
    frame, wrong = known_bugs()
    path, run, out = tmp_path / f"d.{kind}", tmp_path / "run", tmp_path / "s.csv"
    if kind == "npz":
        x = frame[["length", "width"]].to_numpy()
        truth = frame["truth"].fillna("").to_numpy(str)
        y = frame["species"].to_numpy(str)
        np.savez(path, X=x, species=y, truth=truth, checked=frame["checked"].to_numpy())
    else:
        frame.to_csv(path, index=False) if kind == "csv" else frame.to_parquet(path)
    result = fit(path, run)
    assert result.exit_code == 0, result.output
    flags = pd.read_csv(run / "flags.csv").set_index("row").sort_index()
    known = np.arange(len(frame)) % 4 < 2
    assert flags["verified"].tolist() == known.tolist()
    assert (flags["responsibility"][known] == wrong[known]).all()
    assert flags["responsibility"][~known].between(0, 1, inclusive="neither").all()
    named = np.arange(len(frame)) % 4 == 0
    assert (flags["suggested_label"][named] == frame["truth"][named]).all()
    settings = json.loads((run / "settings.json").read_text())
    assert (settings["true_label"], settings["contaminated"]) == ("truth", "checked")
    summary = json.loads((run / "summary.json").read_text())
    count = {"clean": int((~wrong[known]).sum()), "contaminated": int(wrong[known].sum())}
    assert summary["verified"] == count
    told = f"Verified: 90 rows, {count['clean']} of them right and {count['contaminated']} wrong."
    said = nbam("show", run).stdout
    assert told in result.stdout
    assert told in said
    assert "20 most suspicious rows (of 90 that are not verified)" in said
    assert not known[[int(line.split()[0]) for line in said.splitlines()[-20:]]].any()
    # Where the columns are there they are heard again; where they are not, nothing is missing.
    assert nbam("score", run, path, "--out", out).exit_code == 0
    pd.testing.assert_frame_equal(
        pd.read_csv(out), pd.read_csv(run / "flags.csv").drop(columns="held_out")
    )
    if kind == "csv":
        frame.drop(columns=["truth", "checked"]).to_csv(path, index=False)
        assert nbam("score", run, path, "--out", out, "--overwrite").exit_code == 0
        scored = pd.read_csv(out)
        assert "verified" not in scored
        assert scored["responsibility"].between(0, 1, inclusive="neither").all()


def test_measurements_are_verified_as_right_or_wrong(quick, tmp_path):
    frame, wrong = distances()
    frame["checked"] = np.where(np.arange(200) % 3 == 0, wrong, None)  # True and False
    frame.to_csv(tmp_path / "d.csv", index=False)
    arguments = ["fit", tmp_path / "d.csv", "--label", "far", "--out", tmp_path / "run"]
    result = nbam(*arguments, "--contaminated", "checked")
    assert result.exit_code == 0, result.output
    flags = pd.read_csv(tmp_path / "run" / "flags.csv").sort_values("row")
    assert (flags["responsibility"][::3] == wrong[::3]).all()
    said = refused(*arguments, "--true-label", "a", "--overwrite")
    assert "Use --contaminated" in said


def test_true_labels_that_look_like_numbers_are_texts_where_labels_are(quick, tmp_path):
    frame = bugs(90)[0].assign(species=np.array(["0", "1", "a"])[np.arange(90) % 3])
    frame["truth"] = np.where(np.arange(90) < 9, "1", "")
    frame.to_csv(tmp_path / "d.csv", index=False)
    run, out = tmp_path / "run", tmp_path / "s.csv"
    arguments = ["fit", tmp_path / "d.csv", "--label", "species", "--true-label", "truth"]
    result = nbam(*arguments, "--out", run)
    assert result.exit_code == 0, result.output
    assert nbam("score", run, tmp_path / "d.csv", "--out", out).exit_code == 0
    scored = pd.read_csv(out, dtype=str).set_index("row")
    assert (scored.loc[map(str, range(9)), "suggested_label"] == "1").all()


def test_whole_numbers_with_gaps_are_classes(quick, tmp_path):
    frame, wrong = bugs(90)
    frame["species"] = frame["species"].map({"ant": 1, "bee": 2, "cat": 3})
    frame["truth"] = np.where(np.arange(90) < 9, np.arange(90) % 3 + 1.0, np.nan)
    frame.to_csv(tmp_path / "d.csv", index=False)
    arguments = ["fit", tmp_path / "d.csv", "--label", "species", "--true-label", "truth"]
    result = nbam(*arguments, "--out", tmp_path / "run")
    assert result.exit_code == 0, result.output
    flags = pd.read_csv(tmp_path / "run" / "flags.csv").sort_values("row")
    assert (flags["responsibility"][:9] == wrong[:9]).all()


def test_verified_labels_decide_about_names_and_show_says_so(tmp_path):
    frame, wrong = bugs(240)
    truth = np.array(["ant", "bee", "cat"])[np.arange(240) % 3]
    frame["truth"] = np.where(np.arange(240) < 60, truth, None)
    frame.to_csv(tmp_path / "d.csv", index=False)
    arguments = ["fit", tmp_path / "d.csv", "--label", "species", "--true-label", "truth"]
    result = nbam(*arguments, "--out", tmp_path / "run")
    assert result.exit_code == 0, result.output
    assert "verified labels confirm the names of the classes ant and bee" in result.stdout
    flags = pd.read_csv(tmp_path / "run" / "flags.csv").sort_values("row")
    assert ((flags["responsibility"] > 0.5) == wrong).mean() > 0.97


MISTAKES = {
    "no such class": ({"truth": "dog"}, "such as 'dog'"),
    "another kind of class": ({"truth": 7}, "such as '7'"),
    "no switch": ({"checked": "perhaps"}, "'perhaps' is not 1, true, 0 or false"),
    "another number": ({"checked": 2}, "'2' is not 1, true, 0 or false"),
    "a contradiction": ({"truth": "ant", "checked": "0"}, "its true label is different"),
    "a label missing": ({"species": None, "checked": 1}, "no target, the first is row 0"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_in_verified_columns_are_named(mistake, tmp_path):
    change, says = MISTAKES[mistake]
    frame = bugs(90)[0].assign(truth=None, checked=None)
    for name, value in change.items():
        frame[name] = frame[name].astype(object)
        frame.loc[: 2 if value is None or name != "species" else 89, name] = value
    frame.to_csv(tmp_path / "d.csv", index=False)
    columns = ["--label", "species", "--true-label", "truth", "--contaminated", "checked"]
    said = refused("fit", tmp_path / "d.csv", *columns, "--out", tmp_path / "run")
    assert says in said
    assert not (tmp_path / "run").exists()


def test_columns_that_cannot_be_are_named(tmp_path):
    frame, _ = bugs(30)
    path = tmp_path / "d.csv"
    frame.to_csv(path, index=False)

    def said(*columns):
        return refused("fit", path, "--label", "species", *columns, "--out", tmp_path / "run")

    assert "no column 'truth'. Its columns are" in said("--true-label", "truth")
    assert "no column 'checked'" in said("--contaminated", "checked")
    assert "more than one of" in said("--true-label", "species")
    assert "more than one of" in said("--true-label", "width", "--contaminated", "width")
    frame[["species", "width"]].to_csv(path, index=False)
    assert "no feature column besides 'species' and" in said("--contaminated", "width").replace(
        ", ", " and "
    )
    np.savez(tmp_path / "d.npz", X=np.zeros((3, 2)), species=np.arange(3))
    path = tmp_path / "d.npz"
    assert "no array 'truth'" in said("--true-label", "truth")
    assert "verified array is 'X'" in said("--true-label", "X")
    (tmp_path / "pictures" / "cat").mkdir(parents=True)
    pictures = "fit", tmp_path / "pictures", "--true-label", "truth", "--out", tmp_path / "run"
    assert "has no column 'truth'" in refused(*pictures)


def test_files_lend_columns_beside_features_and_labels(tmp_path):
    frame, _ = known_bugs(30)
    frame.to_csv(tmp_path / "d.csv", index=False)
    source = read(tmp_path / "d.csv", label="species", beside=["truth", "more"], optional=True)
    assert list(source.beside) == ["truth"]
    assert "checked" in source.x
    assert "truth" not in source.x
