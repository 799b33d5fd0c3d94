"""Every Python block of the documents runs; those of notebooks run when the site is built."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)
MADE = {"_build", "_cache"}


def documents():
    yield ROOT / "README.md"
    for path in sorted((ROOT / "docs").rglob("*.md")):
        notebook = path.read_text().startswith("---\nfile_format: mystnb")
        if not notebook and MADE.isdisjoint(path.parts):
            yield path


def blocks():
    for path in documents():
        for number, match in enumerate(BLOCK.finditer(path.read_text())):
            name = path.relative_to(ROOT).with_suffix("").as_posix()
            yield pytest.param(match[1], id=f"{name}-{number}")


@pytest.mark.parametrize("code", list(blocks()))
def test_block_runs(code, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "block", "exec"), {"__name__": "block"})
    assert list(tmp_path.iterdir()) == []
