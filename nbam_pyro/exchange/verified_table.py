"""The table of verified rows: from answers of people, and to what a fit takes."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace

import pandas as pd

from nbam_pyro.errors import DataError
from nbam_pyro.exchange.answers import Answer
from nbam_pyro.exchange.run_rows import VERDICTS, RunRows, as_text

__all__ = ["COLUMNS", "VerifiedRows", "verified_table"]

COLUMNS = (
    *("row", "label", "true_label", "contaminated", "inclusion_probability"),
    *("answered_by", "answer", "problem"),
)
"""Columns of the table of verified rows."""

_SKIPPED = "skipped"
# Other words for verdicts: those for anomalies.
_WORDS = {"anomaly": "wrong", "normal": "right", "skip": "", _SKIPPED: ""}


def verified_table(answers: Sequence[Answer], rows: RunRows) -> pd.DataFrame:
    """Return the table of verified rows, with one line per answer, in the order of the answers.

    A verdict "right" means that the label is the true label; a true label that is not the label
    means that the label is wrong. An answer with a problem verifies nothing, and keeps what the
    person said: the run does not have the row, the row has no label, verdict and true label
    contradict each other, the true label is no class of the run, or the verdict is another word.

    Args:
        answers: Answers of people.
        rows: Rows of the run that the answers are about.

    Returns:
        Columns of texts, empty where nothing is known: row, label (that of the run), true_label,
        contaminated (1 or 0), inclusion_probability, answered_by, answer (right, wrong, unsure or
        skipped; empty if only a true label was given) and problem (empty if there is none).

    Example:
        >>> table = pd.DataFrame({"row": ["4"], "label": ["a"], "responsibility": [0.9]})
        >>> rows = RunRows(task="classification", table=table, classes=("a", "b"))
        >>> found = verified_table([Answer(row="4", true_label="b")], rows)
        >>> found[["row", "true_label", "contaminated", "problem"]].iloc[0].tolist()
        ['4', 'b', '1', '']
    """
    names = {str(name) for name in rows.table["row"]}
    named = [replace(one, row=_spelled(one.row, names)) for one in answers]
    lines = [_line(one, rows, known=one.row in names) for one in named]
    return pd.DataFrame(lines, columns=list(COLUMNS), dtype=object)


def _line(one: Answer, rows: RunRows, *, known: bool) -> dict[str, str]:
    label = rows.labels.get(one.row, "")
    word = one.verdict.lower()
    verdict = _WORDS.get(word, word)
    true = _named(one.true_label, rows)
    line = {
        "row": one.row,
        "label": label,
        "true_label": one.true_label if true is None else true,
        "contaminated": "",
        "inclusion_probability": one.inclusion,
        "answered_by": one.by,
        "answer": verdict or ("" if one.true_label else _SKIPPED),
        "problem": "",
    }
    differs = None if not true else true != label
    problems = _problems(one, rows, verdict=verdict, true=true, differs=differs)
    problem = next(problems, "") if known else "the run does not have this row"
    if problem:
        return {**line, "problem": problem}
    if verdict in ("right", "wrong"):
        line["contaminated"] = str(int(verdict == "wrong"))
    elif differs is not None and verdict != "unsure":
        line["contaminated"] = str(int(differs))
    if verdict == "right" and rows.classes:
        line["true_label"] = label
    return line


def _problems(
    one: Answer, rows: RunRows, *, verdict: str, true: str | None, differs: bool | None
) -> Iterator[str]:
    """Yield reasons why an answer about a row of the run verifies nothing."""
    if verdict and verdict not in VERDICTS:
        yield f"{one.verdict!r} is not right, wrong or unsure"
    if verdict == "unsure" and one.true_label:
        yield "unsure, but a true label is given"
    if one.true_label and not rows.classes and not verdict:
        yield "only labels have a true label; a verdict is needed"
    label = rows.labels.get(one.row)
    if label == "" and (verdict or one.true_label):
        yield "the row has no label"
    if true is None and rows.classes:
        yield f"{one.true_label!r} is no class of the run"
    if rows.classes and differs is not None and verdict == ("right" if differs else "wrong"):
        yield f"{verdict}, but the label is {label!r} and the true label {true!r}"


def _named(text: str, rows: RunRows) -> str | None:
    """Return the name of a class as the run has it; None if the run does not have it."""
    text = _spelled(text, rows.classes)
    if not text or text in rows.classes:
        return text
    return rows.spelled.get(text)


def _spelled(text: str, names: Collection[str]) -> str:
    """Return a name as it was before a table was saved again, if `names` has it.

    Spreadsheets write True as TRUE, and pandas writes 7 as 7.0 in a column with empty cells.
    """
    other = text.capitalize() if text.lower() in ("true", "false") else text.removesuffix(".0")
    return other if text not in names and other in names else text


@dataclass(frozen=True, kw_only=True)
class VerifiedRows:
    """What answers say about rows, after answers about the same row are compared.

    Answers with a problem, skipped ones and those that are unsure say nothing. If answers about a
    row agree, they count once. If they disagree about whether it is contaminated, nothing about it
    is verified; if they disagree only about its true label, the true label is not.

    Attributes:
        label: Label that the answers are about, by row.
        contaminated: 1 if the target of the row is contaminated, 0 if not, by row.
        true_label: True labels as texts, by row.
        disagreed: Names of the rows whose answers disagree.
        left_out: Number of answers with a problem.
    """

    label: dict[str, str] = field(default_factory=dict)
    contaminated: dict[str, int] = field(default_factory=dict)
    true_label: dict[str, str] = field(default_factory=dict)
    disagreed: tuple[str, ...] = ()
    left_out: int = 0

    @classmethod
    def of(cls, table: pd.DataFrame) -> "VerifiedRows":
        """Compare the answers in a table.

        Args:
            table: Table of `verified_table`, or several of them below each other, as texts. Only
                the columns row, contaminated and true_label are needed.

        Raises:
            DataError: A column is missing, a cell of contaminated is not 1 or 0, or a row is about
                two different labels.

        Example:
            >>> lines = [("3", "1", "b"), ("3", "1", "c"), ("4", "0", "")]
            >>> table = pd.DataFrame(lines, columns=["row", "contaminated", "true_label"])
            >>> found = VerifiedRows.of(table)
            >>> found.contaminated, found.true_label, found.disagreed
            ({'3': 1, '4': 0}, {}, ('3',))
        """
        missing = [name for name in ("row", "contaminated", "true_label") if name not in table]
        if missing:
            raise DataError(
                f"There is no column {missing[0]!r}. Give a file that nbam verify wrote, or one "
                "with the columns row, contaminated and true_label."
            )
        labels: dict[str, set[str]] = defaultdict(set)
        switches: dict[str, set[int]] = defaultdict(set)
        trues: dict[str, set[str]] = defaultdict(set)
        left_out = 0
        for line in table.to_dict("records"):
            cells = {str(name): as_text(cell) for name, cell in line.items()}
            if cells.get("problem"):
                left_out += 1
                continue
            row = cells["row"]
            if cells["contaminated"]:
                switches[row].add(_code(cells["contaminated"], row))
            if cells["true_label"]:
                trues[row].add(cells["true_label"])
            if (cells["contaminated"] or cells["true_label"]) and cells.get("label"):
                labels[row].add(cells["label"])
        _check_one_label(labels)
        split = {row for row, said in switches.items() if len(said) > 1}
        differ = split | {row for row, said in trues.items() if len(said) > 1}
        return cls(
            label={row: next(iter(said)) for row, said in labels.items()},
            contaminated={row: min(said) for row, said in switches.items() if row not in split},
            true_label={row: min(said) for row, said in trues.items() if row not in differ},
            disagreed=tuple(row for row in dict.fromkeys([*switches, *trues]) if row in differ),
            left_out=left_out,
        )


def _code(cell: str, row: str) -> int:
    if cell.removesuffix(".0") not in ("0", "1"):
        raise DataError(f"contaminated is {cell!r} for row '{row}'. Write 1, 0 or nothing.")
    return int(cell[0])


def _check_one_label(labels: dict[str, set[str]]) -> None:
    for row, said in labels.items():
        if len(said) > 1:
            one, other = sorted(said)[:2]
            raise DataError(
                f"Row '{row}' has the label {one!r} in some answers and {other!r} in others, so "
                "they are about different data. Give files about the same data."
            )
