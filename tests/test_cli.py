"""The commands as a person types them, one test for each kind of data, flag and mistake."""

import json
import shutil
import warnings

import numpy as np
import pandas as pd
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from nbam_pyro.cli import app
from nbam_pyro.cli.common import mistakes
from nbam_pyro.errors import DataError
from nbam_pyro.estimators import NBAMClassifier, NBAMRegressor
from nbam_pyro.inference import Joint, RobustStart, WarmUp

runner = CliRunner()


def nbam(*arguments):
    return runner.invoke(app, [str(argument) for argument in arguments])


def refused(*arguments):
    """What is said about a mistake: one line, exit code 2, no traceback."""
    result = nbam(*arguments)
    assert result.exit_code == 2, result.output
    assert result.stderr.startswith("nbam: "), result.stderr
    assert result.stderr.count("\n") == 1
    return result.stderr


@pytest.fixture
def quick(monkeypatch):
    """Estimators with short recipes, where a test is not about what is found."""
    labels = [WarmUp(epochs=2), Joint(epochs=1)]
    measurements = [RobustStart(epochs=2), Joint(epochs=1)]
    for kind, steps in ((NBAMClassifier, labels), (NBAMRegressor, measurements)):
        before = kind.__init__.__kwdefaults__
        monkeypatch.setattr(kind.__init__, "__kwdefaults__", before | {"steps": steps})


def bugs(n=360, seed=0):
    """Three species by length and width; 12 % of ants and bees have each other's label."""
    rng = np.random.default_rng(seed)
    truth = np.arange(n) % 3
    features = np.array([[5.0, 2.0], [7.0, 3.0], [9.0, 5.0]])[truth] + rng.normal(0, 0.4, (n, 2))
    names = np.array(["ant", "bee", "cat"])
    wrong = (truth < 2) & (rng.random(n) < 0.12)
    frame = pd.DataFrame(features, columns=["length", "width"])
    frame["colour"] = rng.choice(["red", "blue"], n)
    frame["species"] = names[np.where(wrong, 1 - truth, truth)]
    return frame, wrong


def distances(n=200, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, (n, 2))
    wrong = np.arange(n) < n // 10
    frame = pd.DataFrame(x, columns=["a", "b"])
    frame["far"] = x @ [3.0, -2.0] + 0.1 * rng.normal(size=n) + 8.0 * wrong
    return frame, wrong


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bugs")
    frame, wrong = bugs()
    frame.to_csv(folder / "bugs.csv", index=False)
    result = nbam("fit", folder / "bugs.csv", "--label", "species", "--out", folder / "run")
    assert result.exit_code == 0, result.output
    return folder, frame, wrong, result


def test_a_csv_with_swapped_labels_is_seen_through(run):
    folder, _, wrong, result = run
    flags = pd.read_csv(folder / "run" / "flags.csv").sort_values("row")
    assert ((flags["responsibility"] > 0.5) == wrong).mean() > 0.97
    assert set(flags["suggested_label"]) == {"ant", "bee", "cat"}
    assert "'ant' is labelled 'bee'" in result.stdout
    assert "'bee' is labelled 'ant'" in result.stdout
    assert "'cat' is labelled" not in result.stdout
    summary = json.loads((folder / "run" / "summary.json").read_text())
    assert summary["contamination"]["low"] <= summary["contamination"]["mean"]
    assert summary["contamination"]["mean"] == pytest.approx(wrong.mean(), abs=0.03)
    names = {p.relative_to(folder / "run").as_posix() for p in (folder / "run").rglob("*.*")}
    assert names == {
        "flags.csv",
        "manifest.json",
        "model.json",
        "model.safetensors",
        "plots/responsibilities.png",
        "plots/training_curve.png",
        "plots/transition_matrix.png",
        "posterior.nc",
        "run.json",
        "settings.json",
        "summary.json",
    }


def test_show_says_it_in_words(run):
    folder, _, wrong, _ = run
    said = nbam("show", folder / "run").stdout
    for word in ("How much", "Which directions", "How sure", "names exchanged", "20 most susp"):
        assert word in said
    flagged = [int(line.split()[0]) for line in said.splitlines()[-20:]]
    assert wrong[flagged].all()


