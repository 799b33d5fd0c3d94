"""`nbam score` with any number of rows: blocks of Parquet, and what stays after a kill."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from nbam_pyro.cli.files import csv_table, parquet, reading
from nbam_pyro.cli.runs import DetectOptions, detect_file, score_file, scoring
from tests.cli.helpers import bugs, nbam, refused

ROWS = 25


class Killed(BaseException):
    """What no `except Exception` catches, as a kill."""


@pytest.fixture
def blocks(monkeypatch):
    """Blocks of few rows, and how many of them are held at once."""
    for module in (parquet, csv_table, reading):
        monkeypatch.setattr(module, "_ROWS", ROWS)


@pytest.fixture
def many(tmp_path):
    """New rows in a folder of Parquet files of different lengths; the last label is missing."""
    frame, _ = bugs(110, seed=3)
    frame.loc[100:, "species"] = None
    folder = tmp_path / "rows"
    (folder / "more").mkdir(parents=True)
    for name, part in {
        "a": slice(0, 30),
        "more/b": slice(30, 37),
        "more/c": slice(37, 110),
    }.items():
        frame[part].reset_index(drop=True).to_parquet(folder / f"{name}.parquet", row_group_size=20)
    (folder / "_notes.parquet").write_text("passed over")
    return folder, frame


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.usefixtures("blocks")
def test_blocks_have_the_scores_of_the_whole_file(fitted_bugs, many, tmp_path):
    run, (folder, frame) = fitted_bugs[0] / "run", many
    whole, out = tmp_path / "whole.csv", tmp_path / "s.parquet"
    frame.to_csv(tmp_path / "all.csv", index=False)
    for data in (folder, tmp_path / "all.csv"):
        said = nbam("score", run, data, "--out", out, "--overwrite")
        assert said.exit_code == 0, said.output
        assert "110 rows scored" in said.stdout
        assert "in the order of the data" in said.stdout
        assert nbam("score", run, data, "--out", whole, "--overwrite").exit_code == 0
        scored, table = pd.read_parquet(out), pd.read_csv(whole).sort_values("row")
        assert scored["row"].tolist() == list(range(110))
        assert list(scored) == list(table)
        assert scored["label"].isna().sum() == 10
        for name in ("responsibility", "suggested_probability"):
            assert scored[name].to_numpy() == pytest.approx(table[name].to_numpy(), abs=1e-6)
        assert scored["suggested_label"].tolist() == table["suggested_label"].tolist()
    assert len(list(out.glob("part-*.parquet"))) == 5
    schemas = {pq.read_schema(path).to_string() for path in out.glob("part-*.parquet")}
    assert len(schemas) == 1  # although a block has no label


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize("moment", ["before the rename", "after the rename"])
def test_the_same_command_goes_on_after_a_kill(fitted_bugs, many, tmp_path, monkeypatch, moment):
    run, (folder, _) = fitted_bugs[0] / "run", many
    score_file(run, folder, tmp_path / "whole.parquet")
    out, write = tmp_path / "s.parquet", scoring.write_block
    for finished in range(4):
        scored = []

        def killed(table, path, scorer, *, scored=scored):
            scored.append(path)
            if moment == "before the rename":
                path.with_name(f".{path.name}").write_bytes(b"half")
                raise Killed
            write(table, path, scorer)
            raise Killed

        with monkeypatch.context() as patched:
            patched.setattr(scoring, "write_block", killed)
            with pytest.raises(Killed):
                score_file(run, folder, out)
        assert not out.exists()
        assert len(scored) == 1
        if moment == "before the rename":
            assert scored[0].name == "part-000000.parquet"
        else:
            assert scored[0].name == f"part-{finished:06d}.parquet"
    found = score_file(run, folder, out)
    assert found.rows == 110
    assert files(out) == files(tmp_path / "whole.parquet")
    assert not list(tmp_path.glob(".*"))


@pytest.mark.usefixtures("blocks")
def test_another_command_is_refused_until_it_restarts(fitted_bugs, many, tmp_path, monkeypatch):
    run, (folder, frame) = fitted_bugs[0] / "run", many
    out, other = tmp_path / "s.parquet", tmp_path / "other.parquet"
    frame[:60].to_parquet(other)

    def killed(*_):
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(scoring, "write_block", killed)
        with pytest.raises(Killed):
            score_file(run, folder, out)
    said = refused("score", run, other, "--out", out)
    assert "--restart" in said
    assert f"{folder} --out" in said
    assert "is not finished" in refused("fit", other, "--label", "species", "--out", out)
    os.utime(folder / "a.parquet")
    assert "have changed" in refused("score", run, folder, "--out", out)
    result = nbam("score", run, other, "--out", out, "--restart")
    assert result.exit_code == 0, result.output
    assert len(pd.read_parquet(out)) == 60
    assert not list(tmp_path.glob(".*"))
    # What is whole is replaced only on request.
    assert "exists already" in refused("score", run, other, "--out", out)
    assert nbam("score", run, other, "--out", out, "--overwrite").exit_code == 0


@pytest.mark.usefixtures("blocks")
def test_a_mistake_in_a_late_block_leaves_nothing(fitted_bugs, tmp_path):
    frame, _ = bugs(60)
    frame.loc[55, "species"] = "dog"
    frame.to_parquet(tmp_path / "d.parquet")
    said = refused(
        "score", fitted_bugs[0] / "run", tmp_path / "d.parquet", "--out", tmp_path / "s.parquet"
    )
    assert "'dog'" in said
    assert [path.name for path in tmp_path.iterdir()] == ["d.parquet"]


@pytest.mark.usefixtures("blocks")
def test_few_blocks_are_in_memory(fitted_bugs, many, tmp_path, monkeypatch):
    read, alive, most = scoring.Scorer.blocks, [], []

    def counted(self, data, *, skip):
        import weakref

        for source in read(self, data, skip=skip):
            alive.append(weakref.ref(source.x))
            most.append(sum(one() is not None for one in alive))
            yield source
            del source

    monkeypatch.setattr(scoring.Scorer, "blocks", counted)
    score_file(fitted_bugs[0] / "run", many[0], tmp_path / "s.parquet")
    assert len(most) == 5
    assert max(most) <= 2


@pytest.mark.usefixtures("blocks")
def test_files_with_other_columns_are_named(fitted_bugs, many, tmp_path):
    folder, frame = many
    frame.drop(columns="width").to_parquet(folder / "z.parquet")
    said = refused("score", fitted_bugs[0] / "run", folder, "--out", tmp_path / "s.parquet")
    assert "'width'" in said
    assert "z.parquet" in said


@pytest.mark.usefixtures("blocks")
def test_a_detector_scores_blocks(tmp_path):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(60, 3)), columns=["a", "b", "c"])
    frame.to_parquet(tmp_path / "d.parquet")
    detect_file(
        DetectOptions(data=tmp_path / "d.parquet", out=tmp_path / "run", say=lambda _: None)
    )
    out = tmp_path / "s.parquet"
    found = score_file(tmp_path / "run", tmp_path / "d.parquet", out)
    table = pd.read_parquet(out)
    assert found.flagged == table["flagged"].sum()
    assert list(table) == ["row", "score", "flagged", "responsibility"]


def test_a_folder_of_parquet_files_is_read_as_one_table(tmp_path):
    folder = tmp_path / "d"
    for year in (2023, 2024):
        (folder / f"year={year}").mkdir(parents=True)
        pd.DataFrame({"x": [1, year], "y": [0, 1]}).to_parquet(
            folder / f"year={year}" / "a.parquet"
        )
    source = reading.read(folder, label="y")
    assert source.x["year"].tolist() == [2023, 2023, 2024, 2024]
    assert source.rows.tolist() == [0, 1, 2, 3]
    before = source.sha256
    (folder / "year=2024" / "a.parquet").rename(folder / "year=2024" / "b.parquet")
    assert reading.read(folder, label="y").sha256 != before


def test_sigkill_at_random_moments(fitted_bugs, tmp_path, monkeypatch):
    run, data = fitted_bugs[0] / "run", tmp_path / "d.parquet"
    pd.concat([bugs(300, seed=seed)[0] for seed in range(5)], ignore_index=True).to_parquet(data)
    code = (
        "from nbam_pyro.cli.files import parquet\n"
        "parquet._ROWS = 20\n"
        "from nbam_pyro.cli.__main__ import main\n"
        "main()"
    )
    out = tmp_path / "s.parquet"
    results = tmp_path / ".s.parquet.nbam" / "progress" / "results"
    rng = np.random.default_rng(0)
    for more in (5, 15):
        before = len(list(results.glob("part*"))) if results.exists() else 0
        process = subprocess.Popen(
            [sys.executable, "-c", code, "score", run, data, "--out", out],
            stdout=subprocess.DEVNULL,
        )
        while process.poll() is None and len(list(results.glob("part*"))) < before + more:
            time.sleep(0.01)
        time.sleep(0.02 * rng.random())
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        assert not out.exists()
    monkeypatch.setattr(parquet, "_ROWS", 20)
    said = []
    score_file(run, data, out, say=said.append)
    assert "finished already" in " ".join(said)
    score_file(run, data, tmp_path / "whole.parquet")
    assert files(out) == files(tmp_path / "whole.parquet")
    assert not list(tmp_path.glob(".*"))
