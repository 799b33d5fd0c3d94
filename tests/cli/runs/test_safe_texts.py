"""Texts of other people: escapes are shown as such, and no spreadsheet runs a cell."""

import csv

import numpy as np
import pandas as pd
import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from nbam_pyro.cli.common import mistakes, say
from nbam_pyro.cli.runs.tables import read_table, write_csv, write_table
from nbam_pyro.errors import DataError, FolderError, printable

ESCAPES = ["\x1b[2J", "\x1b]0;title\x07", "\x9b31m", "\x7f", "\b", "\r", "\u202e", "\u2028"]


@pytest.mark.parametrize("escape", ESCAPES)
def test_escapes_are_shown_as_text(escape, capsys):
    say(f"a{escape}b")
    say(f"a{escape}b", err=True)
    with pytest.raises(typer.Exit), mistakes():
        raise FolderError(f"a{escape}b is no folder")
    said = capsys.readouterr()
    for text in (said.out, said.err, str(DataError(f"column a{escape}b"))):
        assert escape not in text
        assert "\\" in text


@given(st.text())
def test_what_is_shown_is_printable(text):
    shown = printable(text)
    assert all(one.isprintable() or one == "\n" for one in shown)
    if all(one.isprintable() for one in text):
        assert shown == text


RUN = ["=1+1", "+cmd", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "=HYPERLINK(1)", "'=1", "''+x", "-"]
KEPT = ["-5", "+3.5", "-1e-3", "ant", "'tis", "a=b", "3-4", "", " =x"]


@pytest.mark.parametrize("text", RUN)
def test_a_cell_that_a_spreadsheet_would_run_is_quoted_and_read_back(text, tmp_path):
    table = pd.DataFrame({"row": [text, "b"], "label": [text, "c"], "r": [-0.5, 0.25]})
    write_table(table, tmp_path / "flags.csv")
    with (tmp_path / "flags.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows[1] == [f"'{text}", f"'{text}", "-0.5"]
    assert rows[2][2] == "0.25"
    pd.testing.assert_frame_equal(read_table(tmp_path / "flags.csv"), table, check_dtype=False)


@pytest.mark.parametrize("text", KEPT)
def test_other_cells_are_as_they_were(text, tmp_path):
    write_csv(pd.DataFrame({"row": [text, "b"]}), tmp_path / "flags.csv", overwrite=False)
    with (tmp_path / "flags.csv").open(newline="") as file:
        assert list(csv.reader(file))[1] == ([text] if text else [""])
    assert read_table(tmp_path / "flags.csv")["row"].tolist() == [text, "b"]


@given(st.lists(st.text(alphabet="'=+-@\t\ra1.,\"", max_size=6), min_size=1, max_size=5))
def test_texts_survive_the_way_there_and_back(tmp_path_factory, cells):
    path = tmp_path_factory.mktemp("csv") / "flags.csv"
    write_table(pd.DataFrame({"row": cells, "score": np.arange(len(cells))}), path)
    assert read_table(path)["row"].tolist() == cells


@pytest.mark.parametrize("content", [b"", b"row", b"\xff\xfe\n1\n", b'row\n"a\n', b"row," * 9999])
def test_what_is_no_table_is_refused(content, tmp_path):
    (tmp_path / "flags.csv").write_bytes(content)
    with pytest.raises(FolderError, match="is not a table"):
        read_table(tmp_path / "flags.csv")
