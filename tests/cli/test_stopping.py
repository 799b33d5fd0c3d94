"""SIGTERM, Ctrl-C and SIGKILL while a command works: exit codes, and what is left."""

import os
import random
import signal
import subprocess
import sys
import time

import pytest

from benchmarks.robustness.kills import contents, finished, kill, prepare, remove, started


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kills")
    prepare(folder)
    return folder


def training(folder, out, *command):
    """A command that is in the middle of its training, by the folder that Lightning works in."""
    process = subprocess.Popen(
        [sys.executable, "-m", "nbam_pyro.cli", *command, "--epochs", "100000", "--out", out],
        cwd=folder,
        env={**os.environ, "TMPDIR": str(folder / "tmp")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    progress = folder / f".{out}.nbam" / "progress"
    while process.poll() is None and not any(progress.rglob("last.ckpt")):
        time.sleep(0.05)
    time.sleep(0.5)
    return process


@pytest.mark.parametrize(
    ("sent", "command"),
    [
        (signal.SIGTERM, ("fit", "data.csv", "--label", "y")),
        (signal.SIGINT, ("fit", "data.csv", "--label", "y")),
        (signal.SIGTERM, ("detect", "rows.csv", "--backbone", "ae")),
    ],
)
def test_a_signal_in_the_middle_of_training_ends_it(folder, sent, command):
    before = contents(folder)
    process = training(folder, "new", *command)
    process.send_signal(sent)
    printed, said = process.communicate()
    assert process.returncode == 128 + sent, said
    assert said == f"nbam: stopped by {sent.name}.\n"
    assert "The same command continues here; with --restart it begins again." in printed
    left = contents(folder).keys() - before.keys()
    assert left
    assert all(path.startswith((".new.nbam/progress", ".new.nbam")) for path in left)
    assert ".new.nbam/draft" not in left
    remove(folder / ".new.nbam")
    assert contents(folder) == before


def test_an_interrupted_command_is_named_to_another_one(folder):
    before = contents(folder)
    process = training(folder, "new", "fit", "data.csv", "--label", "y")
    process.kill()
    process.communicate()
    assert all(path.startswith(".new.nbam") for path in contents(folder).keys() - before.keys())
    others = {
        "fit": ["fit", "data.csv", "--label", "y", "--epochs", "1", "--out", "new"],
        "demo": ["demo", "--out", "new"],
    }
    for command in others.values():
        other = started(folder, command)
        _, said = other.communicate()
        assert other.returncode == 2
        assert "another command was interrupted, nbam fit data.csv --label y --epochs" in said
    again = started(folder, [*others["fit"], "--restart"])
    _, said = again.communicate()
    assert again.returncode == 0, said
    assert (folder / "new" / "manifest.json").exists()
    remove(folder / "new")
    assert contents(folder) == before


@pytest.mark.parametrize(("name", "kills"), [("fit", 10), ("detect", 6), ("score", 4)])
def test_a_command_killed_again_and_again_ends_with_the_same_result(folder, name, kills):
    rng = random.Random(name)
    whole, seconds = finished(folder, name)
    for _ in range(kills):
        outcome = kill(folder, name, signal.SIGKILL, after=rng.uniform(0, seconds), whole=whole)
        assert outcome.wrong == []


@pytest.mark.parametrize(("sent", "after"), [(signal.SIGTERM, 0.3), (signal.SIGINT, 3.0)])
def test_a_signal_at_any_moment_ends_scoring(folder, sent, after):
    whole, _ = finished(folder, "score")
    assert kill(folder, "score", sent, after=after, whole=whole).wrong == []


def test_a_signal_that_is_ignored_stays_ignored():
    code = (
        "import os, signal\n"
        "from nbam_pyro.cli.stopping import stoppable\n"
        "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "with stoppable():\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "print('done')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "done\n"


@pytest.mark.parametrize(
    "swallows", ["except BaseException: pass", "except BaseException: raise ValueError"]
)
def test_what_swallows_the_signal_does_not_change_the_exit_code(swallows):
    code = (
        "import os, signal\n"
        "from nbam_pyro.cli.stopping import stoppable\n"
        "with stoppable():\n"
        "    try: os.kill(os.getpid(), signal.SIGTERM)\n"
        f"    {swallows}\n"
        "print('not reached')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (143, "")
    assert done.stderr == "nbam: stopped by SIGTERM.\n"
