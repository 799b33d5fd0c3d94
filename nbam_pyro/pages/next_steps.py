"""What to do after reading a page, with the exact commands."""

import shlex
from dataclasses import dataclass

from nbam_pyro.pages.findings import Findings

__all__ = ["Step", "next_steps"]

# Rows that a person looks at in one sitting.
_BUDGET = 50


@dataclass(frozen=True)
class Step:
    """One thing to do.

    Attributes:
        text: What it is for.
        code: Command or lines of Python; empty if there is nothing to run.
    """

    text: str
    code: str = ""


def next_steps(findings: Findings) -> list[Step]:
    """Return what to do next.

    Args:
        findings: What was found.
    """
    first = _advice(findings)
    return [first, *(_in_python() if findings.run is None else _commands(findings))]


def _advice(findings: Findings) -> Step:
    if findings.verdict == "cannot tell":
        return Step(
            "Do not delete or relabel rows yet. The verdict above says what would decide. Check "
            "some rows first."
        )
    if findings.verdict == "weak":
        return Step(
            "Decide whether the assumption in the verdict holds. If you do not know, check the "
            "rows that the verdict names."
        )
    return Step("Look at the suspicious rows above, and check some of them.")


def _commands(findings: Findings) -> list[Step]:
    run = shlex.quote(findings.run or "")
    steps = [
        Step(
            "Draw a random sample to check. The answers correct the share and all probabilities.",
            f"nbam review {run} --budget {_BUDGET} --out review.csv",
        ),
        Step("See the same results in the terminal.", f"nbam show {run}"),
    ]
    if findings.kind in ("scores", "series"):
        return steps
    again = " ".join(map(shlex.quote, findings.command))
    verified = f"nbam {again} --verified verified.csv --out {shlex.quote(f'{findings.run}-2')}"
    return [
        *steps,
        Step(
            "Give the rows to a tool in which people edit labels.",
            f"nbam export {run} --to label-studio --out tasks.json",
        ),
        Step(
            "Read the answers, and fit again with them.",
            f"nbam verify {run} answers.csv --out verified.csv"
            + (f"\n{verified}" if findings.command else ""),
        ),
    ]


def _in_python() -> list[Step]:
    return [
        Step(
            "Draw a random sample to check, where r are the responsibilities. The answers correct "
            "the share and all probabilities (reviewed).",
            "from nbam_pyro.decisions import review_queue\n"
            f'review_queue(r, budget={_BUDGET}, design="random")',
        ),
        Step(
            "Flag rows so that about a tenth of the flags are false alarms.",
            "from nbam_pyro.decisions import flags\nflags(r, fdr=0.1).flagged",
        ),
    ]
