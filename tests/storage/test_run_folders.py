"""Run folders: whole or not there, nothing of others lost, and nothing left by whoever died."""

import json
import os
import subprocess
import sys
import textwrap
import threading

import pytest

from nbam_pyro.errors import FolderError
from nbam_pyro.storage import check_files, new_file, new_folder, write_manifest


def write(folder, text="first", *, overwrite=False):
    with new_folder(folder, overwrite=overwrite) as draft:
        (draft / "plots").mkdir()
        (draft / "flags.csv").write_text(text)
        (draft / "plots" / "a.png").write_text("picture")
        write_manifest(draft)


def names(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_a_run_is_written_and_replaced(tmp_path):
    write(tmp_path / "run")
    with pytest.raises(FolderError, match="exists already"):
        write(tmp_path / "run")
    write(tmp_path / "run", "second", overwrite=True)
    assert (tmp_path / "run" / "flags.csv").read_text() == "second"
    assert names(tmp_path) == [
        *["run", "run/flags.csv", "run/manifest.json", "run/plots", "run/plots/a.png"]
    ]
    check_files(tmp_path / "run", ["flags.csv"])


def extension(folder):
    (folder / "manifest.json").write_text('{"name": "my browser extension"}')
    (folder / "app.js").write_text("precious")


def listed(folder):
    """Somebody else's manifest, which even lists right checksums."""
    write(folder / "x")
    manifest = json.loads((folder / "x" / "manifest.json").read_text())
    del manifest["written_by"]
    (folder / "x" / "manifest.json").write_text(json.dumps(manifest))
    for path in list((folder / "x").iterdir()):
        path.rename(folder / path.name)
    (folder / "x").rmdir()


def with_a(name, make):
    def change(folder):
        folder.rmdir()
        write(folder)
        make(folder / name)

    return change


OTHERS = {
    "a browser extension": (extension, "manifest.json"),
    "a manifest without our mark": (listed, "does not state"),
    "a folder of letters": (lambda f: (f / "letter.txt").write_text("dear"), "not a run folder"),
    "a run with a letter": (with_a("letter.txt", lambda p: p.write_text("dear")), "letter.txt"),
    "a run with a hidden file": (with_a(".notes", lambda p: p.write_text("x")), ".notes"),
    "a run with a file below": (with_a("plots/b.png", lambda p: p.write_text("x")), "plots/b.png"),
    "a run with a folder": (with_a("mine", lambda p: p.mkdir()), "mine"),
    "a run with a link": (with_a("link", lambda p: p.symlink_to("/")), "link"),
    "a run with notes in its flags": (with_a("flags.csv", lambda p: p.write_text("my")), "changed"),
}


@pytest.mark.parametrize("other", OTHERS)
def test_what_no_run_wrote_is_never_replaced(other, tmp_path):
    make, says = OTHERS[other]
    folder = tmp_path / "run"
    folder.mkdir()
    make(folder)
    before = names(tmp_path)
    with pytest.raises(FolderError, match=says) as caught:
        write(folder, overwrite=True)
    assert "is not overwritten" in str(caught.value)
    assert names(tmp_path) == before


def test_the_old_run_stays_until_the_new_one_is_whole(tmp_path):
    write(tmp_path / "run")

    def fail():
        with new_folder(tmp_path / "run", overwrite=True) as draft:
            assert (tmp_path / "run" / "flags.csv").read_text() == "first"
            (draft / "flags.csv").write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    check_files(tmp_path / "run", ["flags.csv"])
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_folders_above_go_with_a_failed_run(tmp_path):
    with pytest.raises(RuntimeError), new_folder(tmp_path / "a" / "b" / "run", overwrite=False):
        raise RuntimeError
    assert names(tmp_path) == []
    write(tmp_path / "a" / "run")
    assert (tmp_path / "a" / "run" / "flags.csv").exists()


def test_two_writers_of_one_file_do_not_mix(tmp_path):
    out = tmp_path / "scores.csv"
    with new_file(out, overwrite=True) as draft:
        with (
            pytest.raises(FolderError, match="being written by another process"),
            new_file(out, overwrite=True),
        ):
            pass
        draft.write_text("whole")
    assert out.read_text() == "whole"
    assert names(tmp_path) == ["scores.csv"]


def test_many_writers_leave_one_whole_file(tmp_path):
    out, told = tmp_path / "scores.csv", []

    def one(number):
        try:
            with new_file(out, overwrite=True) as draft:
                draft.write_text(f"{number}\n" * 2000)
        except FolderError as error:
            told.append(str(error))

    for _ in range(20):
        threads = [threading.Thread(target=one, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        lines = out.read_text().splitlines()
        assert len(lines) == 2000
        assert len(set(lines)) == 1
    assert [message for message in told if "being written" not in message] == []
    assert names(tmp_path) == ["scores.csv"]


DIE = """
    import os, signal, sys
    from pathlib import Path
    from nbam_pyro.storage import new_file, new_folder
    make = new_file if sys.argv[1].endswith(".csv") else new_folder
    with make(Path(sys.argv[1]), overwrite=True) as draft:
        (draft if make is new_file else draft / "half").write_text("half")
        if sys.argv[2] == "wait":
            print("ready", flush=True)
            sys.stdin.read()
        os.kill(os.getpid(), signal.SIGKILL)
"""


def dying(path, how):
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(DIE), str(path), how],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )


@pytest.mark.parametrize("name", ["run", "scores.csv"])
def test_what_a_killed_process_leaves_is_removed_by_the_next(name, tmp_path):
    with dying(tmp_path / name, "now") as process:
        process.communicate()
    assert [path.name for path in tmp_path.iterdir()] == [f".{name}.nbam"]
    if name == "run":
        write(tmp_path / name)
    else:
        with new_file(tmp_path / name, overwrite=False) as draft:
            draft.write_text("whole")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_folder_in_use_is_not_removed(tmp_path):
    with dying(tmp_path / "run", "wait") as process:
        process.stdout.readline()
        with pytest.raises(FolderError, match="being written by another process"):
            write(tmp_path / "run")
        assert (tmp_path / ".run.nbam" / "draft" / "half").exists()
        process.communicate(b"")
    write(tmp_path / "run")
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_run_that_was_about_to_be_replaced_comes_back(tmp_path):
    write(tmp_path / "run")
    space = tmp_path / ".run.nbam"
    space.mkdir()
    (tmp_path / "run").rename(space / "before")  # and then the power failed
    with pytest.raises(FolderError, match="exists already"):
        write(tmp_path / "run")
    assert (tmp_path / "run" / "flags.csv").read_text() == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_files_of_others_in_the_hidden_folder_are_kept(tmp_path):
    (tmp_path / ".run.nbam").mkdir()
    (tmp_path / ".run.nbam" / "letter.txt").write_text("dear")
    with pytest.raises(FolderError, match=r"letter\.txt"):
        write(tmp_path / "run")
    assert names(tmp_path) == [".run.nbam", ".run.nbam/letter.txt"]


@pytest.mark.parametrize("make", [lambda p: p.write_text("mine"), lambda p: p.symlink_to("x")])
def test_what_has_the_name_of_the_hidden_folder_is_kept(make, tmp_path):
    make(tmp_path / ".run.nbam")
    with pytest.raises(FolderError, match="must be a folder"):
        write(tmp_path / "run")
    assert [path.name for path in tmp_path.iterdir()] == [".run.nbam"]


@pytest.mark.parametrize("mask", [0o022, 0o027, 0o077, 0o002])
def test_the_umask_is_respected(mask, tmp_path):
    before = os.umask(mask)
    try:
        write(tmp_path / "run")
        with new_file(tmp_path / "s.csv", overwrite=False) as draft:
            draft.write_text("a")
    finally:
        os.umask(before)
    for path in tmp_path.rglob("*"):
        assert path.stat().st_mode & 0o777 == (0o777 if path.is_dir() else 0o666) & ~mask


def test_devices_and_folders_are_no_files_to_write(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path, says in ((tmp_path / "pipe", "pipe"), (tmp_path, "is a folder")):
        with pytest.raises(FolderError, match=says), new_file(path, overwrite=True):
            pass
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(FolderError), new_file(tmp_path / "loop", overwrite=True):
        pass


def test_a_link_to_a_file_stays_a_link(tmp_path):
    (tmp_path / "there.csv").write_text("old")
    (tmp_path / "link.csv").symlink_to("there.csv")
    with new_file(tmp_path / "link.csv", overwrite=True) as draft:
        draft.write_text("new")
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "there.csv").read_text() == "new"
