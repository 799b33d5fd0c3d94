"""The commands of the how-to page about review tools, as a person types them."""

import json
import re
import shlex
from pathlib import Path

import pandas as pd
import pytest
from sklearn.datasets import load_digits

from tests.cli.helpers import nbam

PAGE = Path(__file__).parent.parent.parent / "docs" / "howto" / "review_tools.md"
BLOCK = re.compile(r"```(sh|text)\n(.*?)```", re.DOTALL)


@pytest.fixture(scope="module")
def typed(tmp_path_factory):
    """The folder after all commands of the page, and what the last one printed."""
    folder = tmp_path_factory.mktemp("page")
    printed = ""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for kind, text in BLOCK.findall(PAGE.read_text()):
            if kind == "text":
                (folder / "answers.csv").write_text(text)
                continue
            for line in text.splitlines():
                command, *arguments = shlex.split(line)
                assert command == "nbam"
                result = nbam(*arguments)
                assert result.exit_code == 0, f"{line}\n{result.output}"
                printed = result.stdout
    return folder, printed


def test_the_answers_on_the_page_are_true(typed):
    folder, _ = typed
    flags = pd.read_csv(folder / "r" / "flags.csv").set_index("row")["label"]
    truth = load_digits().target
    answers = pd.read_csv(folder / "answers.csv")
    for line in answers.itertuples():
        if line.verdict != "unsure":
            assert (flags[line.row] == truth[line.row]) == (line.verdict == "right")
        if line.true_label == line.true_label:
            assert truth[line.row] == line.true_label


def test_the_answers_decide_the_names(typed):
    folder, printed = typed
    before = " ".join(json.loads((folder / "r" / "summary.json").read_text())["verdict_lines"])
    assert "The names of the classes 5 and 6 rest on the assumption" in before
    assert "The names of the classes 5 and 6 rest" not in printed
    assert "Verified: 6 rows, 4 of them right and 2 wrong." in printed
    assert len(json.loads((folder / "tasks.json").read_text())) == 40
    assert (folder / "tasks.xml").exists()
