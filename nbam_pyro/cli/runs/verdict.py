"""The verdict of a run, for summary.json."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from nbam_pyro.outputs.verdict import Verdict

__all__ = ["verdict_entries"]


def verdict_entries(verdict: Verdict, names: Sequence[object] | None) -> dict[str, Any]:
    """Return the entries of summary.json about the verdict.

    Args:
        verdict: Verdict of the run.
        names: Names of the classes; None if the targets are not labels.
    """
    named = verdict if names is None else verdict.named(names)
    return {
        "verdict": named.level,
        "verdict_lines": named.lines(),
        "explanations": [asdict(one) for one in named.explanations],
    }
