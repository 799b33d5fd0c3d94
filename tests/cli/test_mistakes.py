"""Mistakes in data and arguments: one line, exit code 2, and nothing left behind."""

import warnings

import numpy as np
import pandas as pd
import pytest
import typer

from nbam_pyro.cli.common import mistakes
from nbam_pyro.errors import DataError, FolderError
from nbam_pyro.storage import new_folder
from tests.cli.helpers import bugs, nbam, refused


def csv(change):
    def write(folder):
        frame = change(bugs(30)[0])
        frame.to_csv(folder / "d.csv", index=False)
        return folder / "d.csv", "species"

    return write


def infinite(frame):
    frame.loc[4, "width"] = np.inf
    return frame


def cut(kind):
    def write(folder):
        path = folder / f"d.{kind}"
        if kind == "npz":
            np.savez(path, X=np.zeros((500, 3)), species=np.arange(500) % 2)
        else:
            bugs(90)[0].to_parquet(path)
        path.write_bytes(path.read_bytes()[:200])
        return path, "species"

    return write


def content(name, text):
    def write(folder):
        (folder / name).write_bytes(text)
        return folder / name, "species"

    return write


def folder_without_images(folder):
    (folder / "pictures" / "cat").mkdir(parents=True)
    return folder / "pictures", None


MISTAKES = {
    "infinite cell": (csv(infinite), "'width'"),
    "label column missing": (csv(lambda f: f.drop(columns="species")), "species"),
    "label column duplicated": (csv(lambda f: pd.concat([f, f[["species"]]], axis=1)), "species"),
    "feature duplicated": (csv(lambda f: pd.concat([f, f[["width"]]], axis=1)), "width"),
    "one class only": (csv(lambda f: f.assign(species="ant")), "only one class"),
    "a class of one row": (csv(lambda f: pd.concat([f, f[:1].assign(species="fly")])), "fly"),
    "empty file": (content("d.csv", b""), "empty"),
    "a picture called csv": (content("d.csv", b"\x89PNG\r\n\x1a\n\0\0"), "not a CSV"),
    "text called parquet": (content("d.parquet", b"a,b\n1,2\n"), "d.parquet"),
    "text called npz": (content("d.npz", b"a,b\n1,2\n"), "d.npz"),
    "truncated npz": (cut("npz"), "d.npz"),
    "truncated parquet": (cut("parquet"), "d.parquet"),
    "unknown ending": (content("d.xlsx", b"PK"), ".xlsx"),
    "no images": (folder_without_images, "image"),
    "no such file": (lambda folder: (folder / "none.csv", "y"), "does not exist"),
    "no label named": (lambda folder: (csv(lambda f: f)(folder)[0], None), "label"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_in_data_are_named_and_leave_nothing(mistake, tmp_path):
    make, says = MISTAKES[mistake]
    path, label = make(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    arguments = ["fit", path, "--out", tmp_path / "run"]
    said = refused(*arguments, *(["--label", label] if label else []))
    assert says in said
    assert sorted(tmp_path.rglob("*")) == before


def test_text_for_regression_is_named(tmp_path):
    path, label = csv(lambda f: f)(tmp_path)
    arguments = ["fit", path, "--label", label, "--out", tmp_path / "run"]
    assert "'ant'" in refused(*arguments, "--task", "regression")


def test_as_many_classes_as_rows_are_named(tmp_path):
    frame = bugs(60)[0].assign(species=[f"kind {i}" for i in range(60)])
    frame.to_csv(tmp_path / "d.csv", index=False)
    said = refused("fit", tmp_path / "d.csv", "--label", "species", "--out", tmp_path / "run")
    assert "fewer than two rows" in said


def test_infinite_labels_are_no_class(tmp_path):
    frame = bugs(60)[0].assign(species=[0.0, 1.0, np.inf] * 20)
    frame.to_csv(tmp_path / "d.csv", index=False)
    arguments = ["fit", tmp_path / "d.csv", "--label", "species", "--out", tmp_path / "run"]
    assert "infinity" in refused(*arguments)
    assert "infinity" in refused(*arguments, "--task", "classification")


@pytest.mark.parametrize("arguments", [["fit"], ["score", "run"], ["fit", "x", "--no-such-flag"]])
def test_wrong_usage_exits_with_2(arguments):
    result = nbam(*arguments)
    assert result.exit_code == 2
    assert "Traceback" not in result.output


def test_a_mistake_after_a_foreign_warning_ends():
    def command():
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            with mistakes():
                warnings.warn("of another library", DeprecationWarning, stacklevel=1)
                raise DataError("bad")

    with pytest.raises(typer.Exit):
        command()


def test_a_run_is_not_replaced_by_a_slower_one(tmp_path):
    def slow():
        with new_folder(tmp_path / "run", overwrite=False):
            (tmp_path / "run").mkdir()
            (tmp_path / "run" / "mine.txt").write_text("mine")

    with pytest.raises(FolderError, match="exists already"):
        slow()
    assert [p.name for p in tmp_path.rglob("*")] == ["run", "mine.txt"]