def test_score_judges_the_training_rows_much_as_the_fit_did(run, tmp_path):
    folder, frame, *_ = run
    out = tmp_path / "new" / "scores.csv"
    result = nbam("score", folder / "run", folder / "bugs.csv", "--out", out)
    assert result.exit_code == 0, result.output
    assert f"{len(frame)} rows scored" in result.stdout
    flags = pd.read_csv(folder / "run" / "flags.csv").drop(columns="held_out").set_index("row")
    scored = pd.read_csv(out).set_index("row").loc[flags.index]
    assert list(scored) == list(flags)
    assert scored["label"].equals(flags["label"])
    # The fit also has predictions by networks that did not see the row's label.
    same = (scored["responsibility"] > 0.5) == (flags["responsibility"] > 0.5)
    assert same.mean() > 0.97
    # Columns in another order, one row, one label missing.
    one = frame[["colour", "species", "width", "length"]].iloc[:1].assign(species=None)
    one.to_csv(tmp_path / "one.csv", index=False)
    result = nbam("score", folder / "run", tmp_path / "one.csv", "--out", tmp_path / "o.csv")
    assert result.exit_code == 0, result.output
    assert 0 < pd.read_csv(tmp_path / "o.csv")["responsibility"].item() < 0.5


def test_score_keeps_a_file_unless_told(run, tmp_path):
    folder, *_ = run
    out = tmp_path / "scores.csv"
    out.write_text("mine")
    assert "--overwrite" in refused("score", folder / "run", folder / "bugs.csv", "--out", out)
    assert out.read_text() == "mine"
    result = nbam("score", folder / "run", folder / "bugs.csv", "--out", out, "--overwrite")
    assert result.exit_code == 0
    assert out.read_text() != "mine"
    assert "is a folder" in refused(
        "score", folder / "run", folder / "bugs.csv", "--out", tmp_path, "--overwrite"
    )


def test_fit_keeps_a_run_unless_told(run, quick, tmp_path):
    folder, *_ = run
    shutil.copytree(folder / "run", tmp_path / "run")
    arguments = ["fit", folder / "bugs.csv", "--label", "species", "--out", tmp_path / "run"]
    assert "--overwrite" in refused(*arguments)
    before = (tmp_path / "run" / "flags.csv").read_text()
    assert nbam(*arguments, "--overwrite").exit_code == 0
    assert (tmp_path / "run" / "flags.csv").read_text() != before


def test_measurements_in_parquet(tmp_path):
    frame, wrong = distances()
    frame.to_parquet(tmp_path / "far.parquet")
    result = nbam("fit", tmp_path / "far.parquet", "--label", "far", "--out", tmp_path / "run")
    assert result.exit_code == 0, result.output
    assert "20 flagged rows 20 lie above" in result.stdout
    flags = pd.read_csv(tmp_path / "run" / "flags.csv").sort_values("row")
    assert ((flags["responsibility"] > 0.5) == wrong).all()
    assert "prediction" in flags
    said = nbam("show", tmp_path / "run").stdout
    assert "scatter around the prediction" in said
    out = tmp_path / "s.csv"
    assert nbam("score", tmp_path / "run", tmp_path / "far.parquet", "--out", out).exit_code == 0


def test_arrays_in_npz(quick, tmp_path):
    frame, _ = bugs(90)
    x, y = frame[["length", "width"]].to_numpy(), frame["species"].to_numpy(str)
    np.savez(tmp_path / "bugs.npz", X=x, kind=y)
    result = nbam("fit", tmp_path / "bugs.npz", "--label", "kind", "--out", tmp_path / "run")
    assert result.exit_code == 0, result.output
    out = tmp_path / "s.csv"
    assert nbam("score", tmp_path / "run", tmp_path / "bugs.npz", "--out", out).exit_code == 0
    assert set(pd.read_csv(out)["label"]) == {"ant", "bee", "cat"}
    np.savez(tmp_path / "wide.npz", X=np.zeros((3, 5)), kind=y[:3])
    assert "(5" in refused(
        "score", tmp_path / "run", tmp_path / "wide.npz", "--out", tmp_path / "w"
    )


