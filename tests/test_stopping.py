"""SIGTERM, Ctrl-C and SIGKILL while a command works: exit codes, and nothing left."""

import os
import signal
import subprocess
import sys
import time

import pytest

from benchmarks.robustness.kills import contents, kill, prepare


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kills")
    prepare(folder)
    return folder


def training(folder, out, *command):
    """A command that is in the middle of its training, by the folder that Lightning works in."""
    process = subprocess.Popen(
        [sys.executable, "-m", "nbam_pyro", *command, "--epochs", "100000", "--out", out],
        cwd=folder,
        env={**os.environ, "TMPDIR": str(folder / "tmp")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    draft = folder / f".{out}.nbam" / "draft"
    while process.poll() is None and not (draft.is_dir() and any(draft.iterdir())):
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
    _, said = process.communicate()
    assert process.returncode == 128 + sent, said
    assert said == f"nbam: stopped by {sent.name}.\n"
    assert contents(folder) == before


def test_what_sigkill_leaves_is_removed_by_the_next_run(folder):
    before = contents(folder)
    process = training(folder, "new", "fit", "data.csv", "--label", "y")
    process.kill()
    process.communicate()
    left = contents(folder).keys() - before.keys()
    assert left
    assert all(path.startswith(".new.nbam") for path in left)
    command = ["fit", "data.csv", "--label", "y", "--epochs", "1", "--out", "new"]
    subprocess.run(
        [sys.executable, "-m", "nbam_pyro", *command], cwd=folder, check=True, capture_output=True
    )
    after = contents(folder)
    assert {path for path in after if not path.startswith("new")} == set(before)
    assert (folder / "new" / "manifest.json").exists()


@pytest.mark.parametrize(("sent", "after"), [(signal.SIGTERM, 0.3), (signal.SIGINT, 3.0)])
def test_a_signal_at_any_moment_ends_scoring(folder, sent, after):
    assert kill(folder, "score", sent, after=after).wrong == []


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
