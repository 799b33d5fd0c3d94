"""What every verdict must fulfil, for tests."""

import re

from nbam_pyro.outputs import Verdict

NAMES = [f"class {chr(ord('a') + c)}" for c in range(12)]


def check_verdict(verdict: Verdict) -> None:
    """The first line is the level; at most three lines of one sentence each follow."""
    named = verdict.named(NAMES)
    assert named.lines() == str(named).splitlines()
    title, *sentences = named.lines()
    assert title == f"Verdict: {verdict.level}"
    assert 1 <= len(sentences) <= 3
    for line in sentences:
        assert re.findall(r"[.!?](?=\s|$)", line) == ["."], line
        assert line.endswith(".")
        assert line[0].isupper() or line[0].isdigit()
        assert "{" not in line
        assert "  " not in line
    table = named.table()
    assert list(table) == ["explanation", "contamination", "weight"]
    assert len(table) == len(verdict.explanations) != 1
    assert not table["explanation"].str.contains("{", regex=False).any()
    if verdict.level != "identified":
        assert verdict.decides