def test_an_image_folder(quick, tmp_path):
    rng = np.random.default_rng(0)
    for name, level in (("dark", 40), ("light", 200)):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        for i in range(12):
            pixels = rng.integers(level, level + 30, (12, 12), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "pictures" / name / f"{i}.png")
    result = nbam("fit", tmp_path / "pictures", "--out", tmp_path / "run")
    assert result.exit_code == 0, result.output
    flags = pd.read_csv(tmp_path / "run" / "flags.csv")
    assert set(flags["row"].str.split("/").str[0]) == {"dark", "light"}
    out = tmp_path / "s.csv"
    assert nbam("score", tmp_path / "run", tmp_path / "pictures", "--out", out).exit_code == 0
    assert "leave out the label" in refused(
        "fit", tmp_path / "pictures", "--label", "x", "--out", tmp_path / "other"
    )


@pytest.mark.parametrize(
    ("text", "prior"),
    [("0.05", [5.0, 95.0]), ("beta:2,8", [2.0, 8.0])],
)
def test_contamination_is_a_prior(quick, tmp_path, text, prior):
    bugs(90)[0].to_csv(tmp_path / "bugs.csv", index=False)
    arguments = ["fit", tmp_path / "bugs.csv", "--label", "species", "--out", tmp_path / "run"]
    assert nbam(*arguments, "--contamination", text).exit_code == 0
    described = json.loads((tmp_path / "run" / "model.json").read_text())["story"]["description"]
    assert described["arguments"]["prior"]["arguments"]["rate"] == pytest.approx(prior)


@pytest.mark.parametrize("text", ["much", "beta:2", "beta:0,1", "1.5", "0"])
def test_a_contamination_that_is_none_is_named(tmp_path, text):
    bugs(90)[0].to_csv(tmp_path / "bugs.csv", index=False)
    arguments = ["fit", tmp_path / "bugs.csv", "--label", "species", "--out", tmp_path / "run"]
    said = refused(*arguments, "--contamination", text)
    assert "contamination" in said or "positive" in said
    assert not (tmp_path / "run").exists()


def test_the_task_can_be_said(quick, tmp_path):
    frame, _ = distances(60)
    frame["grade"] = np.arange(60) % 3
    frame["year"] = 1950 + np.arange(60)
    frame.to_csv(tmp_path / "d.csv", index=False)

    def task(label, *more):
        out = tmp_path / "run"
        arguments = ["fit", tmp_path / "d.csv", "--label", label, "--out", out, "--overwrite"]
        result = nbam(*arguments, *more)
        assert result.exit_code == 0, result.output
        return json.loads((out / "summary.json").read_text())["task"]

    assert task("grade") == "classification"
    assert task("grade", "--task", "regression") == "regression"
    assert task("year") == "regression"
    assert task("far", "--task", "auto") == "regression"
    assert "NBAMRegressor" in refused(
        "fit", tmp_path / "d.csv", "--label", "far", "--task", "classification", "--out", "x"
    )
    assert "give auto" in refused(
        "fit", tmp_path / "d.csv", "--label", "far", "--task", "guess", "--out", "x"
    )


def test_the_seed_decides(quick, tmp_path):
    bugs(90)[0].to_csv(tmp_path / "bugs.csv", index=False)
    flags = []
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        arguments = ["fit", tmp_path / "bugs.csv", "--label", "species", "--out", tmp_path / name]
        assert nbam(*arguments, "--seed", seed).exit_code == 0
        flags.append((tmp_path / name / "flags.csv").read_bytes())
    assert flags[0] == flags[1] != flags[2]


def test_missing_cells_and_labels_are_said(quick, tmp_path):
    frame, _ = bugs(90)
    frame.loc[3, "length"] = np.nan
    frame.loc[[5, 6], "species"] = None
    frame.to_csv(tmp_path / "bugs.csv", index=False)
    result = nbam("fit", tmp_path / "bugs.csv", "--label", "species", "--out", tmp_path / "run")
    assert result.exit_code == 0, result.output
    assert "1 missing cell was filled" in result.stdout
    assert "88 labels in 3 classes and 2 rows without one" in result.stdout
    flags = pd.read_csv(tmp_path / "run" / "flags.csv")
    assert len(flags) == 90
    assert flags["label"].isna().sum() == 2
    assert "1 missing cell" in nbam("show", tmp_path / "run").stdout


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
    "one class only": (csv(lambda f: f.assign(species="ant")), "one class only"),
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


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda f: f.drop(columns="width"), "missing are 'width'"),
        (lambda f: f.assign(height=1.0), "surplus are 'height'"),
        (lambda f: f.assign(width="broad"), "width"),
        (lambda f: f.assign(species="dog"), "'dog'"),
    ],
)
def test_other_data_than_in_training_are_named(run, tmp_path, change, says):
    folder, frame, *_ = run
    change(frame).to_csv(tmp_path / "d.csv", index=False)
    out = tmp_path / "scores.csv"
    assert says in refused("score", folder / "run", tmp_path / "d.csv", "--out", out)
    assert not out.exists()


@pytest.mark.parametrize(
    "name",
    ["flags.csv", "manifest.json", "model.json", "model.safetensors", "posterior.nc", "run.json"],
)
@pytest.mark.parametrize("tampered", [False, True])
def test_a_damaged_run_is_named(run, tmp_path, name, tampered):
    folder, *_ = run
    shutil.copytree(folder / "run", tmp_path / "run")
    if tampered:
        (tmp_path / "run" / name).write_bytes(b"{}")
    else:
        (tmp_path / "run" / name).unlink()
    said = refused("score", tmp_path / "run", folder / "bugs.csv", "--out", tmp_path / "s.csv")
    assert name in said
    assert name in refused("show", tmp_path / "run")


def test_a_folder_that_is_no_run_is_named(tmp_path):
    assert "not a run folder" in refused("show", tmp_path)
    assert "not a run folder" in refused("show", tmp_path / "none")


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


def test_labels_that_look_like_numbers_are_still_texts(quick, tmp_path):
    frame = bugs(90)[0].assign(species=np.array(["0", "1", "a"])[np.arange(90) % 3])
    frame.to_csv(tmp_path / "d.csv", index=False)
    frame[frame["species"] != "a"].to_csv(tmp_path / "new.csv", index=False)
    run, out = tmp_path / "run", tmp_path / "s.csv"
    assert nbam("fit", tmp_path / "d.csv", "--label", "species", "--out", run).exit_code == 0
    result = nbam("score", run, tmp_path / "new.csv", "--out", out)
    assert result.exit_code == 0, result.output
    assert len(pd.read_csv(out)) == 60


def test_odd_class_names_and_five_rows_are_no_obstacle(quick, tmp_path):
    frame = bugs(90)[0].assign(species=np.array(["$a_$", "日本", "c d"])[np.arange(90) % 3])
    frame.to_csv(tmp_path / "d.csv", index=False)
    arguments = ["fit", tmp_path / "d.csv", "--label", "species", "--out", tmp_path / "run"]
    result = nbam(*arguments)
    assert result.exit_code == 0, result.output
    assert result.stderr.count("Glyph") == 0


@pytest.mark.filterwarnings("ignore::nbam_pyro.errors.CollapseWarning")
def test_four_rows_are_few_but_enough(tmp_path):
    bugs(6)[0].assign(species=["a", "b"] * 3).iloc[:4].to_csv(tmp_path / "d.csv", index=False)
    result = nbam("fit", tmp_path / "d.csv", "--label", "species", "--out", tmp_path / "run")
    assert result.exit_code == 0, result.output


def test_a_run_is_not_replaced_by_a_slower_one(tmp_path):
    from nbam_pyro.errors import FolderError
    from nbam_pyro.storage import new_folder

    def slow():
        with new_folder(tmp_path / "run", overwrite=False):
            (tmp_path / "run").mkdir()
            (tmp_path / "run" / "mine.txt").write_text("mine")

    with pytest.raises(FolderError, match="exists already"):
        slow()
    assert [p.name for p in tmp_path.rglob("*")] == ["run", "mine.txt"]
